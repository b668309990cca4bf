"""Changes that people make to a machine by hand, and the one difference that each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from imagetest.execute import keys

CAPABILITY = """perl -e 'my ($f, $n, $v) = ("/usr/bin/tail", "security.capability",
pack("V5", 0x02000001, 1 << 7, 0, 0, 0));
my %c = (x86_64 => 188, aarch64 => 5); exit syscall($c{$ARGV[0]}, $f, $n, $v, 20, 0)' "$(uname -m)\""""

PACKAGE = r"""mkdir -p /tmp/p/DEBIAN
printf 'Package: handmade\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y.z>\n
Description: by hand\n' | sed '/^$/d' >/tmp/p/DEBIAN/control && dpkg-deb --build /tmp/p /tmp/p.deb && dpkg -i /tmp/p.deb
rm -r /tmp/p /tmp/p.deb"""

UNIT = r"""printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' \
>/etc/systemd/system/handmade.service; systemctl daemon-reload; systemctl enable --now handmade.service"""

LISTEN = """perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => 4444,
Listen => 1) or die;
fork and exit; sleep 1000'"""


def certificate() -> str:
    """Make a certificate that signs itself."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "handmade")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=365)).sign(key, None)
    return made.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True, slots=True)
class Snowflake:
    """What was done, and the fact that tells it."""

    script: str
    family: str
    key: str
    attributes: tuple[str, ...] = ("",)


SNOWFLAKES = {
    "package": Snowflake(PACKAGE, "packages", "handmade"),
    "held-package": Snowflake("echo adduser hold | dpkg --set-selections", "packages", "adduser", ("state",)),
    "mode": Snowflake("chmod 0666 /etc/motd", "files", "/etc/motd", ("mode",)),
    "owner": Snowflake("chown daemon /etc/issue.net", "files", "/etc/issue.net", ("owner",)),
    "content": Snowflake("echo by hand >>/etc/issue", "files", "/etc/issue", ("content",)),
    "file": Snowflake("echo true >/usr/local/bin/handmade", "files", "/usr/local/bin/handmade"),
    "link": Snowflake("ln -sf /bin/true /etc/rmt", "files", "/etc/rmt", ("target",)),
    "removed-file": Snowflake("rm /etc/bindresvport.blacklist", "files", "/etc/bindresvport.blacklist"),
    "package-file": Snowflake(
        "echo '# by hand' >>/usr/bin/savelog", "package-files", "/usr/bin/savelog"
    ),
    "set-uid": Snowflake(
        "cp /bin/true /var/tmp/rootshell; chmod 4755 /var/tmp/rootshell", "files", "/var/tmp/rootshell"
    ),
    "capability": Snowflake(CAPABILITY, "files", "/usr/bin/tail"),
    "unit": Snowflake(UNIT, "units", "handmade.service"),
    "masked-unit": Snowflake("systemctl mask e2scrub_all.timer", "units", "e2scrub_all.timer", ("enablement", "state")),
    "stopped-unit": Snowflake("systemctl stop apt-daily.timer", "units", "apt-daily.timer", ("state",)),
    "disabled-unit": Snowflake(
        "systemctl disable e2scrub_reap.service", "units", "e2scrub_reap.service", ("enablement",)
    ),
    "timer": Snowflake(
        "mkdir /etc/systemd/system/dpkg-db-backup.timer.d; printf '[Timer]\\nOnCalendar=hourly\\n' "
        ">/etc/systemd/system/dpkg-db-backup.timer.d/x.conf",
        "units", "dpkg-db-backup.timer", ("content", "schedule"),
    ),
    "user": Snowflake("useradd --create-home --shell /bin/bash mallory", "accounts", "mallory"),
    "password": Snowflake("usermod -p '$6$salt$hash' games", "accounts", "games", ("password",)),
    "group": Snowflake("usermod -aG adm daemon", "groups", "adm", ("members",)),
    "key": Snowflake(
        "mkdir -p /root/.ssh; echo {key} mallory@home >>/root/.ssh/authorized_keys", "keys", "root/{fingerprint}"
    ),
    "sudo-rule": Snowflake(
        "echo 'mallory ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/x; chmod 0440 /etc/sudoers.d/x",
        "sudo", "mallory ALL=(ALL) NOPASSWD: ALL",
    ),
    "sysctl": Snowflake(
        "mount -o remount,bind,rw /proc/sys && echo 42 >/proc/sys/net/ipv4/ip_default_ttl "
        "&& mount -o remount,bind,ro /proc/sys",
        "sysctl", "net.ipv4.ip_default_ttl", ("value",),
    ),
    "port": Snowflake(LISTEN, "listeners", "tcp 0.0.0.0:4444"),
    "cron-line": Snowflake(
        "echo '5 4 * * * root /usr/local/bin/handmade' >/etc/cron.d/handmade",
        "cron", "/etc/cron.d/handmade: /usr/local/bin/handmade",
    ),
    "variable": Snowflake("echo HANDMADE=1 >>/etc/environment", "environment", "/etc/environment: HANDMADE"),
    "unit-variable": Snowflake(
        "mkdir -p /etc/systemd/system/dbus.service.d; printf '[Service]\\nEnvironment=API_TOKEN=hunter22\\n' "
        ">/etc/systemd/system/dbus.service.d/x.conf; systemctl daemon-reload",
        "environment", "dbus.service: API_TOKEN",
    ),
    "ssh-setting": Snowflake(
        "echo PermitRootLogin yes >/etc/ssh/sshd_config.d/x.conf", "sshd", "permitrootlogin", ("value",)
    ),
    "mount": Snowflake("mount -t tmpfs handmade /mnt", "mounts", "/mnt"),
    "time-zone": Snowflake(
        "ln -sf /usr/share/zoneinfo/Europe/London /etc/localtime", "locale", "time zone", ("value",)
    ),
    "certificate": Snowflake(
        "mkdir -p /etc/ssl; printf '%s' '{certificate}' >/etc/ssl/handmade.pem",
        "certificates", "/etc/ssl/handmade.pem: CN=handmade",
    ),
}  # fmt: skip


def planted() -> dict[str, Snowflake]:
    """Return all of them, with a key and a certificate made for this once."""
    pair = keys.generate()
    made = {"{key}": pair.public, "{fingerprint}": pair.fingerprint, "{certificate}": certificate()}
    found = {}
    for name, one in SNOWFLAKES.items():
        script, key = one.script, one.key
        for word, value in made.items():
            script, key = script.replace(word, value), key.replace(word, value)
        found[name] = Snowflake(script, one.family, key, one.attributes)
    return found
