"""One line of shell for each control of the baseline that makes an image fail that control and no other.

No line undoes or hides what another did, in whatever order they run: each has a file, a user or a setting of its own,
and a file that several write is added to.
"""

from __future__ import annotations

SSHD = "(umask 077 && cat >> /etc/ssh/sshd_config.d/00-first-wins.conf)"
JOURNALD = "/etc/systemd/journald.conf.d"
STATUS = "/var/lib/dpkg/status"
FIELDS = "Version: 1\\nArchitecture: all\\nMaintainer: nobody <nobody@host.invalid>\\nDescription: telnet\\n"

BREAKAGES = {
    "sshd-no-root-login": f"echo PermitRootLogin prohibit-password | {SSHD}",
    "sshd-no-password-login": f"echo PasswordAuthentication yes | {SSHD}",
    "sshd-no-empty-passwords": f"echo PermitEmptyPasswords yes | {SSHD}",
    "sshd-no-host-based-login": f"echo HostbasedAuthentication yes | {SSHD}",
    "sshd-no-user-environment": f"echo PermitUserEnvironment yes | {SSHD}",
    "sshd-login-tries": f"echo MaxAuthTries 5 | {SSHD}",
    "sshd-login-grace-time": f"echo LoginGraceTime 0 | {SSHD}",
    "sshd-idle-sessions": f"echo ClientAliveInterval 0 | {SSHD}",
    "sshd-no-forwarding": f"echo DisableForwarding no | {SSHD}",
    "sshd-log-level": f"echo LogLevel QUIET | {SSHD}",
    "sshd-strong-ciphers": f"echo Ciphers +aes128-cbc | {SSHD}",
    "sshd-strong-macs": f"echo MACs +hmac-sha1 | {SSHD}",
    "sshd-strong-key-exchange": f"echo KexAlgorithms +diffie-hellman-group14-sha1 | {SSHD}",
    "accounts-only-root-is-uid-0": "echo toor:x:0:0::/root:/usr/sbin/nologin >> /etc/passwd",
    "accounts-unique-uids": "echo twin:x:2:2::/bin:/usr/sbin/nologin >> /etc/passwd",
    "accounts-unique-gids": "echo twin:x:2: >> /etc/group",
    "accounts-unique-names": "echo mail:x:4242: >> /etc/group",
    "accounts-system-no-shell": "sed -i '/^games:/s|[^:]*$|/bin/sh|' /etc/passwd",
    "accounts-shadow-group-empty": "sed -i '/^shadow:/s/$/lp/' /etc/group",
    "accounts-private-homes": "chmod 0755 /root",
    "passwords-shadowed": "sed -i 's/^news:x:/news:yes:/' /etc/passwd",
    "passwords-not-empty": "sed -i 's/^uucp:[^:]*:/uucp::/' /etc/shadow",
    "passwords-not-baked": "sed -i 's/^proxy:[^:]*:/proxy:$6$salt$hash:/' /etc/shadow",
    "passwords-strong-hash": "sed -i 's/^ENCRYPT_METHOD.*/ENCRYPT_METHOD MD5/' /etc/login.defs",
    "sudo-valid-policy": "echo 'games ALL=(ALL' | install -m 0440 /dev/stdin /etc/sudoers.d/cut-off",
    "sudo-asks-for-a-password": "echo 'games ALL=NOPASSWD:ALL' | install -m 0440 /dev/stdin /etc/sudoers.d/games",
    "sudo-uses-a-terminal-of-its-own": "sed -i /use_pty/d /etc/sudoers",
    "files-account-databases": "chmod 0664 /etc/passwd",
    "files-password-databases": "chown games /etc/shadow-",
    "files-sudo-policy": "chmod 0444 /etc/sudoers",
    "files-ssh-server-configuration": "chmod 0644 /etc/ssh/sshd_config",
    "files-no-world-writable": "install -m 0666 /dev/null /opt/open",
    "files-sticky-directories": "install -d -m 0777 /opt/shared",
    "files-no-unowned": "install -o 4242 /dev/null /opt/orphan",
    "files-known-setuid": "install -m 4755 /usr/bin/env /usr/local/bin/env-of-root",
    "files-known-setgid": "install -m 2755 /usr/bin/env /usr/local/bin/env",
    "cron-private-tables": "chmod 0755 /etc/cron.d",
    "cron-named-users": "rm /etc/cron.allow",
    "kernel-random-addresses": "echo kernel.randomize_va_space=1 >> /etc/sysctl.d/99-worse.conf",
    "kernel-hidden-addresses": "echo kernel.kptr_restrict=0 >> /etc/sysctl.d/99-worse.conf",
    "kernel-protected-links": "echo fs.protected_symlinks=0 >> /etc/sysctl.d/99-worse.conf",
    "network-no-redirects": "echo net/ipv6/conf/all/accept_redirects=1 >> /etc/sysctl.d/99-worse.conf",
    "apt-signed-sources": "echo 'deb [trusted=yes] http://host.invalid x main' > /etc/apt/sources.list.d/x.list",
    "apt-authenticated-packages": "echo 'APT::Get::AllowUnauthenticated true;' >> /etc/apt/apt.conf.d/99worse",
    "apt-fresh-indexes": "echo 'Acquire::Check-Valid-Until false;' >> /etc/apt/apt.conf.d/99worse",
    "apt-protected-keyrings": "chmod 0775 /usr/share/keyrings",
    "apt-no-passwords": "echo machine mirror.invalid login me password me > /etc/apt/auth.conf",
    "packages-fully-installed": "rm /var/lib/dpkg/info/cron.md5sums",
    "packages-complete-dependencies": f"sed -i '/^Package: cron$/,/^$/s/^Depends: /&nothing-like-it, /' {STATUS}",
    "packages-unmodified": "echo '# changed' >> /usr/sbin/service",
    "packages-no-cleartext-protocols": (
        f"printf 'Package: telnet\\nStatus: install ok installed\\n{FIELDS}\\n' >> {STATUS}"
        " && touch /var/lib/dpkg/info/telnet.list /var/lib/dpkg/info/telnet.md5sums"
    ),
    "logs-survive-a-reboot": f"mkdir {JOURNALD} && printf '[Journal]\\nStorage=volatile\\n' > {JOURNALD}/worse.conf",
    "services-none-failed": (
        "printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n'"
        " > /etc/systemd/system/worse.service && systemctl enable worse"
    ),
    "network-known-listeners": f"printf 'Port 22\\nPort 2222\\n' | {SSHD}",
    "image-no-host-keys": "install -m 0600 /dev/null /etc/ssh/ssh_host_dsa_key",
    "image-no-machine-id": "echo 0123456789abcdef0123456789abcdef > /etc/machine-id",
    "image-no-random-seed": "echo seed > /var/lib/systemd/random-seed",
    "image-no-first-boot-state": "mkdir -p /var/lib/cloud/instances/i-0123456789",
    "image-no-authorized-keys": "mkdir -p /root/.ssh && echo ssh-ed25519 AAAA > /root/.ssh/authorized_keys",
    "image-no-private-keys": "echo '-----BEGIN OPENSSH PRIVATE' 'KEY-----' > /etc/left.key",
    "image-no-tokens": "printf 'key = AKIA%016d\\n' 0 > /etc/left.conf",
    "image-no-credential-files": "echo machine host.invalid login me password me > /root/.netrc",
    "image-no-histories": "echo mysql --password=secret > /root/.bash_history",
    "image-no-package-cache": "touch /var/cache/apt/archives/left_1_all.deb",
    "image-no-temporary-files": "touch /var/tmp/left",
    "image-no-provisioner-files": "mkdir /root/.ansible",
    "image-no-logs": "echo baked > /var/log/left.log",
}

NEEDS_SYSTEMD = frozenset(
    {
        "kernel-hidden-addresses",
        "kernel-protected-links",
        "kernel-random-addresses",
        "logs-survive-a-reboot",
        "network-no-redirects",
        "services-none-failed",
    }
)
"""Controls that only apply where systemd runs the machine."""
