#!/bin/sh
# Takes away what a machine that nobody logs in to does not need. What is only a file is in files/ already.
set -eu

# Nobody here changes identity, password or shell, or mounts anything: no program needs its setuid or setgid bit except
# PAM's helper, which reads the shadow file. dpkg remembers it, so that an upgrade cannot bring a bit back. Where this is run by
# sudo, so is what comes after it: account.sh has its say on that one.
find / -xdev -type f -perm /6000 ! -name unix_chkpwd ! -name "${SUDO_USER:+sudo}" | while read -r program; do
    dpkg-statoverride --quiet --update --force-all --add root root 0755 "$program"
done

# The image is replaced, never upgraded in place, and it has no console to log in at.
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer console-getty.service getty.target systemd-logind.service

sed -i -E \
    -e 's/^(UMASK\s+).*/\1027/' \
    -e 's/^(PASS_MAX_DAYS\s+).*/\1365/' \
    -e 's/^(PASS_MIN_DAYS\s+).*/\11/' \
    /etc/login.defs
chmod 0600 /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*
