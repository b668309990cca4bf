"""imagetest.toml: every mistake in one file is said at once, each with its line and what would have been understood."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from imagetest.config.settings import load
from imagetest.errors import ConfigError
from imagetest.model.control import Severity

DATA = Path(__file__).parents[1] / "data" / "settings"
BAD = sorted(path for path in DATA.glob("*.toml") if path.name != "good.toml")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_file_with_mistakes_is_refused_with_all_of_them(path: Path) -> None:
    expected = re.findall(r"^# expect: (.*)$", path.read_text(), re.MULTILINE)
    with pytest.raises(ConfigError) as caught:
        load(path)
    said = str(caught.value)

    assert expected
    assert str(path) in said
    for one in expected:
        assert one in said
    if "waiver" not in path.name and "syntax" not in path.name:
        assert len(said.splitlines()) == 1 + len(expected)
        assert caught.value.hint == "docs/configuration.md describes every setting"


def test_mistakes_stand_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load(DATA / "wrong_type.toml")
    lines = [int(one) for one in re.findall(r"line (\d+):", str(caught.value))]

    assert lines == sorted(lines)


def test_a_good_file_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGETEST_REGISTRY", raising=False)
    settings = load(DATA / "good.toml")

    assert settings.project == DATA
    assert settings.state == DATA / "state"
    assert settings.registry_url == f"sqlite:///{DATA}/state/registry.sqlite"
    assert set(settings.images) == {"web", "old"}
    assert set(settings.gates) == {"default", "lax"}
    assert settings.gates["lax"].tolerate == {Severity.LOW}
    assert [one.expires for one in settings.gates["lax"].waivers] == [date(2027, 1, 31), date(2020, 1, 31)]
    assert settings.channel("stable").tag == "{image}:{channel}"


def test_the_closest_file_above_is_read(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "imagetest.toml").write_text("[gates.strict]\n")

    assert "strict" in load(start=deep).gates
    assert load(start=deep).project == tmp_path


def test_without_a_file_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGETEST_REGISTRY", raising=False)
    settings = load(start=tmp_path)

    assert settings.file is None
    assert settings.images == {}
    assert set(settings.gates) == {"default"}
    assert settings.registry_url == f"sqlite:///{tmp_path}/.imagetest/registry.sqlite"


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGETEST_REGISTRY", "postgresql+psycopg://maria:s3cret@db/x")
    settings = load(DATA / "good.toml")

    assert settings.registry_url == "postgresql+psycopg://maria:s3cret@db/x"
    assert settings.registry_shown == "postgresql+psycopg://maria:***@db/x"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////srv/registry.sqlite", "sqlite:////srv/registry.sqlite"),
        ("postgresql+psycopg://maria@db/x", "postgresql+psycopg://maria@db/x"),
        ("postgresql+psycopg://maria:p@ss:w@db/x", "postgresql+psycopg://maria:***@db/x"),
        (
            "postgresql+psycopg://maria@db/x?password=p&sslmode=require",
            "postgresql+psycopg://maria@db/x?password=***&sslmode=require",
        ),
    ],
)
def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch, url: str, shown: str) -> None:
    monkeypatch.setenv("IMAGETEST_REGISTRY", url)

    assert load(DATA / "good.toml").registry_shown == shown


def test_a_file_that_is_not_there_or_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    for name, said in (("none.toml", "there is no"), ("latin.toml", "cannot be read"), ("", "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            load(tmp_path / name)


def test_a_channel_that_is_not_declared_lists_those_that_are() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown channel 'stabel'; did you mean 'stable'\? \(known: stable\)"
    ) as caught:
        load(DATA / "good.toml").channel("stabel")

    assert caught.value.hint == "declare it: [channels.stabel]"


@pytest.mark.parametrize("name", ["boot", "images", "gates"])
def test_a_name_that_is_a_table_elsewhere_confuses_nobody(tmp_path: Path, name: str) -> None:
    file = tmp_path / "imagetest.toml"
    file.write_text(f"[images.{name}]\nimage = 'docker:x'\nport = 22\n")

    with pytest.raises(
        ConfigError, match=rf"line 3: images\.{name}\.port: unknown setting 'port' \(known: allowances, boot, except,"
    ):
        load(file)


def test_comments_strings_and_dotted_keys_do_not_shift_the_line(tmp_path: Path) -> None:
    file = tmp_path / "imagetest.toml"
    file.write_text('# [images.web]\n[images]\nweb.image = "docker:x"\n\n  [ images . "db" ]\n  image="x"\n')

    with pytest.raises(ConfigError, match=r"line 6: images\.db\.image: got 'x'"):
        load(file)
