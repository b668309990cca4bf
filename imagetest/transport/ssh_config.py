"""What OpenSSH's configuration says about a host; the ssh client itself is asked, so that it means the same here."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from imagetest.errors import UsageError
from imagetest.execute import process

INSTALL = "install OpenSSH's client; imagetest reads its configuration by 'ssh -G'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a host is, who to be there, and what to trust (ssh_config(5))."""

    name: str
    """As the user wrote it."""
    host: str
    port: int
    user: str
    alias: str
    """The name that its host key is kept under."""
    identities: tuple[Path, ...]
    agent: bool
    """Whether keys of the agent may be offered, too."""
    known_hosts: tuple[Path, ...]
    jumps: tuple[str, ...] = ()
    """Bastions, in the order in which they are passed."""
    proxy_command: str = ""
    timeout: float = 10.0
    """Seconds to connect."""


def resolve(name: str, config: Path | None = None) -> Destination:
    """Return what `ssh NAME` would do; `config` is read instead of the user's and the system's.

    Raises UsageError when ssh makes nothing of it, and ProcessError when there is no ssh.
    """
    if not name.strip() or name.startswith("-") or re.search(r"\s", name):
        raise UsageError(f"{name!r} is no host", hint="expected a name of ssh_config, USER@HOST or HOST:PORT")
    chosen = ["-F", str(config)] if config else []
    done = process.run("ssh", *chosen, "-G", _as_ssh_takes_it(name), timeout=10)
    if done.exit_code:
        said = done.stderr.strip().splitlines()
        raise UsageError(f"ssh makes nothing of host {name!r}: {said[-1] if said else 'it does not say why'}")
    values: dict[str, list[str]] = defaultdict(list)
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        values[key].append(value)
    return _destination(name, {key: tuple(found) for key, found in values.items()})


def _destination(name: str, values: dict[str, tuple[str, ...]]) -> Destination:
    def value(key: str, default: str = "") -> str:
        found = values.get(key, (default,))[0]
        return default if found in {"none", ""} else found

    host, port = value("hostname"), int(value("port", "22"))
    tokens = {"h": host, "p": str(port), "r": value("user"), "n": name, "%": "%", "d": str(Path.home())}
    return Destination(
        name=name,
        host=host,
        port=port,
        user=value("user"),
        alias=value("hostkeyalias") or (host if port == 22 else f"[{host}]:{port}"),  # noqa: PLR2004 - SSH's own port
        identities=_paths((_expanded(one, tokens) for one in values.get("identityfile", ())), tokens),
        agent=value("identitiesonly") != "yes" and value("identityagent", "SSH_AUTH_SOCK") == "SSH_AUTH_SOCK",
        known_hosts=_paths(shlex.split(f"{value('userknownhostsfile')} {value('globalknownhostsfile')}"), tokens),
        jumps=tuple(part for part in value("proxyjump").split(",") if part),
        proxy_command=_expanded(value("proxycommand"), tokens),
        timeout=float(value("connecttimeout", "10")),
    )


def _as_ssh_takes_it(name: str) -> str:
    """Turn HOST:PORT into the URI that ssh understands; an address of IPv6 has several colons and no port."""
    return f"ssh://{name}" if re.fullmatch(r"[^:/]+:\d+|[^/]*\[.*\](:\d+)?", name) else name


def _expanded(text: str, tokens: dict[str, str]) -> str:
    """Replace percent tokens (ssh_config(5), TOKENS)."""
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)


def _paths(values: Iterable[str], tokens: dict[str, str]) -> tuple[Path, ...]:
    return tuple(Path(_expanded(value, tokens)).expanduser() for value in values)
