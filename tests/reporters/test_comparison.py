"""What `imagetest diff` and `imagetest parity` print: how much first, then what nobody explains, in words."""

from __future__ import annotations

from dataclasses import replace

from imagetest.model.drift import Allowance, Difference, Drift, Kind, Party, Side, Unread
from imagetest.model.parity import Comparison, Parity, ParityKind
from imagetest.model.snapshot import Gap
from imagetest.reporters.comparison import AT_MOST, drift_lines, parity_lines
from imagetest.reporters.terminal import Line, Style, summary
from tests.nouns import NOW, judged
from tests.reporters.regenerate import load

PARITIES = load().assessment.parities
LEFT, RIGHT = Party(subject="web@stable", digest="sha256:" + "a" * 64, taken=NOW), Party(subject="web1", taken=NOW)
ALLOWED = Allowance(pattern="files:/etc/motd", reason="each has its own", owner="maria", origin="production.toml")


def package(key: str, attribute: str = "", kind: Kind = Kind.CHANGED, left: str = "", right: str = "") -> Difference:
    return Difference(
        family="packages", noun="package", key=key, attribute=attribute, kind=kind, left=left, right=right
    )


def drift(*differences: Difference) -> Drift:
    unexplained = sum(one.allowance is None for one in differences)
    return Drift(
        left=LEFT, right=RIGHT, compared=100, equal=100 - len(differences), allowed=len(differences) - unexplained,
        unexplained=unexplained, differences=differences,
    )  # fmt: skip


def texts(lines: list[Line]) -> list[str]:
    return [one.text for one in lines]


def test_a_change_log_counts_then_names() -> None:
    motd = Difference(
        family="files", noun="file", key="/etc/motd", attribute="content", kind=Kind.CHANGED, left="1 byte",
        right="2 bytes", allowance=ALLOWED,
    )  # fmt: skip
    found = drift(
        package("curl", "version", left="1.0-1", right="1.0-2"), package("nmap", kind=Kind.ADDED, right="version 7"),
        package("tar", "version", left="2", right="1"), motd,
    )  # fmt: skip

    assert texts(drift_lines(found)) == [
        "from web@stable sha256:aaaaaaaaaaaa to web1",
        "  100 facts compared: 96 equal, 1 allowed, 3 unexplained",
        "  files     1 changed (1 allowed)",
        "  packages  1 added, 1 upgraded, 1 downgraded",
        "unexplained:",
        "  package curl: version 1.0-1 became 1.0-2 (upgraded)",
        "  package nmap was added (version 7)",
        "  package tar: version 2 became 1 (downgraded)",
        "allowed by files:/etc/motd: each has its own (maria, production.toml):",
        "  file /etc/motd: content 1 byte became 2 bytes",
    ]


def test_what_is_alike_takes_two_lines() -> None:
    lines = drift_lines(drift())

    assert texts(lines)[1:] == ["  100 facts compared: 100 equal, 0 allowed, 0 unexplained"]
    assert lines[1].style is Style.GOOD


def test_a_long_list_is_cut_unless_all_is_asked_for() -> None:
    many = drift(*(package(f"p{number}", kind=Kind.ADDED) for number in range(AT_MOST + 20)))
    short, whole = texts(drift_lines(many)), texts(drift_lines(many, everything=True))

    assert short[-1] == "  ... and 21 more; --all shows them"
    assert len(short) == 4 + AT_MOST
    assert len(whole) == 4 + AT_MOST + 20


def test_a_hostile_name_stays_one_harmless_line() -> None:
    lines = texts(drift_lines(drift(package("a\x1b[2J\nb", kind=Kind.ADDED, right="x\ry"))))

    assert lines[-1] == "  package a␛[2J b was added (x y)"
    assert not any(ord(character) < ord(" ") for text in lines for character in text)


