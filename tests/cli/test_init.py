"""imagetest init: a project that runs as it stands, and never one that overwrites another."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetest.config.settings import load
from imagetest.config.suites import load_catalogue
from tests.dockyard import Dockyard
from tests.workshop import Workshop, workshop_in


def test_a_new_project_is_whole_and_sound(bare: Workshop) -> None:
    ended = bare.imagetest("init", "web")
    folder = bare.folder / "web"
    settings = load(folder / "imagetest.toml")
    known = load_catalogue(settings.library.catalogues())

    assert ended.code == 0
    assert "cd web && pytest --image app\n" in ended.out
    assert settings.library.profile("app", known).required == ("app-greets", "app-not-writable", "app-leaves-no-page")
    for name in (".gitignore", ".github/workflows/image.yml", "packer/app/app.pkr.hcl", "suites/app/test_app.py"):
        assert f"wrote web/{name}" in ended.out
        assert (folder / name).is_file()


def test_nothing_is_overwritten(bare: Workshop) -> None:
    mine = bare.file("imagetest.toml", "# mine\n")
    ended = bare.imagetest("init")

    assert ended.code == 4
    assert ended.err == f"imagetest: {bare.folder} already has imagetest.toml\n  choose an empty folder\n"
    assert mine.read_text() == "# mine\n"
    assert [path.name for path in bare.folder.iterdir()] == ["imagetest.toml"]


def test_a_folder_that_is_a_file_is_said(bare: Workshop) -> None:
    bare.file("web", "")
    ended = bare.imagetest("init", "web")

    assert ended.code == 3
    assert ended.err.startswith("imagetest: cannot write web/")
    assert "Traceback" not in ended.text


@pytest.mark.packer
@pytest.mark.docker
def test_the_new_project_runs_as_it_stands(tmp_path: Path, dockyard: Dockyard) -> None:
    with workshop_in(tmp_path, dockyard) as place:
        place.imagetest("init")
        base = place.environment["PKR_VAR_base"]
        ended = place.pytest("--image", "app", "--gate", PKR_VAR_base_image=base, PKR_VAR_pull="false")

    assert ended.code == 0, ended.text
    assert "3 passed" in ended.out
    assert "verdict: OPEN" in ended.out
