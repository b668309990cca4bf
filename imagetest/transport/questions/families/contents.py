"""What is in files: their bytes and their checksums, of all that are small with a few processes."""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
from collections.abc import Iterator, Sequence

from imagetest.transport.questions.families.family import Facts, Question, lines, said
from imagetest.transport.questions.looking import MOVING
from imagetest.transport.shell import Answer

PATH = re.compile(r"/[^\x00-\x20\x7f?*\\]*")
"""An absolute path that is one word to the shell, and that checksum programs print as it is."""

BLOCKS = 512
"""Blocks of 512 bytes, as find(1) counts them: a larger file is read when somebody asks for it."""

TOTAL = 8 * 1024 * 1024
"""Bytes that one command tells of all files together; the rest are read when somebody asks."""

CHOOSE = f"""
set -f; n=$#
for f; do test -f "$f" && test -r "$f" && set -- "$@" "$f"; done
shift $n; test $# -gt 0 || exit 0
sizes=$(find -L "$@" -prune -type f -size -{BLOCKS + 1} -exec wc -c {{}} + 2>/dev/null)
set --; total=0
for word in $sizes; do case $word in
    /*) total=$((total + size)); test $total -gt {TOTAL} || set -- "$@" "$word" ;;
    *) size=$word ;;
esac; done
test $# -gt 0 || exit 0
"""
"""Leaves, of the files that are named, those that can be read at little cost."""

BYTES = 'printf \'%s\\n\' "$sizes" \'\'; sha256sum "$@"; echo; cat -- "$@"'
"""The bytes of all stand one behind the other; their sizes take them apart, and their checksums show that it was right:
a file may have changed in between."""

SUMS = "printf '%s\\n' \"$@\" ''; {} \"$@\" | cut -d' ' -f1"

SIZED = re.compile(r" *(\d+) (/.*)")


class Contents:
    """Files as `cat`, `md5sum` and `sha256sum` tell them."""

    def read(self, words: list[str]) -> Question | None:
        """Read `cat PATH`, `cat -- PATH`, and checksums without the name of the file."""
        match words:
            case ["cat", "--", path] | ["cat", path]:
                group = "cat"
            case ["md5sum" | "sha256sum" as group, path, "|", "cut", *how] if "".join(how) == "-d -f1":
                pass
            case _:
                return None
        return Question(group, path, group) if PATH.fullmatch(path) and not MOVING.search(path) else None

    def command(self, group: str, names: Sequence[str]) -> str:
        """Tell what is in all files, or the checksums that `group` makes."""
        tell = BYTES if group == "cat" else SUMS.format(group)
        return f"set -- {' '.join(map(shlex.quote, names))}{CHOOSE}{tell}"

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read what was told; a file that could not be read is left to its own command."""
        if answer.exit_code or answer.stderr:
            return {}
        head, _, rest = answer.stdout.partition(b"\n\n")
        told = lines(head + b"\n")
        if told and not SIZED.fullmatch(told[0]):
            sums = lines(rest)
            return {name: (f"{one}\n",) for name, one in zip(told, sums, strict=True)} if len(told) == len(sums) else {}
        sizes = {found[2]: int(found[1]) for row in told if (found := SIZED.fullmatch(row))}
        return {name: (text,) for name, text in _apart(rest, sizes) if name in names}

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer | None:  # noqa: ARG002 - one fact a command
        """Tell it as it is."""
        return said(fact[0])

    def texts(self, kind: str, name: str) -> list[str]:  # noqa: ARG002 - contents are asked where a test reads them
        """Return nothing: that a file is mentioned does not mean that anybody reads it."""
        return []


def _apart(told: bytes, sizes: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Give the contents of each file whose checksum is that of the piece that its size cuts out."""
    head, _, content = told.partition(b"\n\n")
    sums = [row.split("  ", 1)[::-1] for row in lines(head + b"\n") if "  " in row]
    ends = list(itertools.accumulate(sizes.get(name, 0) for name, _ in sums))
    for (name, checksum), begin, end in zip(sums, [0, *ends], ends, strict=False):
        piece = content[begin:end]
        if hashlib.sha256(piece).hexdigest() == checksum:
            yield name, piece.decode("utf-8", "surrogateescape")
