"""Many questions in one round trip: a script whose answers come back apart from each other."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Mapping

from imagetest.model.snapshot import Part
from imagetest.transport.shell import Answer

PART_LIMIT = 16 * 1024 * 1024
"""Bytes that one part may say; a machine that says more is asked no further about it."""

RECORDS_LIMIT = 200_000
"""Lines of one part, or twice as many zero bytes: each may become a fact, and a fact takes a kilobyte of memory."""

COMPLAINT_LIMIT = 64 * 1024
"""Bytes of a part's standard error that are passed on."""

TOTAL_LIMIT = 64 * 1024 * 1024
"""Bytes of all answers together, for machines on which not even head(1) can be trusted."""

PREAMBLE = r"""
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset ENV BASH_ENV CDPATH GREP_OPTIONS LS_COLORS TZ IFS POSIXLY_CORRECT
random=
[ -r /proc/sys/kernel/random/uuid ] && read -r random </proc/sys/kernel/random/uuid
mark=MARK$random
printf '\n%s is the mark\n' "$mark"
ask() {
    part=$1
    shift
    printf '\n%s begin %s %s\n' "$mark" "$family" "$part"
    said=$({ { "$@" 3>&- 4>&-; printf '\n%s end %d\n' "$mark" "$?"; } 2>&3 3>&- | head -c PART_LIMIT >&4 3>&-; } \
        3>&1 </dev/null | head -c COMPLAINT_LIMIT)
    printf '\n%s said\n%s' "$mark" "$said"
}
"""
"""What every script begins with. Output goes through head(1), so that a part that never ends is cut off where it runs;
then its end mark is missing, which is how that is known. Descriptor 4 is the family's way out. What a part says on
standard error is held back until its output is told, so that both come on one stream.

Every user of the machine can read this script in /proc/*/cmdline while it runs, and write what stands there into a
file that is asked for. Hence the machine adds to the mark what nobody but this shell knows, and says it first."""


MARGIN_SECONDS = 3
"""How much longer the far side goes on than this side waits, so that it is this side that says what happened."""

BOUNDED = """set -- /bin/sh
timeout -k 1 1 true 2>/dev/null && set -- timeout -k 5 SECONDS "$@"
"""
"""Ends by itself what nobody waits for any more, where there is a timeout(1): a server lets it run when the connection
is closed."""

ROOT = """[ "$(id -u)" = 0 ] || set -- sudo -n "$@"
"""
"""Becomes root, unless it is: without a question, since nobody is there to answer it."""


FORGED = Part(stdout=b"", stderr=b"it was answered twice: somebody on the machine forges answers", exit_code=None)
"""Each part of a family of which one began twice: which of the two is true, nobody can say."""

ASK = re.compile(r"\bask ([\w-]+)")


class Batch:
    """The scripts of several families as one, and the way back from its answer to their parts."""

    def __init__(self, scripts: Mapping[str, str], *, slow: Collection[str] = ()) -> None:
        """Join scripts; those of the `slow` families run beside all others, of which each waits for the one before."""
        self._mark = os.urandom(16).hex()
        self._scripts = scripts
        self._asked = {family: set(ASK.findall(script)) for family, script in scripts.items()}
        self._slow = slow

    def script(self, *, sudo: bool = False, seconds: float | None = None) -> str:
        """Return the whole script; with `sudo`, all of it runs as root, or not at all when sudo asks for a password.

        It ends by itself, some seconds after `seconds`.
        """
        head = PREAMBLE.replace("PART_LIMIT", str(PART_LIMIT)).replace("COMPLAINT_LIMIT", str(COMPLAINT_LIMIT))
        head = head.replace("MARK", self._mark)
        # Each family runs in a shell of its own: none can change what the next one finds.
        bodies = {name: f"(\nexec 4>&1\nfamily={name}\n{script.strip()}\n)" for name, script in self._scripts.items()}
        whole = "\n".join([head, *_beside([bodies.pop(name) for name in self._slow], list(bodies.values()))])
        if not sudo and seconds is None:
            return whole
        quoted = whole.replace("'", "'\"'\"'")
        if seconds is None:
            bound = "set -- /bin/sh\n"
        else:
            bound = BOUNDED.replace("SECONDS", str(math.ceil(seconds) + MARGIN_SECONDS))
        return f"{bound}{ROOT if sudo else ''}exec \"$@\" -c '{quoted}'"

    def parts(self, answer: Answer) -> dict[str, dict[str, Part]]:
        """Return each family's parts by name; a part that never began is not there."""
        found: dict[str, dict[str, Part]] = {name: {} for name in self._scripts}
        announced = re.search(rb"\n(%s[0-9a-f-]*) is the mark\n" % self._mark.encode(), answer.stdout)
        mark = announced[1] if announced else self._mark.encode()
        forged = set()
        for family, name, data in self._split(answer.stdout, mark):
            if name in self._asked.get(family, ()):
                forged |= {family} if name in found[family] else set()
                found[family][name] = self._part(data, mark)
        return found | {family: dict.fromkeys(self._asked[family], FORGED) for family in forged}

    def _split(self, stream: bytes, mark: bytes) -> Iterator[tuple[str, str, bytes]]:
        """Give the parts one by one: an answer may be large, and is held once, not once more in pieces."""
        begun = list(re.finditer(rb"\n%s begin ([\w-]+) ([\w-]+)\n" % mark, stream))
        ends = [*(one.start() for one in begun[1:]), len(stream)]
        for one, end in zip(begun, ends, strict=False):  # where nothing began, there is an end too many
            yield one[1].decode(), one[2].decode(), stream[one.end() : end]

    def _part(self, data: bytes, mark: bytes) -> Part:
        said = data.find(b"\n%s said\n" % mark)
        told = len(data) if said < 0 else said
        complaint = b"" if said < 0 else data[said + len(mark) + len("\n said\n") :].rstrip(b"\n")
        ended = data.rfind(b"\n%s end " % mark, 0, told)
        code = b"" if ended < 0 else data[ended + len(mark) + len("\n end ") : told].split(b"\n", 1)[0]
        if code.isdigit() and not crowded(data[:ended]):
            return Part(stdout=data[:ended], stderr=complaint, exit_code=int(code))
        return Part(stdout=data[:told], stderr=complaint, exit_code=None)


def crowded(said: bytes) -> bool:
    """Say whether a part has more lines or records than may become facts."""
    return said.count(b"\n") > RECORDS_LIMIT or said.count(b"\0") > 2 * RECORDS_LIMIT


def _beside(slow: list[str], quick: list[str]) -> list[str]:
    """Return two rows of scripts that run side by side; the slow ones' output waits in a pipe until the end."""
    return ["{", *slow, "} | {", "exec 5<&0 </dev/null", *quick, "cat <&5", "}"] if slow else quick
