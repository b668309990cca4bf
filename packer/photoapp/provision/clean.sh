#!/bin/sh
# Removes what belongs to the bake and not to the image. Must run last.
set -eu

apt-get clean
find /var/lib/apt/lists /var/cache/apt -type f -delete
rm -rf /var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -f /root/.*_history /root/.wget-hsts

# Every machine makes its own: its name, its identity, its host keys, its random seed.
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id /var/lib/systemd/random-seed
: >/etc/machine-id

find /var/log -type f -delete
find /tmp /var/tmp -mindepth 1 -delete
