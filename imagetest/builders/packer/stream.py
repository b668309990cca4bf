"""Packer's machine-readable output: `timestamp,target,type,data...`, one message a line.

The format and its escapes are documented at https://developer.hashicorp.com/packer/docs/commands#machine-readable-output.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

MINIMUM_FIELDS = 3

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

HEADLINE = re.compile(r"^(?:==>|-->) (?P<source>[^:]+?)(?: \([\w-]+\))?: (?P<text>.*)$", re.DOTALL)
DETAIL = re.compile(r"^ +(?P<source>[^ :]+?)(?: \([\w-]+\))?: (?P<text>.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line of the stream."""

    target: str
    kind: str
    data: tuple[str, ...]


def parse(line: bytes) -> Message | None:
    """Read a line; None for one that is none of Packer's messages, such as a crash report."""
    fields = line.decode(errors="replace").rstrip("\r\n").split(",")
    if len(fields) < MINIMUM_FIELDS or not fields[0].isdigit():
        return None
    return Message(target=fields[1], kind=fields[2], data=tuple(_unescape(one) for one in fields[3:]))


def escaped(text: str) -> str:
    """Return a text as it stands on a line of the stream."""
    return text.replace(",", "%!(PACKER_COMMA)").replace("\r", "\\r").replace("\n", "\\n")


def _unescape(text: str) -> str:
    return ANSI.sub("", text.replace("%!(PACKER_COMMA)", ",").replace("\\r", "").replace("\\n", "\n"))


@dataclass(kw_only=True)
class Transcript:
    """What a build said: its artifacts and errors by source, and the containers it started."""

    show: Callable[[str, str, bool], None]
    """Called with source, text and whether it is a mere detail."""
    started: Callable[[str], None] = lambda _container: None
    """Called with the id of each container that Packer starts."""
    artifacts: dict[str, dict[int, dict[str, str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    errors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    said: list[str] = field(default_factory=list)
    """What was reported as an error outside of any source."""
    complaints: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What each source wrote as an error, which a script's standard error is too."""
    containers: set[str] = field(default_factory=set)

    def line(self, line: bytes) -> None:
        """Take a line in, whatever it is."""
        message = parse(line)
        if message is not None:
            self.hear(message)
        elif line.strip():
            self.said.append(line.decode(errors="replace").strip())

    def hear(self, message: Message) -> None:
        """Take a message in."""
        if message.kind == "ui":
            self._ui(*(*message.data, "", "")[:2])
        elif message.kind == "error" and message.data:
            self.errors[message.target].append(message.data[0])
        elif message.kind == "artifact" and len(message.data) >= MINIMUM_FIELDS and message.data[0].isdecimal():
            number, key, value = int(message.data[0]), message.data[1], message.data[2]
            if key == "file" and len(message.data) > MINIMUM_FIELDS:  # NUMBER,file,INDEX,PATH
                key, value = f"file {value}", message.data[3]
            self.artifacts[message.target][number].setdefault(key, value)

    def _ui(self, level: str, text: str) -> None:
        if (started := re.search(r"Container ID: ([0-9a-f]{12,64})", text)) is not None:
            self.containers.add(started[1])
            self.started(started[1])
        headline, detail = HEADLINE.match(text), DETAIL.match(text)
        spoken = headline or detail
        if spoken is not None:
            self.show(spoken["source"], spoken["text"], headline is None)
            if level == "error":
                self.complaints[spoken["source"]].append(spoken["text"].strip())
        elif text.strip() and level == "error":
            self.said.append(text.strip())
