"""Packer's machine-readable output, recorded from a template of which one source is baked and the other fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.builders.packer.stream import Message, Transcript, escaped, parse

DATA = Path(__file__).parents[2] / "data" / "packer"
RECORDED = sorted(DATA.glob("two-sources-*.txt"))


class Screen:
    """Remembers what was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str, bool]] = []

    def __call__(self, source: str, text: str, detail: bool) -> None:  # noqa: FBT001 - the callback's plain flag
        self.shown.append((source, text, detail))


def heard(data: bytes) -> tuple[Transcript, Screen]:
    screen = Screen()
    transcript = Transcript(show=screen)
    for line in data.splitlines(keepends=True):
        transcript.line(line)
    return transcript, screen


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_bake_is_understood(path: Path) -> None:
    transcript, screen = heard(path.read_bytes())
    made = transcript.artifacts["docker.good"][0]
    error = transcript.errors["docker.bad"][0]

    assert made["builder-id"] == "packer.post-processor.docker-import"
    assert made["id"].startswith("sha256:")
    assert "docker.bad" not in transcript.artifacts
    assert error.startswith("Script exited with non-zero exit status: 7.")
    assert "E: the disk is gone" in transcript.complaints["docker.bad"]
    assert len(transcript.containers) == 2
    assert ("docker.good", "one, two") in {(source, text) for source, text, _ in screen.shown}
    assert {source for source, _, _ in screen.shown} == {"docker.good", "docker.bad"}


def test_both_recordings_are_there() -> None:
    assert [path.stem.rpartition("-")[2] for path in RECORDED] == ["1.16.0", "1.6.6"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1,,ui,say,a%!(PACKER_COMMA)b\\nc\n", Message(target="", kind="ui", data=("say", "a,b\nc"))),
        (b"1,docker.web,error,no\r\n", Message(target="docker.web", kind="error", data=("no",))),
        (b"1,,ui,message,\x1b[1;32mgreen\x1b[0m", Message(target="", kind="ui", data=("message", "green"))),
        (b"1,,ui,say,caf\xe9", Message(target="", kind="ui", data=("say", "caf\ufffd"))),
        (b"1,,error-count,1", Message(target="", kind="error-count", data=("1",))),
    ],
)
def test_a_line_is_a_message(line: bytes, expected: Message) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize("line", [b"", b"\n", b"panic: runtime error", b"goroutine 1, running, now, here", b"1,2"])
def test_a_line_that_is_no_message_is_kept_as_it_is(line: bytes) -> None:
    assert parse(line) is None
    assert heard(line)[0].said == ([line.decode()] if line.strip() else [])


@given(st.text(st.characters(codec="utf-8", exclude_characters="\\\r\x1b"), max_size=30))
def test_what_was_escaped_comes_back(text: str) -> None:
    message = parse(f"1,,ui,say,{escaped(text)}".encode())

    assert message is None or "\n" in text or message.data == ("say", text)
    assert "," not in escaped(text).replace("%!(PACKER_COMMA)", "")


@given(st.binary(max_size=60))
def test_no_line_is_too_strange(data: bytes) -> None:
    heard(b"1,x,artifact,0,id," + data)
    heard(b"1,x,artifact," + data)
    heard(data)


def test_a_post_processor_speaks_for_its_source() -> None:
    _, screen = heard(
        b"1,,ui,message,    docker.web (docker-tag): Repository: web:7\n1,,ui,say,==> docker.web (shell-local): x\n"
    )

    assert screen.shown == [("docker.web", "Repository: web:7", True), ("docker.web", "x", False)]


def test_an_artifact_that_is_reported_twice_counts_once() -> None:
    transcript, _ = heard(b"1,web,artifact,0,id,first\n1,web,artifact,0,id,second\n1,web,artifact,1,id,other\n")

    assert {number: one["id"] for number, one in transcript.artifacts["web"].items()} == {0: "first", 1: "other"}


def test_the_files_of_a_disk_are_told_apart() -> None:
    """The format is that of Packer 1.6.6's own output, whose id of a disk is always `VM`."""
    transcript, _ = heard(
        b"1,vm,artifact,0,builder-id,transcend.qemu\n1,vm,artifact,0,id,VM\n1,vm,artifact,0,files-count,2\n"
        b"1,vm,artifact,0,file,0,out/efivars.fd\n1,vm,artifact,0,file,1,out/disk.qcow2\n1,vm,artifact,0,end\n"
    )
    made = transcript.artifacts["vm"][0]

    assert (made["id"], made["file 0"], made["file 1"]) == ("VM", "out/efivars.fd", "out/disk.qcow2")
