"""What touches this machine: processes, signals, the container engine, keys, leases, secrets to mask."""
