"""Reading templates in their two languages."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from imagetest.builders.packer.template import Template, read
from imagetest.errors import ConfigError
from imagetest.model.plan import BakeOrder
from tests.builders.packer.project import Project

HCL = """
packer {
  required_version = ">= 1.6"
}
variable "base" {
  type    = string
  default = "debian:12"
}
variable "token" {
  sensitive = true
}
locals {
  greeting = "hello"
}
source "docker" "web" {
  image = var.base
}
source "docker" "db" {
  image = "debian:12"
}
build {
  sources = ["source.docker.web"]
  source "source.docker.db" {
    name   = "small"
    commit = true
  }
  provisioner "shell" {
    only   = ["docker.small"]
    inline = ["true"]
  }
  provisioner "file" {
    except      = ["docker.web"]
    source      = "a"
    destination = "/a"
  }
  post-processor "docker-tag" {
    repository = "web"
  }
  post-processors {
    post-processor "docker-tag" {
      repository = "web"
    }
    post-processor "manifest" {
    }
  }
}
"""


def of(project: Project, **changes: object) -> Template:
    return read(project.order(**changes))


def kinds(template: Template) -> list[tuple[str, str]]:
    return [(block.kind, block.type) for block in template.blocks if block.kind != "source"]


def test_a_template_in_hcl_is_read(project: Project) -> None:
    project.file(project.template, HCL)
    found = of(project)

    assert [source.name for source in found.sources] == ["docker.web", "docker.small"]
    assert found.sources[1].label == "docker.db"
    assert found.sources[1].body["image"] == '"debian:12"'
    assert kinds(found) == [
        ("provisioner", "shell"),
        ("provisioner", "file"),
        ("post-processor", "docker-tag"),
        ("post-processor", "docker-tag"),
        ("post-processor", "manifest"),
    ]
    assert [block.only for block in found.blocks if block.type == "shell"] == [("docker.small",)]
    assert found.sensitive == {"token"}
    assert found.locals == {"greeting": '"hello"'}
    assert (found.plugins, found.data, found.dynamic, found.hcl) == (False, False, False, True)


def test_the_plugins_that_are_asked_for_are_noticed(project: Project) -> None:
    plugins = 'packer {\n required_plugins {\n docker = {\n source = "x"\n version = "1"\n }\n }\n}\n'
    project.file(project.template, HCL + plugins)

    assert of(project).plugins


def test_a_build_with_a_name_gives_it_to_its_sources(project: Project) -> None:
    project.file(project.template, HCL.replace("build {\n", 'build {\n  name = "rel"\n'))

    assert [source.name for source in of(project).sources] == ["rel.docker.web", "rel.docker.small"]


def test_a_folder_is_one_template_of_all_its_files(project: Project) -> None:
    project.template = "packer"
    project.file("packer/a.pkr.hcl", 'source "docker" "web" {\n image = "a"\n}\n')
    project.file("packer/b.pkr.json", json.dumps({"build": {"sources": ["source.docker.web"]}}))
    project.file("packer/x.auto.pkrvars.hcl", "")
    project.file("packer/notes.txt", "")
    found = of(project)

    assert [source.name for source in found.sources] == ["docker.web"]
    assert [path.name for path in found.files] == ["a.pkr.hcl", "b.pkr.json", "x.auto.pkrvars.hcl"]
    assert found.root == project.folder / "packer"


def test_hcl_in_json_is_hcl(project: Project) -> None:
    project.template = "web.pkr.json"
    project.file(
        "web.pkr.json",
        json.dumps({
            "variable": {"base": {"default": "debian:12", "sensitive": True}},
            "source": {"docker": {"web": {"image": "${var.base}"}}},
            "build": {"sources": ["source.docker.web"], "provisioner": [{"shell": {"script": "a.sh"}}]},
        }),
    )  # fmt: skip
    found = of(project)

    assert [source.name for source in found.sources] == ["docker.web"]
    assert kinds(found) == [("provisioner", "shell")]
    assert found.sensitive == {"base"}
    assert found.hcl


def test_a_template_in_json_is_read(project: Project) -> None:
    project.template = "web.json"
    tables = {
        "variables": {"base": "debian:12", "needed": None},
        "sensitive-variables": ["token"],
        "builders": [{"type": "docker", "image": "a"}, {"type": "docker", "name": "db", "image": "b"}],
        "provisioners": [{"type": "shell", "only": ["db"], "inline": ["true"]}],
        "post-processors": ["manifest", [{"type": "docker-tag"}, "compress"], {"type": "checksum"}],
    }
    project.file("web.json", json.dumps(tables))
    found = of(project)

    assert [(source.type, source.name) for source in found.sources] == [("docker", "docker"), ("docker", "db")]
    assert kinds(found) == [
        ("provisioner", "shell"), ("post-processor", "manifest"), ("post-processor", "docker-tag"),
        ("post-processor", "compress"), ("post-processor", "checksum"),
    ]  # fmt: skip
    assert found.defaults == {"base": "debian:12"}
    assert found.sensitive == {"token"}
    assert not found.hcl


def values(found: Template, name: str) -> Any:
    return found.given.get(name, found.defaults.get(name))


def test_the_last_to_speak_of_a_variable_is_heard(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.template = "packer"
    project.file("packer/a.pkr.hcl", 'variable "a" {\n default = "default"\n}\n')
    seen = [values(of(project), "a")]
    monkeypatch.setenv("PKR_VAR_a", "environment")
    seen.append(values(of(project), "a"))
    project.file("packer/z.auto.pkrvars.hcl", 'a = "auto"')
    seen.append(values(of(project), "a"))
    project.file("packer/a.auto.pkrvars.json", '{"a": "auto json"}')
    seen.append(values(of(project), "a"))
    files = (project.file("one.pkrvars.hcl", 'a = "file"'), project.file("two.json", '{"a": "later file"}'))
    seen.append(values(of(project, var_files=files[:1]), "a"))
    seen.append(values(of(project, var_files=files), "a"))
    seen.append(values(of(project, var_files=files, variables=(("a", "given"),)), "a"))

    expected = ["default", "environment", "auto", "auto json", "file", "later file", "given"]

    assert [str(one).strip('"') for one in seen] == expected


def test_a_file_of_variables_that_is_found_by_itself_needs_a_folder(project: Project) -> None:
    project.file("packer/web.pkr.hcl", 'variable "a" {\n default = "default"\n}\n')
    project.file("packer/z.auto.pkrvars.hcl", 'a = "auto"')

    assert of(project).defaults == {"a": '"default"'}


def test_the_environment_says_nothing_of_variables_that_nobody_declared(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.file(project.template, HCL)
    monkeypatch.setenv("PKR_VAR_other", "x")

    assert of(project).given == {}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("web.pkr.hcl", "source {", "is not valid HCL at"),
        ("web.pkr.hcl", 'source "docker" "web" {\n  image =\n}\n', "is not valid HCL at line"),
        ("web.json", "{", "is not valid JSON"),
        ("web.json", "[]", "is no Packer template"),
        ("web.json", '{"builders": ["docker"]}', "'builders' must be a list of objects"),
        ("web.json", '{"provisioners": [[1]]}', "'provisioners' must be a list of objects"),
        ("web.pkr.json", "nonsense", "is not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_said(project: Project, name: str, text: str, said: str) -> None:
    project.template = name
    project.file(name, text)

    with pytest.raises(ConfigError, match=said):
        of(project)


def test_a_file_that_is_not_text_is_said(project: Project) -> None:
    (project.folder / "web.pkr.hcl").write_bytes(b"\xff\xfe")
    project.template = "web.pkr.hcl"

    with pytest.raises(ConfigError, match="cannot be read"):
        of(project)


def test_a_variable_file_that_is_wrong_is_said(project: Project) -> None:
    project.file(project.template, HCL)

    with pytest.raises(ConfigError, match=r"one\.hcl is not valid HCL"):
        of(project, var_files=(project.file("one.hcl", "a = = b"),))


STRANGE = {
    "variables that are a list": {"variables": ["a"]},
    "sensitive-variables that are a text": {"sensitive-variables": "token"},
    "builders that are one": {"builders": {"type": "docker"}},
    "only that is a text": {"provisioners": [{"type": "shell", "only": "web"}]},
    "a source that is a text": {"source": "docker"},
    "a build that is a text": {"build": "web"},
    "a build of texts": {"build": ["web"]},
    "provisioners that are texts": {"build": {"provisioner": ["shell"]}},
    "a variable that is a text": {"variable": {"a": "b"}},
}


@pytest.mark.parametrize("suffix", [".json", ".pkr.json"])
@pytest.mark.parametrize("tables", STRANGE.values(), ids=STRANGE)
def test_json_of_another_shape_is_read_or_refused_and_never_a_crash(
    project: Project, tables: dict[str, object], suffix: str
) -> None:
    project.template = f"web{suffix}"
    project.file(project.template, json.dumps(tables))
    with suppress(ConfigError):
        project.all()


@pytest.mark.skipif(os.sep != "/", reason="names of files are bytes on POSIX only")
def test_a_template_may_be_called_anything(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.pkr.hcl")
    path.write_text(HCL)

    assert len(read(BakeOrder(name="x", template=path, project=tmp_path)).sources) == 2