def test_the_table_of_a_parity_names_the_odd_ones_and_what_is_odd() -> None:
    lines = texts(parity_lines(PARITIES))
    rows = {line.split()[0]: line for line in lines[1:7]}

    assert lines[0] == "environment parity of production/web: not alike: web2, web3, web4 of 4"
    assert rows["HOST"].split() == ["HOST", "AGAINST", "FACTS", "EQUAL", "ALLOWED", "UNEXPLAINED", "UNREAD", "CHECKS"]
    assert rows["web1"].split() == ["web1", "photoapp", "81", "80", "1", "0", "0", "12/12"]
    assert rows["web2"].endswith("11/12  ODD")
    assert rows["web3"].endswith("NOT READ")
    assert rows["web4"].endswith("ERROR")
    assert "  web4: cannot reach 'web4' at 192.0.2.14:22: timed out" in lines
    assert "unexplained on web2, against photoapp:" in lines
    assert any(
        line.split()[:5] == ["package", "curl", "version", "7.88.1-10+deb12u5", "7.88.1-10+deb12u12"] for line in lines
    )
    assert any(line.split()[:4] == ["account", "eve", "(absent)", "uid"] for line in lines)
    assert any("test_enabled  passed  failed: photoapp.service is disabled" in line for line in lines)
    assert "platform parity of photoapp: alike" in lines


def test_machines_that_differ_in_the_same_way_are_told_once() -> None:
    change = package("curl", "version", left="1", right="2")
    group = Parity(
        kind=ParityKind.ENVIRONMENT, name="production/web",
        comparisons=tuple(Comparison(left="web", right=f"web{number}", drift=drift(change)) for number in range(5)),
    )  # fmt: skip
    lines = texts(parity_lines([group]))

    assert lines[0] == "environment parity of production/web: not alike: web0, web1, web2 and 2 more of 5"
    assert [line for line in lines if "curl" in line] == ["  package curl version  1  2"]
    assert "unexplained on web0, web1, web2, web3, web4, against web:" in lines


def test_where_nothing_was_compared_nothing_is_alike() -> None:
    empty = Parity(kind=ParityKind.GROUP, name="production/web", comparisons=())

    assert texts(parity_lines([empty])) == ["group parity of production/web: nothing was compared"]


def test_each_parity_is_one_line_of_the_summary() -> None:
    assessment = replace(judged(), parities=PARITIES)
    said = [line for line in summary(assessment, load().verdict, width=200) if "parity" in line.text]

    environment, group, platform = (line.text.removeprefix("  parity    ") for line in said)
    assert environment.startswith("environment production/web: 9 unexplained, 3 allowed, 1 not read of 247 facts; ")
    assert environment.endswith("; not alike: web2, web3, web4 of 4")
    assert group.endswith("9 unexplained, 0 allowed, 1 not read of 247 facts; not alike: web2, web3 of 3")
    assert platform == "platform photoapp: 0 unexplained, 0 allowed of 81 facts; alike"
    assert [line.style for line in said] == [Style.BAD, Style.BAD, Style.PLAIN]


def test_of_two_hosts_that_differ_both_are_named() -> None:
    change = package("curl", "version", left="1", right="2")
    pair = (Comparison(left="web1", right="web2", drift=drift(change)),)
    lost = (Comparison(left="the others of web", right="web3", error="it is down"), *pair)

    assert texts(parity_lines([Parity(kind=ParityKind.GROUP, name="web", comparisons=pair)]))[0] == (
        "group parity of web: not alike: web1, web2 of 2"
    )
    assert texts(parity_lines([Parity(kind=ParityKind.GROUP, name="web", comparisons=lost)]))[0] == (
        "group parity of web: not alike: web3, web1, web2 of 3"
    )


def test_what_the_image_does_not_tell_is_said_once() -> None:
    gap = Unread(side=Side.LEFT, family="sshd", gap=Gap(reason="no hostkeys available"))
    comparisons = tuple(
        Comparison(left="web", right=name, drift=replace(drift(), unread=(gap,))) for name in ("web1", "web2")
    )
    lines = texts(parity_lines([Parity(kind=ParityKind.ENVIRONMENT, name="x", comparisons=comparisons)]))

    assert [line for line in lines if "hostkeys" in line] == ["  web@stable does not tell sshd: no hostkeys available"]
