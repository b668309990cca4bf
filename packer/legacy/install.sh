#!/bin/sh
# Installs the gallery, and takes away what belongs to the bake: the next machine gets keys of its own.
set -eu

export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/apt.conf
printf '%s\n' "$APT_SETTINGS" >"$APT_CONFIG"
apt-get -qq update
apt-get -qq install --no-install-recommends python3 >/dev/null

cp -r /tmp/opt/photoapp /opt/
install -m 0644 /tmp/gallery.service /etc/systemd/system/gallery.service
chown -R root:root /opt/photoapp
chmod -R go=rX /opt/photoapp
systemctl --quiet enable gallery.service

apt-get clean
rm -rf /tmp/opt /tmp/gallery.service "$APT_CONFIG" /var/lib/apt/lists/*
rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
