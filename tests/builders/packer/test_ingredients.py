"""What the key of a bake must cover: a change that is missed would ship yesterday's image under today's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imagetest.errors import ConfigError
from tests.builders.packer.project import DIGEST, Project

SOURCE = 'source "docker" "web" {\n  image = "debian:12"\n  commit = true\n}\n'
BUILD = 'build {{\n  sources = ["source.docker.web"]\n{}\n}}\n'


def hcl(steps: str, *, before: str = "", source: str = SOURCE) -> str:
    return before + source + BUILD.format(steps)


def docker(setting: str) -> str:
    return hcl("", source=SOURCE.replace("}\n", f"{setting}\n}}\n"))


def disk(settings: str) -> str:
    return hcl("", source=f'source "qemu" "web" {{\n{settings}\n}}\n').replace("docker.web", "qemu.web")


def shell(setting: str) -> str:
    return f'provisioner "shell" {{\n{setting}\n}}\n'


READS: dict[str, tuple[str, str]] = {
    "a script": (hcl(shell('script = "a.txt"')), "a.txt"),
    "one of several scripts": (hcl(shell('scripts = ["b.sh", "${path.root}/a.txt"]')), "packer/a.txt"),
    "a script by a local": (
        hcl(shell("script = local.it"), before='locals {\n it = "${path.root}/a.txt"\n}\n'),
        "packer/a.txt",
    ),
    "a script by a variable": (
        hcl(shell("script = var.it"), before='variable "it" {\n default = "a.txt"\n}\n'),
        "a.txt",
    ),
    "scripts by a variable": (
        hcl(shell("scripts = var.it"), before='variable "it" {\n default = ["a.txt"]\n}\n'),
        "a.txt",
    ),
    "an uploaded file": (hcl('provisioner "file" {\n source = "a.txt"\n destination = "/x"\n}'), "a.txt"),
    "an uploaded folder": (hcl('provisioner "file" {\n source = "files"\n destination = "/x"\n}'), "files/deep/a.txt"),
    "a dotfile in a folder": (
        hcl('provisioner "file" {\n source = "files/"\n destination = "/x"\n}'),
        "files/.hidden/.a",
    ),
    "a repository in a folder": (
        hcl('provisioner "file" {\n source = "files"\n destination = "/x"\n}'),
        "files/.git/HEAD",
    ),
    "file()": (hcl(shell('inline = [file("a.txt")]')), "packer/a.txt"),
    "file() in content": (
        hcl('provisioner "file" {\n content = file("${path.root}/a.txt")\n destination = "/x"\n}'),
        "packer/a.txt",
    ),
    "file() within a text": (hcl(shell('inline = ["echo ${file("a.txt")} there"]')), "packer/a.txt"),
    "file() after what is not understood": (
        hcl(shell('inline = [upper(var.nope), "${var.a == 1 ? file("a.txt") : "x"}"]')),
        "packer/a.txt",
    ),
    "file() within another function": (
        hcl(shell('inline = [base64encode(replace(file("a.txt"), "}", ")"))]')),
        "packer/a.txt",
    ),
    "file() in a local that nobody follows": (
        hcl(
            shell("inline = [for one in local.it : upper(one)]"),
            before='locals {\n it = split(",", file("a.txt"))\n}\n',
        ),
        "packer/a.txt",
    ),
    "file() in a heredoc": (hcl(shell('inline = [<<EOF\ncat ${file("a.txt")}\nEOF\n]')), "packer/a.txt"),
    "templatefile()": (hcl(shell('inline = [templatefile("a.txt", { x = 1 })]')), "packer/a.txt"),
    "file() in what templatefile() is given": (
        hcl(shell('inline = [templatefile("b.tpl", { x = file("a.txt") })]')),
        "packer/a.txt",
    ),
    "fileset()": (
        hcl(shell('scripts = [for one in fileset(path.root, "parts/*") : "${path.root}/${one}"]')),
        "packer/parts/a.sh",
    ),
    "fileset() of all below": (
        hcl(shell('scripts = [for one in fileset(path.root, "parts/**") : "${path.root}/${one}"]')),
        "packer/parts/x/a.sh",
    ),
    "an override": (hcl(shell('script = "b.sh"\n override = {\n "docker.web" = { script = "a.txt" }\n }')), "a.txt"),
    "a nested block": (docker('build {\n  path = "a.txt"\n }'), "a.txt"),
    "a playbook": (hcl('provisioner "ansible-local" {\n playbook_file = "a.txt"\n}'), "a.txt"),
    "roles": (
        hcl('provisioner "ansible-local" {\n playbook_file = "p.yml"\n role_paths = ["roles"]\n}'),
        "roles/web/a.yml",
    ),
    "http_directory": (docker('http_directory = "www"'), "www/preseed.cfg"),
    "http_content": (docker('http_content = {\n "/a" = file("a.txt")\n }'), "packer/a.txt"),
    "floppy_files by a pattern": (docker('floppy_files = ["floppy/*.inf"]'), "floppy/a.inf"),
    "cd_files": (docker('cd_files = ["${path.root}/cd"]'), "packer/cd/a"),
    "a file in a setting of any name": (hcl('provisioner "new-thing" {\n recipe = "a.txt"\n}'), "a.txt"),
    "a path in a setting of any name": (
        hcl('provisioner "new-thing" {\n recipe = "${path.root}/book"\n}'),
        "packer/book/a.yml",
    ),
    "what only this source gets": (hcl(shell('only = ["docker.web"]\n script = "a.txt"')), "a.txt"),
}


@pytest.mark.parametrize(("text", "name"), READS.values(), ids=READS)
def test_a_change_of_what_is_read_changes_the_key(project: Project, text: str, name: str) -> None:
    project.file("packer/web.pkr.hcl", text)
    project.file(name, "one")
    before = project.key()
    project.file(name, "two")

    assert project.key() != before


@pytest.mark.parametrize(("text", "name"), READS.values(), ids=READS)
def test_a_change_of_what_is_not_read_does_not(project: Project, text: str, name: str) -> None:
    project.file("packer/web.pkr.hcl", text)
    project.file(name, "one")
    before = project.key()
    for other in ("README.md", "packer/README.md", "suites/web/test_web.py", "packer/other.txt", ".git/HEAD"):
        project.file(other, "changed")

    assert project.key() == before


FOLDER = hcl('provisioner "file" {\n source = "files"\n destination = "/x"\n}')
CHANGES: dict[str, Callable[[Path], object]] = {
    "a file is new": lambda folder: (folder / "new").write_text(""),
    "a folder is new": lambda folder: (folder / "empty").mkdir(),
    "a file is gone": lambda folder: (folder / "a").unlink(),
    "a file is executable": lambda folder: (folder / "a").chmod(0o755),
    "a file is private": lambda folder: (folder / "a").chmod(0o600),
    "a file is called otherwise": lambda folder: (folder / "a").rename(folder / "c"),
    "a link is new": lambda folder: (folder / "link").symlink_to("a"),
    "a link leads elsewhere": lambda folder: (folder / "third").rename(folder / "old"),
    "what a link leads to changed": lambda folder: (folder.parent / "outside").write_text("two"),
    "a folder behind a link changed": lambda folder: (folder.parent / "behind" / "x").write_text("two"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_folder_counts_with_all_that_an_upload_keeps(project: Project, change: Callable[[Path], object]) -> None:
    project.file("packer/web.pkr.hcl", FOLDER)
    for name in ("files/a", "files/b", "outside", "behind/x"):
        project.file(name, "same").chmod(0o644)
    folder = project.folder / "files"
    (folder / "old").symlink_to("a")
    (folder / "third").symlink_to("b")
    (folder / "out").symlink_to("../outside")
    (folder / "away").symlink_to("../behind")
    before = project.key()
    change(folder)

    assert project.key() != before


def test_a_folder_that_a_link_leads_back_to_is_read_once(project: Project) -> None:
    project.file("packer/web.pkr.hcl", FOLDER)
    project.file("files/a", "same")
    (project.folder / "files" / "round").symlink_to("..")
    (project.folder / "files" / "self").symlink_to("self")

    assert any(one.name == "file files/a" for one in project.one().inputs)


def test_the_order_of_two_links_matters(project: Project) -> None:
    project.file("packer/web.pkr.hcl", hcl(shell('scripts = ["one", "two"]')))
    for name in ("x", "y"):
        project.file(name, name)
    for name, target in (("one", "x"), ("two", "y")):
        (project.folder / name).symlink_to(target)
    before = project.key()
    for name, target in (("one", "y"), ("two", "x")):
        (project.folder / name).unlink()
        (project.folder / name).symlink_to(target)

    assert project.key() != before


def test_everything_beside_files_changes_the_key_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    text = hcl(
        shell('inline = ["echo ${var.a}"]'),
        before='variable "a" {\n default = "x"\n}\nvariable "e" {\n default = env("SHADE")\n}\n',
    )
    project.file("packer/web.pkr.hcl", text)
    var_file = project.file("vars.hcl", 'a = "from a file"')
    keys = [project.key(), project.key(variables=(("a", "given"),)), project.key(var_files=(var_file,))]
    monkeypatch.setenv("PKR_VAR_a", "from the environment")
    keys.append(project.key())
    monkeypatch.setenv("SHADE", "blue")
    keys.append(project.key())
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    keys.append(project.key())
    project.base["debian:12"] = "sha256:" + "c" * 64
    keys.append(project.key())
    project.packer = "packer 1.16.0 packer-plugin-docker_v1.1.5"
    keys.append(project.key())
    project.file("packer/web.pkr.hcl", text + "# changed\n")
    keys.append(project.key())

    assert len(set(keys)) == len(keys)
    assert project.key() == keys[-1]


def test_a_value_that_goes_back_takes_the_key_back(project: Project) -> None:
    project.file("packer/web.pkr.hcl", hcl("", before='variable "a" {\n default = "x"\n}\n'))

    assert project.key(variables=(("a", "y"),)) != project.key()
    assert project.key(variables=(("a", "x"),)) == project.key()


@pytest.mark.parametrize("given", ['["a.txt"]', '[ "${path.root}/../a.txt" ]'])
def test_a_list_that_is_given_on_the_command_line_is_a_list(project: Project, given: str) -> None:
    project.file(
        "packer/web.pkr.hcl", hcl(shell("scripts = var.it"), before='variable "it" {\n type = list(string)\n}\n')
    )
    project.file("a.txt", "one")
    before = project.key(variables=(("it", given),))
    project.file("a.txt", "two")

    assert project.key(variables=(("it", given),)) != before


def test_a_text_that_looks_like_a_list_stays_a_text(project: Project) -> None:
    project.file("packer/web.pkr.hcl", hcl(shell("script = var.it"), before='variable "it" {\n type = string\n}\n'))
    project.file("[1]", "one")
    before = project.key(variables=(("it", "[1]"),))
    project.file("[1]", "two")

    assert project.key(variables=(("it", "[1]"),)) != before


UNKNOWN: dict[str, tuple[str, str]] = {
    "shell-local": (hcl('provisioner "shell-local" {\n inline = ["date"]\n}'), "shell-local"),
    "shell-local afterwards": (hcl('post-processor "shell-local" {\n inline = ["date"]\n}'), "shell-local"),
    "ansible": (hcl('provisioner "ansible" {\n playbook_file = "p.yml"\n}'), "ansible"),
    "a type that nobody knows": (hcl('provisioner "new-thing" {\n}'), "new-thing"),
    "timestamp()": (hcl(shell('inline = ["echo ${timestamp()}"]')), "inline"),
    "timestamp() behind locals": (
        hcl(shell('inline = ["echo ${local.b}"]'), before="locals {\n a = timestamp()\n b = upper(local.a)\n}\n"),
        "inline",
    ),
    "uuidv4()": (hcl(shell("inline = [uuidv4()]")), "inline"),
    "isotime": (hcl(shell('inline = ["echo {{isotime}}"]')), "isotime"),
    "legacy_isotime()": (hcl(shell('inline = ["${legacy_isotime("2006")}"]')), "inline"),
    "the build's own id": (hcl(shell('inline = ["echo ${build.ID}"]')), "inline"),
    "a version of HCP's": (hcl(shell('inline = ["echo ${packer.versionFingerprint}"]')), "inline"),
    "vault()": (hcl(shell('inline = [vault("a", "b")]')), "inline"),
    "vault() as a default": (hcl("", before='variable "a" {\n default = vault("a", "b")\n}\n'), "variable 'a'"),
    "a data source": (hcl("", before='data "amazon-ami" "x" {\n}\n'), "data sources"),
    "dynamic steps": (
        hcl('dynamic "provisioner" {\n for_each = ["a"]\n labels = ["shell"]\n content {\n script = "x"\n }\n}'),
        "dynamic",
    ),
    "a path with an unknown variable": (
        hcl(shell('script = "${var.dir}/x.sh"'), before='variable "dir" {\n}\n'),
        "script",
    ),
    "a path that a loop makes": (hcl(shell('scripts = [for x in ["a"] : "${x}.sh"]')), "scripts"),
    "a path that Packer fills in": (hcl(shell('script = "{{ build_name }}.sh"')), "script"),
    "file() of what is unknown": (
        hcl(shell('inline = [file("${var.dir}/x")]'), before='variable "dir" {\n}\n'),
        "file(",
    ),
    "file() in a template": (hcl(shell('inline = [templatefile("inner.tpl", {})]')), "inner.tpl"),
    "a base image without a digest": (hcl("", source=SOURCE.replace("debian:12", "gone:1")), "gone:1"),
    "an unknown base image": (
        hcl("", before='variable "b" {\n}\n', source=SOURCE.replace('"debian:12"', "var.b")),
        "base image",
    ),
    "a base image that is built": (
        hcl("", source='source "docker" "web" {\n build {\n path = "Dockerfile"\n }\n}\n'),
        "base image",
    ),
    "another platform": (
        hcl("", source='source "googlecompute" "web" {\n}\n').replace("docker.web", "googlecompute.web"),
        "googlecompute",
    ),
    "a disk without a checksum": (disk('iso_url = "https://a.example/a.qcow2"\n iso_checksum = "none"'), "no checksum"),
    "a disk with a list of checksums": (
        disk('iso_url = "https://a.example/a.qcow2"\n iso_checksum = "file:https://a.example/sums"'),
        "no checksum",
    ),
    "no disk": (disk(""), "no checksum"),
    "an unknown disk": (disk("iso_url = var.nope"), "variable 'nope'"),
    "volumes": (docker('volumes = {\n "/srv" = "/srv"\n }'), "volumes"),
    "a mount": (docker('run_command = ["-d", "-v", "/a:/b", "{{.Image}}"]'), "run_command"),
    "a base image of one's own": (docker('run_command = ["-d", "web:7"]'), "run_command"),
}


@pytest.mark.parametrize(("text", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_known_is_named(project: Project, text: str, said: str) -> None:
    project.file("packer/web.pkr.hcl", text)
    project.file("packer/inner.tpl", '${file("secret")}')

    assert any(said in one for one in project.one().unknown), project.one().unknown


KNOWN: dict[str, str] = {
    "plain": hcl(shell('inline = ["true"]')),
    "a script": hcl(shell('script = "a.sh"')),
    "a download": hcl(
        'provisioner "file" {\n source = "/etc/{{timestamp}}"\n destination = "x"\n direction = "download"\n}'
    ),
    "a tag with the time": hcl('post-processor "docker-tag" {\n tags = ["${timestamp()}", "{{isotime}}"]\n}'),
    "the build's name": hcl(shell('inline = ["echo ${build.name}"]')),
    "Packer's own variables": hcl(shell('execute_command = "{{.Vars}} {{.Path}}"\n inline = ["true"]')),
    "a run_command": docker('run_command = ["-d", "-e", "A=b", "{{ .Image }}", "sh"]'),
    "an escaped interpolation": hcl(shell('inline = ["echo $${timestamp()}"]')),
    "a description": hcl(
        shell('inline = ["echo uuid timestamp"]'), before='variable "a" {\n description = "file(x)"\n default = ""\n}\n'
    ),
}


@pytest.mark.parametrize("text", KNOWN.values(), ids=KNOWN)
def test_what_can_be_known_is_not_called_unknown(project: Project, text: str) -> None:
    project.file("packer/web.pkr.hcl", text)

    assert project.one().unknown == ()


def test_a_disk_of_this_machine_is_an_input_by_its_content(project: Project) -> None:
    project.file("packer/web.pkr.hcl", disk('disk_image = true\n iso_url = "base.qcow2"\n iso_checksum = "none"'))
    base = project.file("base.qcow2", "one")
    found, before = project.one(), project.key()
    base.write_text("two")

    assert (found.base, found.unknown) == ("base.qcow2", ())
    assert "file base.qcow2" in {one.name for one in found.inputs}
    assert project.key() != before


def test_a_disk_from_elsewhere_is_known_by_its_checksum(project: Project) -> None:
    url, checksum = "https://a.example/a.qcow2", "sha256:" + "c" * 64
    project.file("packer/web.pkr.hcl", disk(f'iso_url = "{url}"\n iso_checksum = "{checksum}"'))

    assert (project.one().base, project.one().unknown) == (f"{url}@{checksum}", ())


def test_a_variable_that_run_command_passes_on_is_an_input(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.file("packer/web.pkr.hcl", docker('run_command = ["-e", "PROXY", "{{.Image}}"]'))
    monkeypatch.setenv("PROXY", "one")
    before = project.key()
    monkeypatch.setenv("PROXY", "two")

    assert project.key() != before
    assert project.one().unknown == ()


@pytest.mark.parametrize(
    ("pull", "pulled"), [("", True), ("pull = false", False), ('pull = "0"', False), ("pull = true", True)]
)
def test_the_base_image_is_looked_up_where_packer_takes_it_from(project: Project, pull: str, pulled: bool) -> None:  # noqa: FBT001
    project.file("packer/web.pkr.hcl", hcl("", source=SOURCE.replace("}\n", f" {pull}\n}}\n")))

    assert project.one().base == f"debian:12@{DIGEST}"
    assert project.asked == [("debian:12", pulled)]


def test_inputs_that_are_declared_count(project: Project) -> None:
    project.file("packer/web.pkr.hcl", hcl(""))
    for name in ("roles/web/tasks.yml", "roles/.hidden"):
        project.file(name, "one")
        before = project.key(inputs=("roles/**",))
        project.file(name, "two")

        assert project.key(inputs=("roles/**",)) != before
    elsewhere = project.folder.parent / "elsewhere"
    elsewhere.write_text("one")
    before = project.key(inputs=(str(elsewhere),))
    elsewhere.write_text("two")

    assert project.key(inputs=(str(elsewhere),)) != before
    with pytest.raises(ConfigError, match=r"nothing matches 'nope/\*'"):
        project.key(inputs=("nope/*",))


def test_what_a_post_processor_writes_is_no_input(project: Project) -> None:
    project.file("packer/web.pkr.hcl", hcl('post-processor "manifest" {\n output = "manifest.json"\n}'))
    before = project.key()
    project.file("manifest.json", "{}")

    assert project.key() == before


# -- several sources


TWO = """
source "docker" "one" {
  image = "debian:12"
}
source "docker" "two" {
  image = "debian:12"
}
build {
  name    = "rel"
  sources = ["source.docker.one", "source.docker.two"]
  provisioner "shell" {
    only   = ["docker.one"]
    script = "one.sh"
  }
}
build {
  name    = "other"
  sources = ["source.docker.two"]
  provisioner "shell" {
    script = "other.sh"
  }
}
"""


def test_a_source_depends_on_its_own_steps_only(project: Project) -> None:
    project.file("packer/web.pkr.hcl", TWO)
    read = {
        name: {one.name for one in found.inputs if one.name.endswith(".sh")} for name, found in project.all().items()
    }

    assert read == {
        "rel.docker.one": {"file one.sh"},
        "rel.docker.two": set(),
        "other.docker.two": {"file other.sh"},
    }


# -- JSON


def as_json(project: Project, **tables: object) -> None:
    project.template = "packer/web.json"
    whole = {"builders": [{"type": "docker", "image": "debian:12", "commit": True}], **tables}
    project.file(project.template, json.dumps(whole))


JSON_READS: dict[str, tuple[dict[str, object], str]] = {
    "a script": ({"provisioners": [{"type": "shell", "script": "a.sh"}]}, "a.sh"),
    "template_dir": ({"provisioners": [{"type": "shell", "scripts": ["{{template_dir}}/a.sh"]}]}, "packer/a.sh"),
    "a user variable": (
        {"variables": {"it": "a.sh"}, "provisioners": [{"type": "shell", "script": "{{user `it`}}"}]},
        "a.sh",
    ),
    "a user variable of another": (
        {
            "variables": {"dir": "x", "it": "{{user `dir`}}/a.sh"},
            "provisioners": [{"type": "shell", "script": './{{ user "it" }}'}],
        },
        "x/a.sh",
    ),
    "an override": (
        {"provisioners": [{"type": "shell", "inline": ["x"], "override": {"docker": {"scripts": ["a.sh"]}}}]},
        "a.sh",
    ),
    "a folder": ({"provisioners": [{"type": "file", "source": "{{pwd}}/files", "destination": "/"}]}, "files/a"),
    "what only this source gets": ({"provisioners": [{"type": "shell", "script": "a.sh", "only": ["docker"]}]}, "a.sh"),
}


@pytest.mark.parametrize(("tables", "name"), JSON_READS.values(), ids=JSON_READS)
def test_a_change_of_what_json_reads_changes_the_key(project: Project, tables: dict[str, object], name: str) -> None:
    as_json(project, **tables)
    project.file(name, "one")
    before = project.key()
    project.file(name, "two")

    assert project.key() != before
    assert project.one().unknown == ()


def test_the_environment_that_json_reads_is_an_input(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    as_json(project, variables={"it": "{{env `SHADE`}}"})
    keys = []
    for shade in ("blue", "green"):
        monkeypatch.setenv("SHADE", shade)
        keys.append(project.key())

    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (
            {"variables": {"at": "{{isotime}}"}, "provisioners": [{"type": "shell", "inline": ["{{user `at`}}"]}]},
            "isotime",
        ),
        ({"provisioners": [{"type": "shell", "inline": ["{{ build `ID` }}"]}]}, "build `ID`"),
        ({"provisioners": [{"type": "shell", "script": "{{user `nope`}}"}]}, "user `nope`"),
        ({"provisioners": [{"type": "shell-local", "command": "date"}]}, "shell-local"),
        ({"provisioners": [{"type": "chef-solo"}]}, "chef-solo"),
        ({"builders": [{"type": "googlecompute"}]}, "googlecompute"),
        (
            {
                "variables": {"a": "{{user `b`}}", "b": "{{user `a`}}"},
                "provisioners": [{"type": "shell", "script": "{{user `a`}}"}],
            },
            "refers to itself",
        ),
    ],
)
def test_what_json_leaves_unknown_is_named(project: Project, tables: dict[str, object], said: str) -> None:
    as_json(project, **tables)

    assert any(said in one for one in project.one().unknown), project.one().unknown


# -- secrets


SECRET = "correct-horse-battery"


def test_a_secret_is_in_no_input_and_in_no_reason(project: Project) -> None:
    project.file(
        "packer/web.pkr.hcl",
        hcl(
            shell('inline = ["curl ${var.token} {{timestamp}}"]\n script = "${var.token}/x"'),
            before='variable "token" {\n sensitive = true\n}\n',
            source=SOURCE.replace("debian:12", "host/${var.token}/x:1"),
        ),
    )
    found = project.one(variables=(("token", SECRET),))

    assert found.secrets == (SECRET,)
    assert SECRET not in repr((found.inputs, found.unknown, found.base))


@pytest.mark.parametrize("where", ["given", "environment", "file", "default"])
def test_a_secret_is_digested_dearly_wherever_it_comes_from(
    project: Project, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    default = f'default = "{SECRET}"\n' if where == "default" else ""
    project.file("packer/web.pkr.hcl", hcl("", before=f'variable "token" {{\n{default} sensitive = true\n}}\n'))
    changes: dict[str, object] = {}
    if where == "given":
        changes["variables"] = (("token", SECRET),)
    elif where == "environment":
        monkeypatch.setenv("PKR_VAR_token", SECRET)
    elif where == "file":
        changes["var_files"] = (project.file("my.pkrvars.hcl", f'token = "{SECRET}"'),)
    found = project.one(**changes)
    digests = {one.name: one.digest for one in found.inputs}

    assert found.secrets == (SECRET,)
    assert digests["variable token"].startswith("scrypt:")
    assert digests["file packer/web.pkr.hcl"].startswith("scrypt:")
    assert digests.get("file my.pkrvars.hcl", "scrypt:").startswith("scrypt:")


def test_a_secret_that_is_no_text_is_masked_by_its_parts(project: Project) -> None:
    project.file(
        "packer/web.pkr.hcl", hcl("", before='variable "keys" {\n type = list(string)\n sensitive = true\n}\n')
    )

    assert project.one(variables=(("keys", '["first-key", "second-key"]'),)).secrets == ("first-key", "second-key")


def test_a_sensitive_local_is_a_secret(project: Project) -> None:
    local = f'local "token" {{\n expression = upper("{SECRET}")\n sensitive = true\n}}\n'
    project.file("packer/web.pkr.hcl", hcl("", before=local))

    assert project.one().secrets == (SECRET.upper(),)


def test_a_secret_that_is_not_utf_8_is_an_input_like_any_other(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.file("packer/web.pkr.hcl", hcl("", before='variable "token" {\n sensitive = true\n}\nvariable "a" {\n}\n'))
    monkeypatch.setenv("PKR_VAR_token", "\udcff")
    monkeypatch.setenv("PKR_VAR_a", "\udcfe")

    assert project.key()
