"""Many questions in one round trip: a script whose answers come back apart from each other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from imagetest.model.snapshot import Part
from imagetest.transport.shell import Answer

PART_LIMIT = 16 * 1024 * 1024
"""Bytes that one part may say; a machine that says more is asked no further about it."""

COMPLAINT_LIMIT = 64 * 1024
"""Bytes of a part's standard error that are passed on."""

TOTAL_LIMIT = 64 * 1024 * 1024
"""Bytes of all answers together, for machines on which not even head(1) can be trusted."""

PREAMBLE = r"""
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset ENV BASH_ENV CDPATH GREP_OPTIONS LS_COLORS TZ
mark=MARK
ask() {
    part=$1
    shift
    printf '\n%s begin %s %s\n' "$mark" "$family" "$part"
    printf '\n%s begin %s %s\n' "$mark" "$family" "$part" >&2
    { { { "$@"; printf '\n%s end %d\n' "$mark" "$?"; } 2>&3 3>&- 4>&- | head -c PART_LIMIT >&4; } 3>&1 |
        head -c COMPLAINT_LIMIT >&2; } 4>&1 </dev/null
}
"""
"""What every script begins with. Output goes through head(1), so that a part that never ends is cut off where it runs;
then its end mark is missing, which is how that is known."""


class Batch:
    """The scripts of several families as one, and the way back from its answer to their parts."""

    def __init__(self, scripts: Mapping[str, str]) -> None:
        self._mark = os.urandom(16).hex()
        self._scripts = scripts

    def script(self, *, sudo: bool = False) -> str:
        """Return the whole script; with `sudo`, all of it runs as root, or not at all when sudo asks for a password."""
        head = PREAMBLE.replace("PART_LIMIT", str(PART_LIMIT)).replace("COMPLAINT_LIMIT", str(COMPLAINT_LIMIT))
        head = head.replace("MARK", self._mark)
        # Each family runs in a shell of its own: none can change what the next one finds.
        bodies = [f"(\nfamily={name}\n{script.strip()}\n)" for name, script in self._scripts.items()]
        whole = "\n".join([head, *bodies])
        if not sudo:
            return whole
        quoted = whole.replace("'", "'\"'\"'")
        return f"sudo -n /bin/sh -c '{quoted}'"

    def parts(self, answer: Answer) -> dict[str, dict[str, Part]]:
        """Return each family's parts by name; a part that never began is not there."""
        said = self._split(answer.stdout)
        complained = dict(self._split(answer.stderr))
        found: dict[str, dict[str, Part]] = {name: {} for name in self._scripts}
        for (family, name), data in said:
            if family in found:
                body, exit_code = self._end(data)
                stderr = complained.get((family, name), b"").rstrip(b"\n")
                found[family][name] = Part(stdout=body, stderr=stderr, exit_code=exit_code)
        return found

    def _split(self, stream: bytes) -> Iterable[tuple[tuple[str, str], bytes]]:
        pieces = re.split(rb"\n%s begin ([\w-]+) ([\w-]+)\n" % self._mark.encode(), stream)
        begun = zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
        return [((family.decode(), name.decode()), body) for family, name, body in begun]

    def _end(self, data: bytes) -> tuple[bytes, int | None]:
        body, found, rest = data.rpartition(b"\n%s end " % self._mark.encode())
        code = rest.split(b"\n", 1)[0]
        return (body, int(code)) if found and code.isdigit() else (data, None)
