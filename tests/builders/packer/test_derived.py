"""A template to bake once more: it starts where it is told and publishes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.builders.packer import derived, hcl, template
from imagetest.errors import ConfigError
from tests.builders.packer.project import Project

BASE = "sha256:" + "c" * 64

HCL = r"""
# image = "a comment with a brace {"
variable "base" { default = "debian:12" }
source "docker" "other" {
  image = "left alone"
}
source "docker" "web" {
  image  = "${var.base}"   # the base }
  pull   = true
  commit = true
  changes = [
    "ENV image=\"}\"",
    "CMD [\"${path.root}/x\"]",
  ]
  build {
    path = "Dockerfile"
  }
}
build {
  sources = ["source.docker.web", "source.docker.other"]
  provisioner "shell" {
    script = "${path.root}/provision.sh"
    inline = [<<-EOT
      echo "post-processor { path.root ${path.root} $${path.root}"
      EOT
    ]
  }
  provisioner "file" {
    source      = join("/", [path.root, "files"])
    destination = "path.root {"
  }
  post-processor "docker-tag" { repository = "web" }
  post-processors {
    post-processor "docker-tag" {
      repository = "${path.root}"
    }
  }
}
"""


def derive(project: Project, source: str = "docker.web", base: str = BASE) -> str:
    order = project.order()
    found = template.read(order)
    block = next(one for one in found.sources if one.name == source)
    folder = project.folder / "derived"
    folder.mkdir(exist_ok=True)
    return derived.write(found, block, folder, path=order.template, base=base).read_text()


def test_a_source_starts_from_the_finished_image_and_nothing_is_published(project: Project) -> None:
    project.file("packer/web.pkr.hcl", HCL)
    text = derive(project)
    root = project.folder / "packer"

    assert f'source "docker" "web" {{\n  image = "{BASE}"\n  pull  = false' in text
    assert text.count("image = ") == 3  # that one, the other source's, and the comment's
    assert "pull   = true" not in text
    assert "Dockerfile" not in text
    assert "docker-tag" not in text
    assert 'image = "left alone"' in text
    assert f'script = "${{"{root}"}}/provision.sh"' in text
    assert f'echo "post-processor {{ path.root ${{"{root}"}} $${{path.root}}"' in text
    assert f'join("/", ["{root}", "files"])' in text
    assert 'destination = "path.root {"' in text


def test_without_a_base_it_starts_from_its_own(project: Project) -> None:
    project.file("packer/web.pkr.hcl", HCL)
    text = derive(project, base="")

    assert 'image  = "${var.base}"   # the base }' in text
    assert "docker-tag" not in text


def test_a_folder_of_templates_is_derived_with_its_variables(project: Project) -> None:
    project.template = "packer"
    project.file("packer/one.pkr.hcl", 'source "docker" "web" {\n  image = "x"\n}\n')
    project.file("packer/two.pkr.hcl", 'build {\n  sources = ["source.docker.web"]\n}\n')
    project.file("packer/x.auto.pkrvars.hcl", 'base = "debian:13"\n')
    order = project.order()
    found = template.read(order)
    folder = project.folder / "derived"
    folder.mkdir()
    made = derived.write(found, found.sources[0], folder, path=order.template, base=BASE)

    assert made == folder
    assert {one.name for one in made.iterdir()} == {"one.pkr.hcl", "two.pkr.hcl", "x.auto.pkrvars.hcl"}
    assert BASE in (made / "one.pkr.hcl").read_text()


def test_a_json_template_is_derived_as_data(project: Project) -> None:
    project.template = "packer/web.json"
    tables = {
        "builders": [{"type": "docker", "name": "web", "image": "{{user `base`}}", "pull": True, "commit": True}],
        "provisioners": [{"type": "shell", "script": "{{ template_dir }}/x.sh"}],
        "post-processors": [["docker-tag"]],
    }
    project.file("packer/web.json", json.dumps(tables))
    made = json.loads(derive(project, "web"))

    assert made == {
        "builders": [{"type": "docker", "name": "web", "image": BASE, "pull": False, "commit": True}],
        "provisioners": [{"type": "shell", "script": f"{project.folder}/packer/x.sh"}],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('source "qemu" "web" {}\nbuild {\n  sources = ["source.qemu.web"]\n}\n', "starts from no finished image"),
        (
            (
                'source "docker" "web" {}\nbuild {\n  sources = ["source.docker.web"]\n'
                '  dynamic "provisioner" {\n    for_each = []\n  }\n}\n'
            ),
            "'dynamic' blocks",
        ),
    ],
)
def test_what_cannot_be_derived_is_refused_with_the_reason(project: Project, text: str, why: str) -> None:
    project.file("packer/web.pkr.hcl", text)
    with pytest.raises(ConfigError, match=why):
        derive(project, "qemu.web" if "qemu" in text else "docker.web")


def test_a_json_template_that_computes_with_its_folder_is_refused(project: Project) -> None:
    project.template = "packer/web.json"
    shell = {"type": "shell", "script": '{{ printf "%s/x" template_dir }}'}
    project.file("packer/web.json", json.dumps({"builders": [{"type": "docker"}], "provisioners": [shell]}))
    with pytest.raises(ConfigError, match="template_dir for more than a path"):
        derive(project, "docker")


def test_blocks_are_found_where_they_stand() -> None:
    found = [(one.kind, one.labels) for one in hcl.blocks(HCL)]

    assert found == [
        ("variable", ("base",)), ("source", ("docker", "other")), ("source", ("docker", "web")), ("build", ()),
        ("build", ()), ("provisioner", ("shell",)), ("provisioner", ("file",)), ("post-processor", ("docker-tag",)),
        ("post-processors", ()), ("post-processor", ("docker-tag",)),
    ]  # fmt: skip


@given(text=st.text(alphabet='ab="${}#/*\n\\<-E[]% ', max_size=60))
def test_no_text_stops_the_scanner_and_what_is_no_code_is_left_alone(text: str) -> None:
    assert len(hcl.code(text)) == len(text)
    assert hcl.with_root(text, "/root") == text
    assert all(0 <= one.start < one.inside <= one.end <= len(text) for one in hcl.blocks(text))


@given(root=st.text(alphabet='a/"${}\\%', max_size=12))
def test_a_folder_of_any_name_can_be_written_out(root: str) -> None:
    written = hcl.with_root("x = path.root", root)

    assert hcl.code(written).split() == ["x", "="]


def test_the_templates_of_the_demo_are_derived(tmp_path: Path, project: Project) -> None:
    packer = Path(__file__).parents[3] / "packer" / "photoapp"
    for name, source in (("photoapp.pkr.hcl", "docker.photoapp"), ("photoapp.json", "photoapp")):
        order = project.order(template=packer / name)
        found = template.read(order)
        block = next(one for one in found.sources if one.name == source)
        text = derived.write(found, block, tmp_path, path=order.template, base=BASE).read_text()

        assert BASE in text
        assert f"{packer}" in text
        assert template.read(project.order(template=tmp_path / name)).sources[0].body["image"] in {BASE, f'"{BASE}"'}
