"""Accounts of the machine itself (passwd(5), shadow(5), subuid(5))."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from imagetest.collectors.discretion import sealed
from imagetest.collectors.reading import Distinct, gap, refusal, rows, short_rows, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = """
[ -e /etc/passwd ] && ask passwd cat /etc/passwd
[ -e /etc/group ] && ask group cat /etc/group
[ -e /etc/shadow ] && ask shadow cat /etc/shadow
[ -e /etc/subuid ] && ask subuid cat /etc/subuid
[ -e /etc/subgid ] && ask subgid cat /etc/subgid
ask asked true
"""

SCHEMES = {
    "1": "MD5", "2a": "bcrypt", "2b": "bcrypt", "2y": "bcrypt", "5": "SHA-256", "6": "SHA-512", "7": "scrypt",
    "y": "yescrypt", "gy": "GOST yescrypt",
}  # fmt: skip
"""Prefixes of password hashes (crypt(5))."""

AGEING = ("min", "max", "warn", "inactive", "expires")
EPOCH = date(1970, 1, 1)


class AccountsCollector:
    """One fact an account: its ids, home, shell, and what is to be known of its password without knowing it."""

    name = "accounts"

    def script(self, _scope: Scope) -> str:
        """Ask for the files; names that come from a directory service are no part of the machine."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the accounts; of two of one name the first is the one that counts, and the other is told too.

        /etc/shadow may be closed to who asks.
        """
        groups: dict[str, str] = {}
        for name, _, gid, _ in rows(told(parts, "group"), 4, b":"):
            groups.setdefault(gid, name)
        facts = Distinct()
        for name, password, uid, gid, comment, home, shell in rows(told(parts, "passwd"), 7, b":"):
            attributes = {"uid": uid, "group": f"{groups.get(gid, '?')} ({gid})", "home": home, "shell": shell}
            attributes |= {"comment": comment} if comment else {}
            attributes |= {"password": "none is asked for"} if not password else {}
            attributes |= (
                {"password": f"{_kept(password)}, {sealed(password)}"} if password not in {"", "x", "*"} else {}
            )
            facts.add(name, attributes)
        self._add_shadow(told(parts, "shadow"), facts)
        self._add_ids(parts, facts)
        for file, columns in (("passwd", 7), ("shadow", 9)):
            for line in short_rows(told(parts, file), columns, b":"):
                facts.add(f"/etc/{file}: what is no account", {"line": sealed(line)})
        return normalised(self.name, "account", facts, self._gaps(parts))

    def _add_ids(self, parts: Mapping[str, Part], facts: Distinct) -> None:
        for file in ("subuid", "subgid"):
            found: dict[str, list[str]] = {}
            for name, first, count in rows(told(parts, file), 3, b":"):
                found.setdefault(name, []).append(f"{count} from {first}")
            for name in found.keys() & facts.keys():
                facts[name][file] = ", ".join(found[name])

    def _add_shadow(self, part: Part, facts: Distinct) -> None:
        """Add what stands there of an account for the first time: that is what counts."""
        seen = Distinct()
        for row in rows(part, 9, b":"):
            named = zip(AGEING, row[3:8], strict=True)
            ageing = ", ".join(f"{name} {days}" for name, days in named if days) or "none"
            seen.add(row[0], {"password": _password(row[1], row[2]), "ageing": ageing})
        for name, attributes in seen.items():
            if name in facts:
                facts[name] |= attributes

    def _gaps(self, parts: Mapping[str, Part]) -> list[Gap]:
        gaps = [one for name in ("asked", "passwd") if name in parts or name == "asked" for one in gap(parts, name)]
        if "shadow" in parts and (why := refusal(parts, "shadow")):
            gaps += [Gap(attribute="password", reason=why), Gap(attribute="ageing", reason=why)]
        for name, attribute in (("group", "group"), ("subuid", "subuid"), ("subgid", "subgid")):
            gaps += gap(parts, name, attribute=attribute) if name in parts else ()
        return gaps


def _password(field: str, changed: str) -> str:
    """Say what kind of password it is, and since when; a digest of 32 bits shows a change, and not the password."""
    if not field:
        return "none is asked for"
    if field.startswith(("!", "*")):
        return "locked"
    since = f", since {_day(int(changed))}" if changed.isdigit() and len(changed) < 7 else ""  # noqa: PLR2004
    return f"{_kept(field)}{since}, {sealed(field)}"


def _kept(field: str) -> str:
    scheme = field.split("$")[1] if field.count("$") > 1 else ""
    return f"set, {SCHEMES.get(scheme, 'by DES or something unknown')}"


def _day(days: int) -> str:
    try:
        return (EPOCH + timedelta(days=days)).isoformat()
    except OverflowError:
        return str(days)
