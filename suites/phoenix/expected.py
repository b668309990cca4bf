"""Files that belong to no package on any Debian, because a package's scripts or a tool of the system make them."""

from __future__ import annotations

_EXPECTED = """
    /.dockerenv /etc/.pwd.lock /etc/adjtime /etc/alternatives/* /etc/apt/sources.list /etc/ca-certificates.conf
    /etc/crypttab /etc/default/keyboard /etc/default/locale /etc/dpkg/origins/default /etc/environment /etc/fstab
    /etc/group /etc/group- /etc/gshadow /etc/gshadow- /etc/hostname /etc/hosts /etc/hosts.allow /etc/hosts.deny
    /etc/inputrc /etc/ld.so.cache /etc/locale.conf /etc/locale.gen /etc/localtime /etc/machine-id /etc/modules
    /etc/motd /etc/mtab /etc/network/interfaces /etc/nsswitch.conf /etc/pam.d/common-* /etc/passwd /etc/passwd-
    /etc/profile /etc/python3/debian_config /etc/rc?.d/[KS]* /etc/resolv.conf /etc/runit/runsvdir/default/*
    /etc/security/opasswd /etc/shadow /etc/shadow- /etc/shells /etc/ssh/sshd_config /etc/ssh/ssh_host_*
    /etc/ssl/certs/* /etc/subgid /etc/subgid- /etc/subuid /etc/subuid- /etc/timezone /etc/vconsole.conf
    /boot/grub/* /boot/initrd.img* /initrd.img* /vmlinuz* /root/.bashrc /root/.profile
    /usr/lib/locale/locale-archive /usr/lib/modules/*/modules.* /usr/lib/*/gconv/gconv-modules.cache
    /usr/lib/python*/__pycache__/*.pyc /usr/lib/python*/*/__pycache__/*.pyc /usr/share/python*/__pycache__/*.pyc
    /usr/share/python*/*/__pycache__/*.pyc /usr/lib/udev/hwdb.bin /usr/share/info/dir /usr/share/mime/*
    /usr/share/glib-2.0/schemas/gschemas.compiled /usr/share/icons/*/icon-theme.cache /usr/local/man
    /var/lib/apt/* /var/lib/dbus/machine-id /var/lib/dpkg/* /var/lib/initramfs-tools/* /var/lib/logrotate/*
    /var/lib/pam/* /var/lib/polkit-1/* /var/lib/python/* /var/lib/shells.state /var/lib/systemd/* /var/lib/ucf/*
    /var/lib/urandom/* /var/lib/xml-core/* /var/lib/sgml-base/* /var/lock /var/run /var/spool/mail
    """

_JUDGED_ELSEWHERE = """
    /dev /home /proc /run /sys /tmp /var/cache /var/lib/apt/lists /var/log /var/tmp
    """

EXPECTED = tuple(_EXPECTED.split())
"""Shell patterns; of a folder, for all below it."""

JUDGED_ELSEWHERE = tuple(_JUDGED_ELSEWHERE.split())
"""Folders whose files another control is about, of this suite or of the baseline, or which hold none of the image's."""
