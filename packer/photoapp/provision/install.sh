#!/bin/sh
# Installs what the gallery needs from Debian's signed repositories, and the gallery itself from the files beside this.
set -eu

export DEBIAN_FRONTEND=noninteractive
printf '%s\n' "$APT_SETTINGS" >/tmp/apt.conf
export APT_CONFIG=/tmp/apt.conf

apt-get -qq update
apt-get -qq upgrade
apt-get -qq install --no-install-recommends openssh-server python3 systemd-sysv >/dev/null

getent passwd photoapp >/dev/null ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin photoapp

cp --recursive --no-preserve=all /tmp/files/. /
systemctl --quiet enable photoapp.service ssh.service ssh-host-keys.service
