"""Files of allowances: every mistake is one line with its place, and a good one says who allows what, and why."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from imagetest.config.allowances import read_allowances
from imagetest.config.settings import load
from imagetest.errors import ConfigError
from imagetest.model.drift import Allowance

GOOD = """
[[allow]]
pattern = "files:/etc/motd"
attribute = "content"
reason = "each site greets with its own name"
owner = "maria"
expires = 2027-01-31

[[allow]]
pattern = "packages:linux-image-*"
reason = "the platform's kernel"
owner = "jan"
"""


def written(folder: Path, content: str, name: str = "allow.toml") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    motd, kernel = read_allowances(written(tmp_path, GOOD))

    assert motd == Allowance(
        pattern="files:/etc/motd", attribute="content", reason="each site greets with its own name", owner="maria",
        expires=date(2027, 1, 31), origin="allow.toml",
    )  # fmt: skip
    assert (kernel.attribute, kernel.expires) == ("*", None)


def test_an_empty_file_allows_nothing(tmp_path: Path) -> None:
    assert read_allowances(written(tmp_path, "")) == ()


ENTRY = '[[allow]]\npattern = "a:b"\nreason = "r"\nowner = "o"\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[[allow]]\nreason = "r"\nowner = "o"\n', "line 1: allow: expected 'pattern'"),
        ('[[allow]]\npattern = "a:b"\nowner = "o"\n', "line 1: allow: expected 'reason'"),
        ('[[allow]]\npattern = "a:b"\nreason = ""\nowner = "o"\n', "line 1: allow: expected 'reason'"),
        ('[[allow]]\npattern = "a:b"\nreason = "r"\n', "line 1: allow: expected 'owner'"),
        (f"{ENTRY}{ENTRY}patern = 'x'\n", "line 9: allow.patern: unknown setting 'patern'; did you mean 'pattern'?"),
        (ENTRY.replace("a:b", "motd"), "line 2: allow.pattern: got 'motd', expected FAMILY:KEY such as "),
        (ENTRY.replace('"r"', "7"), "line 3: allow.reason: expected a text, got 7"),
        (f"{ENTRY}attribute = ['x']\n", "line 5: allow.attribute: expected a text, got ['x']"),
        (f"{ENTRY}expires = '2027-01-31'\n", "line 5: allow.expires: got '2027-01-31', expected a date "),
        (f"{ENTRY}expires = 2027-01-31T00:00:00\n", "expected a date such as 2027-01-31, without quotes"),
        ("[allow]\npattern = 'x'\n", "line 1: allow: expected [[allow]] tables"),
        ("allow = ['x']\n", "line 1: allow: expected an [[allow]] table"),
        ("[[alow]]\npattern = 'x'\n", "line 1: alow: unknown table 'alow'; did you mean 'allow'?"),
        ("[[allow]\n", "is not valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, content: str, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        read_allowances(path)

    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_allowances(written(tmp_path, '[[allow]]\npattern = "x"\n\n[[allow]]\nowner = 3\n'))

    assert len(str(caught.value).splitlines()) == 1 + 6


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*none\.toml"):
        read_allowances(tmp_path / "none.toml")


def test_a_mistake_in_a_file_is_one_of_the_setting_that_names_it(tmp_path: Path) -> None:
    written(tmp_path, '[[allow]]\npattern = "motd"\nreason = "r"\nowner = "o"\n', "bad.toml")
    written(
        tmp_path,
        '[images.web]\nimage = "docker:web"\nallowances = ["none.toml"]\n\n'
        '[environments.production]\nallowances = ["bad.toml"]\n\n'
        '[environments.production.groups.web]\nhosts = ["web1"]\nallowances = ["bad.toml"]\n',
        "imagetest.toml",
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "imagetest.toml")
    said = str(caught.value)

    assert f"line 3: images.web.allowances: there is no {tmp_path}/none.toml" in said
    assert f"line 6: environments.production.allowances: {tmp_path}/bad.toml: 1 mistake" in said
    assert "line 10: environments.production.groups.web.allowances: " in said
    assert "line 2: allow.pattern: got 'motd'" in said
