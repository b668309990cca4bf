"""What this machine holds for a run and lets go with it: processes with a keeper, their folders, disks at rest."""
