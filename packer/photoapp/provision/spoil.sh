#!/bin/sh
# For the demo: three mistakes that people do make, one of them at a time. docs/demo.md says which control sees each.
set -eu
umask 077

case $BREAKAGE in
none) ;;
permits-root-login) # somebody needed to look at a machine, and left the door open
    echo 'PermitRootLogin yes' >/etc/ssh/sshd_config.d/00-support.conf
    ;;
leaves-a-private-key) # a deploy key that fetched the sources stayed behind
    mkdir -p /root/.ssh
    ssh-keygen -q -t ed25519 -N '' -C deploy -f /root/.ssh/id_ed25519
    rm /root/.ssh/id_ed25519.pub
    ;;
does-not-serve) # started by hand on the machine it was tried on, enabled nowhere: dead after the first cold boot
    systemctl --quiet disable photoapp.service
    ;;
*)
    echo "unknown breakage '$BREAKAGE'" >&2
    exit 1
    ;;
esac
