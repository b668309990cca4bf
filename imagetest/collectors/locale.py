"""Language, keyboard and time zone (locale.conf(5), vconsole.conf(5), localtime(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping

from imagetest.collectors.reading import gap, legible, lines, pairs, told, walked
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part

FILES = ("/etc/locale.conf", "/etc/default/locale", "/etc/default/keyboard", "/etc/vconsole.conf", "/etc/timezone")
"""Read here in full, and therefore not in `files` or `environment`."""

SCRIPT = r"""
settings() {
    for file in FILES; do
        [ -e $file ] || continue
        [ -r $file ] || { printf 'locale: %s: Permission denied\n' $file >&2; continue; }
        printf '%s\0' $file
        cat $file
        printf '\0'
    done
    return 0
}
zone() {
    if [ -L /etc/localtime ]; then readlink /etc/localtime; else sha256sum </etc/localtime; fi
}
ask settings settings
[ -e /etc/localtime ] || [ -L /etc/localtime ] && ask zone zone
command -v locale >/dev/null && ask locales locale -a
ask asked true
""".replace("FILES", " ".join(FILES))


class LocaleCollector:
    """One fact a setting, and one a locale that can be chosen."""

    name = "locale"

    def script(self, _scope: Scope) -> str:
        """Ask for the settings."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read them."""
        facts: dict[str, dict[str, str]] = {}
        for file, content in pairs(told(parts, "settings")):
            for line in map(legible, content.splitlines()):
                name, sign, value = line.strip().partition("=")
                if name and not name.startswith("#"):
                    key = f"{legible(file)}: {name if sign else 'time zone'}"
                    facts[key] = {"value": value.strip("\"'") if sign else name}
        for target in lines(told(parts, "zone")):
            short = re.sub(r"^.*/zoneinfo/", "", target)
            facts["time zone"] = {"value": short if short != target else f"a file of its own, {target[:64]}"}
        for one in lines(told(parts, "locales")):
            facts[f"locale {one}"] = {"value": "available"}
        gaps = [*gap(parts, "asked"), *walked(parts, "settings", folders=False, key="{}: ")]
        gaps += gap(parts, "zone", key="time zone") if "zone" in parts else ()
        gaps += gap(parts, "locales", key="locale ") if "locales" in parts else ()
        return normalised(self.name, "locale setting", facts, gaps)
