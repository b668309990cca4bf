"""What cloud-init would make of user-data: the part of it that machines here follow."""

from __future__ import annotations

import base64
import binascii
import email
import gzip
from dataclasses import dataclass, replace
from typing import Any

import yaml

from imagetest.errors import ConfigError

SCRIPT, CONFIG, MULTIPART = "text/x-shellscript", "text/cloud-config", "multipart/mixed"
BOOTHOOK = "text/cloud-boothook"

FOLLOWED = frozenset(
    {"ssh_authorized_keys", "ssh_deletekeys", "ssh_keys", "users", "write_files", "bootcmd", "runcmd", "disable_root"}
)

ENCODED = {"b64": "base64", "base64": "base64", "gz+b64": "gzip", "gz+base64": "gzip", "gzip+base64": "gzip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserData:
    """The modules of cloud-init that are followed, by their keys."""

    authorized_keys: tuple[str, ...] = ()
    delete_keys: bool = True
    host_keys: tuple[tuple[str, str], ...] = ()
    """Such as (`ed25519_private`, a key)."""
    users: tuple[dict[str, Any], ...] = ()
    default_user: bool = True
    disable_root: bool = True
    write_files: tuple[dict[str, Any], ...] = ()
    at_boot: tuple[str, ...] = ()
    """What runs at every boot, each with its `#!` line: boothooks, then bootcmd."""
    scripts: tuple[str, ...] = ()
    """What runs at the end of the first boot, each with its `#!` line."""
    ignored: tuple[str, ...] = ()
    """What was asked for and is not followed here."""


def parse(raw: bytes) -> UserData:
    """Return what user-data asks for. Raises ConfigError when cloud-init could not read it either."""
    if raw.startswith(b"\x1f\x8b"):
        raw = gzip.decompress(raw)
    found, hooks = UserData(), list[str]()
    for kind, text in _parts(raw.decode(errors="replace")):
        if kind == CONFIG:
            found = _merged(found, _mapping(text))
        elif kind == SCRIPT:
            found = replace(found, scripts=(*found.scripts, text))
        elif kind == BOOTHOOK:
            hooks.append(text.removeprefix("#cloud-boothook").lstrip())
        else:
            found = replace(found, ignored=(*found.ignored, kind))
    return replace(found, at_boot=(*hooks, *found.at_boot))


def content_of(entry: dict[str, Any]) -> bytes:
    """Return the content of an entry of write_files. Raises ConfigError when it is not encoded as it says."""
    content, encoding = str(entry.get("content", "")).encode(), ENCODED.get(str(entry.get("encoding", "")), "")
    try:
        if encoding:
            content = base64.b64decode(content)
        return gzip.decompress(content) if encoding == "gzip" else content
    except (binascii.Error, OSError) as error:
        raise ConfigError(f"write_files: {entry.get('path')}: {error}") from error


def _parts(text: str) -> list[tuple[str, str]]:
    if text.startswith("#!"):
        return [(SCRIPT, text)]
    if text.startswith("#cloud-config"):
        return [(CONFIG, text)]
    if text.startswith("#cloud-boothook"):
        return [(BOOTHOOK, text)]
    if MULTIPART not in text[:400].lower():
        return [(text.splitlines()[0][:60], text)] if text.strip() else []
    return [
        (part.get_content_type(), bytes(part.get_payload(decode=True)).decode(errors="replace"))
        for part in email.message_from_string(text).walk()
        if not part.is_multipart()
    ]


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"user-data is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError("user-data is no mapping of cloud-init's modules")
    return found


def _merged(found: UserData, config: dict[str, Any]) -> UserData:
    users = config.get("users", ["default"])
    runcmd = config.get("runcmd")
    return replace(
        found,
        authorized_keys=(*found.authorized_keys, *config.get("ssh_authorized_keys", ())),
        delete_keys=bool(config.get("ssh_deletekeys", found.delete_keys)),
        host_keys=tuple(config["ssh_keys"].items()) if "ssh_keys" in config else found.host_keys,
        users=tuple(one if isinstance(one, dict) else {"name": one} for one in users if one != "default"),
        default_user="default" in users,
        disable_root=bool(config.get("disable_root", found.disable_root)),
        write_files=(*found.write_files, *config.get("write_files", ())),
        at_boot=(*found.at_boot, _script(config["bootcmd"])) if config.get("bootcmd") else found.at_boot,
        scripts=(*found.scripts, _script(runcmd)) if runcmd else found.scripts,
        ignored=(*found.ignored, *sorted(config.keys() - FOLLOWED)),
    )


def _script(commands: list[Any]) -> str:
    """Write the commands of runcmd as cloud-init does: a list is quoted, a string is the shell's."""
    lines = [" ".join(map(_quoted, one)) if isinstance(one, list) else str(one) for one in commands]
    return "\n".join(["#!/bin/sh", *lines, ""])


def _quoted(word: object) -> str:
    return "'" + str(word).replace("'", "'\\''") + "'"
