"""Suites, catalogues of controls and profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetest.config.suites import Library, load_catalogue, shipped
from imagetest.errors import ConfigError
from imagetest.model.control import Control, Reference, Severity

KNOWN = {name: Control(id=name, title=name) for name in ("web-serves", "web-is-quiet", "sshd-on")}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def profile(folder: Path, text: str) -> Library:
    write(folder / "suites" / "profiles" / "web.toml", text)
    return Library(folder)


def test_the_projects_own_suite_goes_before_one_that_is_shipped(tmp_path: Path) -> None:
    library = Library(tmp_path)
    before = library.suite("baseline")
    mine = write(tmp_path / "suites" / "baseline" / "test_x.py", "").parent

    assert before == shipped("suites") / "baseline"
    assert library.suite("baseline") == mine


def test_a_suite_is_named_by_a_path_within_the_project_too(tmp_path: Path) -> None:
    library = Library(tmp_path)
    file = write(tmp_path / "checks" / "test_x.py", "")

    assert library.suite("checks") == file.parent
    assert library.suite("checks/test_x.py") == file
    assert library.suite("checks/test_y.py") is None
    assert library.suite("nothing") is None


def test_the_shipped_catalogues_and_profiles_are_sound() -> None:
    library = Library(shipped("suites").parent)
    known = load_catalogue(library.catalogues())

    assert "baseline" in library.suites()
    assert all(library.profile(name, known).required for name in library.profiles())


def test_a_catalogue_is_read_whole(tmp_path: Path) -> None:
    path = write(
        tmp_path / "controls.toml",
        '[web-serves]\ntitle = "It serves"\nseverity = "critical"\nrationale = "why"\nreferences = ["NIST: x: AC-6"]\n',
    )

    assert load_catalogue([path, path])["web-serves"] == Control(
        id="web-serves", title="It serves", severity=Severity.CRITICAL, rationale="why",
        references=(Reference(framework="NIST: x", id="AC-6"),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[a]\nseverity = "low"\n', "line 1: a: expected a title"),
        ('[a]\ntitle = "x"\n', "a.severity: got None, expected one of critical, high, medium, low"),
        ('[a]\ntitle = "x"\nseverity = "unrated"\n', "line 3: a.severity: got 'unrated'"),
        ('[a]\ntitle = "x"\nseverity = "low"\nreference = []\n', "did you mean 'references'"),
        ('[a]\ntitle = "x"\nseverity = "low"\nreferences = ["AC-6"]\n', "line 4: a.references: expected a list"),
        ('a = "x"\n', "line 1: a: expected a table"),
        ("[a]\n[a]\n", "is not valid TOML"),
    ],
)
def test_a_mistake_in_a_catalogue_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_catalogue([write(tmp_path / "controls.toml", text)])

    assert said in str(caught.value)


def test_a_control_that_two_catalogues_describe_is_a_mistake(tmp_path: Path) -> None:
    text = '[a]\ntitle = "x"\nseverity = "low"\n'
    paths = [write(tmp_path / name / "controls.toml", text) for name in ("one", "two")]

    with pytest.raises(ConfigError, match=r"control 'a' is described twice, in .*one/controls.toml and in .*two"):
        load_catalogue(paths)


def test_a_profile_lists_what_is_required_once(tmp_path: Path) -> None:
    library = profile(tmp_path, 'title = "Web"\nrequired = ["web-serves", "sshd-on", "web-serves"]\n')
    found = library.profile("web", KNOWN)

    assert (found.name, found.title, found.required) == ("web", "Web", ("web-serves", "sshd-on"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "required: expected a list of control ids that is not empty"),
        ("required = []\n", "line 1: required: expected a list of control ids that is not empty"),
        ('required = "a"\n', "line 1: required: expected a list"),
        ("required = [1]\n", "line 1: required: expected a list"),
        ('required = ["web-servs"]\n', "'web-servs'; did you mean 'web-serves'? (known: web-is-quiet, web-serves)"),
        ('required = ["nothing"]\n', "unknown control 'nothing' (known: sshd-on, web-is-quiet, web-serves)"),
        ('required = ["sshd-on"]\nrequire = []\n', "line 2: require: unknown setting 'require'; did you mean"),
    ],
)
def test_a_mistake_in_a_profile_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profile(tmp_path, text).profile("web", KNOWN)

    assert said in str(caught.value)


def test_a_profile_that_nobody_wrote_lists_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown profile 'wep'; did you mean 'web'\?"):
        profile(tmp_path, "").profile("wep", KNOWN)
