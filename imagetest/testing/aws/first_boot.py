"""What happens to a machine before and after its first boot, as cloud-init does it: keys, accounts, files, scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import docker
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from imagetest.errors import ConfigError
from imagetest.testing.aws.accounts import Account, Accounts
from imagetest.testing.aws.files import File, put, read
from imagetest.testing.aws.user_data import UserData, content_of

KEY_FILE = "/etc/ssh/ssh_host_{}_key"

KEY_TYPES = ("ed25519", "ecdsa", "rsa", "dsa")

SCRIPTS = "/var/lib/cloud/instance/scripts"

NOT_ROOT = (
    'no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo \'Please login as the user \\"{}\\" '
    'rather than the user \\"root\\".\';echo;sleep 10;exit 142" '
)
"""What cloud-init puts before root's keys, unless `disable_root: false` is asked for."""

SUDO = "ALL=(ALL) NOPASSWD:ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A machine that is ready for its first boot: the scripts to run at the end of it, and what its console says."""

    scripts: tuple[str, ...]
    console: str


def prepare(
    client: docker.APIClient, container: str, wanted: UserData, *, keys: Sequence[str], user: str, hostname: str
) -> Prepared:
    """Do to a container that has not started what cloud-init does before the SSH server starts.

    `user` is the image's default user, who gets the instance's `keys`. Raises EngineError when the engine refuses,
    ConfigError when user-data cannot be followed.
    """
    accounts = Accounts(client, container)
    files = _logins(client, container, accounts, wanted, keys=keys, user=user)
    files += [_wanted_file(accounts, entry) for entry in wanted.write_files]
    private, public = _host_keys(client, container, wanted, hostname)
    scripts = tuple(f"{SCRIPTS}/{number:03}" for number in range(len(wanted.scripts)))
    texts = zip(scripts, wanted.scripts, strict=True)
    files += [*private, *(File(path=path, content=text.encode(), mode=0o700) for path, text in texts)]
    put(client, container, [*accounts.changed(), *files])
    notes = [f"cloud-init: not followed here: {one}" for one in wanted.ignored]
    return Prepared(scripts=scripts, console="\n".join([*notes, *_announced(public)]) + "\n")


def _logins(
    client: docker.APIClient, container: str, accounts: Accounts, wanted: UserData, *, keys: Sequence[str], user: str
) -> list[File]:
    common = [*keys, *wanted.authorized_keys]
    allowed: dict[str, list[str]] = {}
    if wanted.default_user:
        accounts.ensure(user, sudo="" if user == "root" else SUDO)
        allowed[user] = common
        if user != "root":
            before = NOT_ROOT.format(user) if wanted.disable_root else ""
            allowed["root"] = [before + key for key in common]
    for one in wanted.users:
        rule = one.get("sudo") or ""
        accounts.ensure(
            str(one["name"]), shell=str(one.get("shell", "/bin/sh")),
            sudo=str(rule[0] if isinstance(rule, list) else rule),
        )  # fmt: skip
        allowed[str(one["name"])] = list(one.get("ssh_authorized_keys", ()))
    return [
        file
        for name, lines in allowed.items()
        if lines and (account := accounts.get(name))
        for file in _authorized(client, container, account, lines)
    ]


def _authorized(client: docker.APIClient, container: str, account: Account, lines: list[str]) -> list[File]:
    """Add keys to those that an account has."""
    folder = f"{account.home}/.ssh"
    path = f"{folder}/authorized_keys"
    before = (read(client, container, path) or b"").decode(errors="replace").splitlines()
    text = "\n".join([*dict.fromkeys([*before, *(line.strip() for line in lines)]), ""])
    owner = {"uid": account.uid, "gid": account.gid}
    return [
        File(path=folder, content=None, mode=0o700, **owner),
        File(path=path, content=text.encode(), mode=0o600, **owner),
    ]


def _wanted_file(accounts: Accounts, entry: dict[str, object]) -> File:
    name, _, group = str(entry.get("owner", "root:root")).partition(":")
    account = accounts.get(name)
    if account is None or not entry.get("path"):
        raise ConfigError(f"write_files: {entry.get('path', 'a file')}: no path, or there is no account {name!r}")
    mode = int(str(entry.get("permissions", "0644")), 8)
    gid = accounts.group(group) if group else account.gid
    return File(path=str(entry["path"]), content=content_of(entry), mode=mode, uid=account.uid, gid=gid)


def _host_keys(
    client: docker.APIClient, container: str, wanted: UserData, hostname: str
) -> tuple[list[File], list[str]]:
    """Return the files of the host's keys and the public keys; what was in the image is emptied, which disables it."""
    given = dict(wanted.host_keys)
    made: dict[str, tuple[str, str]] = {
        kind: (str(given[f"{kind}_private"]), str(given.get(f"{kind}_public", "")) or _public(given[f"{kind}_private"]))
        for kind in KEY_TYPES
        if f"{kind}_private" in given
    }
    there = {kind: read(client, container, KEY_FILE.format(kind)) for kind in KEY_TYPES}
    if not made and not wanted.delete_keys and any(there.values()):
        paths = [KEY_FILE.format(kind) + ".pub" for kind in KEY_TYPES if there[kind]]
        return [], [(read(client, container, path) or b"").decode().strip() for path in paths]
    made = made or _generated(f"root@{hostname}")
    files = [File(path=KEY_FILE.format(kind), content=b"", mode=0o600) for kind in KEY_TYPES if there[kind]]
    for kind, (private, public) in made.items():
        files.append(File(path=KEY_FILE.format(kind), content=private.rstrip().encode() + b"\n", mode=0o600))
        files.append(File(path=KEY_FILE.format(kind) + ".pub", content=public.encode() + b"\n"))
    return files, [public for _, public in made.values()]


def _generated(comment: str) -> dict[str, tuple[str, str]]:
    return {
        kind: _written(key, comment)
        for kind, key in (
            ("ed25519", ed25519.Ed25519PrivateKey.generate()), ("ecdsa", ec.generate_private_key(ec.SECP256R1())),
        )
    }  # fmt: skip


def _written(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, comment: str) -> tuple[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {comment}"


def _public(private: str) -> str:
    try:
        key = serialization.load_ssh_private_key(str(private).encode(), None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"ssh_keys: {error}") from error
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _announced(public: Sequence[str]) -> list[str]:
    """Return what cloud-init writes to the console of the host's keys (its program write-ssh-key-fingerprints)."""
    rule = "ec2: " + "#" * 61
    prints = []
    for line in public:
        kind, key, *_ = line.split()
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode().rstrip("=")
        prints.append(f"ec2: 256 SHA256:{digest} ({kind.removeprefix('ssh-').partition('-')[0].upper()})")
    return [
        "ec2: ", rule, "ec2: -----BEGIN SSH HOST KEY FINGERPRINTS-----", *prints,
        "ec2: -----END SSH HOST KEY FINGERPRINTS-----", rule,
        "-----BEGIN SSH HOST KEY KEYS-----", *public, "-----END SSH HOST KEY KEYS-----",
    ]  # fmt: skip
