"""What holds for every collector: nothing that a machine says makes it fail, and what it did not say is a gap."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetest.collectors.reading import complaints, legible
from imagetest.config.wiring import collectors
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part
from imagetest.pipeline.snapshot import batch_of
from tests.collectors.recorded import FILE, recorded
from tests.test_docs import ROOT, entry_points

ALL = collectors()
EVERYWHERE = Scope(listed=("/",), changed_since=1.0, excluded=("/x y",), brought=("ssh-ed25519 AAAA",))
NAMES = {name for parts in json.loads(FILE.read_text()).values() for name in parts} | {
    "rpm", "apk", "rules", "states", "listed", "changed", "modules",
}  # fmt: skip
CODES = st.sampled_from([0, 1, 2, 127, 255, None])
MARKED = st.lists(
    st.sampled_from([
        b"\0", b"\n", b"\t", b" ", b":", b"=", b"/", b"/x", b"f 644 a b 1 /x", b"l 777 a b 1 /x", b"a" * 64, b"\xff",
        b"-----BEGIN CERTIFICATE-----", b"-----END", b"table tcp\n", b"0100007F:1F90", b"0A", b"1", b"socket:[1]",
        b"Id=x.service\n", b"perl\n", b"/etc/systemd/system/x.service", b" - ", b"ext4", b"99999999999999999999", b"%",
    ]),
    max_size=30,
).map(b"".join)  # fmt: skip
BYTES = st.one_of(st.binary(max_size=200), MARKED)
PARTS = st.dictionaries(
    st.sampled_from(sorted(NAMES)), st.builds(Part, stdout=BYTES, stderr=BYTES, exit_code=CODES), max_size=8
)


def check(found: Family) -> None:
    """Say that a family can be compared and shown: text for one line, everywhere."""
    for key, attributes in found.facts.items():
        for text in (key, *attributes, *attributes.values()):
            assert text.isprintable() or not set(text) & set("\0\n\r\t\x1b"), text
            assert text.encode("utf-8") is not None
    for gap in found.gaps:
        assert gap.reason


@pytest.mark.parametrize("collector", ALL, ids=lambda one: one.name)
@settings(max_examples=150, deadline=None)
@given(parts=PARTS)
def test_no_answer_makes_a_collector_fail(collector: object, parts: dict[str, Part]) -> None:
    check(collector.read(parts))  # type: ignore[attr-defined]


@pytest.mark.parametrize("collector", ALL, ids=lambda one: one.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_real_answer_makes_a_collector_fail(collector: object, data: st.DataObject) -> None:
    parts = recorded(collector.name)  # type: ignore[attr-defined]
    name = data.draw(st.sampled_from(sorted(parts)))
    whole = parts[name].stdout
    at = data.draw(st.integers(0, len(whole)))
    damaged = whole[:at] + data.draw(BYTES) + whole[at + data.draw(st.integers(0, 50)) :]
    parts[name] = Part(stdout=damaged, stderr=data.draw(BYTES), exit_code=data.draw(CODES))

    check(collector.read(parts))  # type: ignore[attr-defined]


@pytest.mark.parametrize("collector", ALL, ids=lambda one: one.name)
def test_a_part_that_was_cut_off_or_failed_without_a_word_is_a_gap(collector: object) -> None:
    for name, part in recorded(collector.name).items():  # type: ignore[attr-defined]
        cut = recorded(collector.name, **{name: Part(stdout=part.stdout, exit_code=None)})  # type: ignore[attr-defined]
        assert collector.read(cut).gaps, name  # type: ignore[attr-defined]


@pytest.mark.parametrize("collector", ALL, ids=lambda one: one.name)
def test_nothing_at_all_is_a_gap(collector: object) -> None:
    found = collector.read({})  # type: ignore[attr-defined]

    assert found.facts == {}
    assert found.gaps


def test_the_whole_script_is_understood_by_every_shell() -> None:
    script = batch_of(ALL, EVERYWHERE).script()

    for shell in ("dash", "bash"):
        done = subprocess.run([shell, "-n"], input=script.encode(), check=False, capture_output=True, timeout=20)
        assert (done.returncode, done.stderr) == (0, b""), shell
    assert len(batch_of(ALL, EVERYWHERE).script(sudo=True)) < 128 * 1024 / 2  # one argument of execve(2)


def test_every_collector_has_its_name_its_page_and_its_noun() -> None:
    names = set(entry_points()["imagetest.collectors"])

    assert {one.name for one in ALL} == names
    assert {path.stem for path in (ROOT / "docs" / "collectors").glob("*.md")} == names
    for name in names:
        assert f"(collectors/{name}.md)" in (ROOT / "docs" / "collectors.md").read_text()


@pytest.mark.parametrize(
    ("said", "path"),
    [
        (b"find: '/root': Permission denied", b"/root"),
        (rb"find: '/a\nb\377': Permission denied", b"/a\nb\xff"),
        (rb"find: '/it\'s': Permission denied", b"/it's"),
        (b"find: /root: Permission denied", b"/root"),
        (b"sha256sum: /root/x: Permission denied", b"/root/x"),
        (b"sha256sum: can't open '/root/x': Permission denied", b"/root/x"),
        (b"cat: can't open '/etc/shadow': Permission denied", b"/etc/shadow"),
        (b"ls: cannot open directory '/proc/1/fd': Permission denied", b"/proc/1/fd"),
        (b"grep: /etc/a: b: Input/output error", b""),
        (b"grep: /proc/sys/x: Permission denied", b"/proc/sys/x"),
        (b"/bin/sh: 5: cannot open /etc/shadow: Permission denied", b"/etc/shadow"),
    ],
)
def test_complaints_are_understood(said: bytes, path: bytes) -> None:
    found = complaints(Part(stdout=b"", stderr=said))

    assert list(found.denied) == ([path] if path else [])
    assert bool(found.other) is not bool(path)


@given(one=st.binary(), two=st.binary())
def test_no_two_names_become_one(one: bytes, two: bytes) -> None:
    assert (legible(one) == legible(two)) is (one == two)
    assert "\n" not in legible(one)
