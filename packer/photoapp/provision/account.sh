#!/bin/sh
# A container is looked into from outside; a machine needs somebody who may log in to look after it, and it is not root.
set -eu

# On AWS that is the account that the bake itself logged in to: cloud-init makes it, and lets whoever starts an instance in.
keeper=${SUDO_USER:-keeper}
if [ "$keeper" = keeper ]; then
    useradd --create-home --shell /bin/bash --comment 'Looks after the machine' keeper
    echo 'keeper ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/keeper
    chmod 0440 /etc/sudoers.d/keeper
fi
home=$(getent passwd "$keeper" | cut -d : -f 6)
chmod 0700 "$home"
chmod 4755 /usr/bin/sudo
if dpkg-statoverride --list /usr/bin/sudo >/dev/null; then
    dpkg-statoverride --quiet --remove /usr/bin/sudo
fi

# What let Packer in must not ship.
rm -rf /root/.ssh "$home/.ssh" /var/lib/systemd/credential.secret
