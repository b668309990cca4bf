"""Bakes by the Packer of this machine: what it makes, what it says when it does not, and what it leaves: nothing."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dockyard import Dockyard
from tests.workshop import TEMPLATE, Workshop, digests, eventually, workshop_in

pytestmark = [pytest.mark.packer, pytest.mark.docker]


@pytest.fixture
def workshop(tmp_path: Path, dockyard: Dockyard) -> Iterator[Workshop]:
    """Give a project with a template; a bake of it may leave nothing."""
    with workshop_in(tmp_path, dockyard) as place:
        place.furnish()
        yield place


MASKED = r"(\[secret\]|<sensitive>)"
"""What stands where a secret stood: ours, or Packer's own from 1.15.1 on."""


# -- what is baked again and what is not


def test_a_bake_is_repeated_only_when_something_changed(workshop: Workshop, dockyard: Dockyard) -> None:
    first = workshop.imagetest("bake", "web")
    again = workshop.imagetest("bake", "web")
    same = workshop.imagetest("bake", "web", "--explain")
    other = {"PKR_VAR_greeting": "good-bye"}
    changed = workshop.imagetest("bake", "web", "--explain", **other)
    second = workshop.imagetest("bake", "web", **other)
    back = workshop.imagetest("bake", "web")
    digest = digests(first.out)["docker.web"]

    assert first.code == again.code == second.code == back.code == 0, first.text
    assert "docker.web: baking: it was not baked before" in first.out
    assert "unchanged since it was baked, not baked again" in again.out
    assert digests(again.out) == digests(back.out) == {"docker.web": digest}
    assert "would not be baked: nothing changed" in same.out
    assert "would be baked\n  variable greeting changed\n" in changed.out
    assert digests(second.out)["docker.web"] != digest

    dockyard.engine.images.remove(digest, force=True)
    gone = workshop.imagetest("bake", "web", "--explain")
    rebaked = workshop.imagetest("bake", "web")

    assert "the image is gone" in gone.out
    assert dockyard.engine.images.get(digests(rebaked.out)["docker.web"]).id


def test_a_long_folder_for_temporary_files_does_not_crash_packer(workshop: Workshop, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    done = workshop.imagetest("bake", "web", TMPDIR=str(long))

    assert done.code == 0, done.text


def test_rebake_bakes_what_did_not_change(workshop: Workshop) -> None:
    workshop.imagetest("bake", "web")
    again = workshop.imagetest("bake", "web", "--rebake", "--verbose")

    assert "baking: --rebake was given" in again.out
    assert "docker.web: Committing the container" in again.out


def test_explain_with_verbose_lists_every_input(workshop: Workshop) -> None:
    plan = workshop.imagetest("bake", "web", "--explain", "--verbose")

    assert plan.code == 0
    for name in ("packer packer 1.", "base image ", "file web.pkr.hcl ", "variable greeting ", "source docker.web"):
        assert f"    {name}" in plan.out
    assert "it was not baked before" in plan.out


# -- templates


def test_a_template_in_json_with_two_builders(workshop: Workshop, dockyard: Dockyard) -> None:
    base = {"type": "docker", "image": "{{user `base`}}", "pull": False, "commit": True}
    tables = {
        "variables": {"base": "{{env `PKR_VAR_base`}}", "shade": "blue", "token": ""},
        "sensitive-variables": ["token"],
        "builders": [{**base, "name": "one"}, {**base, "name": "two"}],
        "provisioners": [
            {"type": "shell", "inline": ["echo {{user `shade`}} >/shade", "echo token={{user `token`}}"]},
            {"type": "shell", "only": ["two"], "script": "two.sh"},
        ],
        "post-processors": [
            [{"type": "docker-tag", "repository": "imagetest-test/json", "tags": ["x"], "only": ["two"]}]
        ],
    }
    workshop.file("web.json", json.dumps(tables))
    workshop.file("two.sh", "echo two >/two")
    workshop.file("vars.json", '{"shade": "green"}')
    workshop.file(
        "imagetest.toml",
        '[images.web]\ntemplate = "web.json"\nvar_files = ["vars.json"]\nvariables = { token = "s3cret-token" }\n',
    )
    done = workshop.imagetest("bake", "web", "--verbose")
    workshop.file("two.sh", "echo three >/two")
    explained = workshop.imagetest("bake", "web", "--explain")
    dockyard.engine.images.remove("imagetest-test/json:x")

    assert done.code == 0, done.text
    assert set(digests(done.out)) == {"one", "two"}
    assert re.search(rf"token={MASKED}", done.out)
    assert "s3cret-token" not in done.text
    assert "one: would not be baked" in explained.out
    assert "two: would be baked\n  file two.sh changed" in explained.out


TWO = TEMPLATE.replace(
    'sources = ["source.docker.web"]', 'sources = ["source.docker.web", "source.docker.db"]'
).replace(
    "build {",
    'source "docker" "db" {\n  image  = var.base\n  pull   = false\n  commit = true\n}\nbuild {\n  name = "rel"',
    1,
)


def test_sources_are_chosen_by_patterns(workshop: Workshop) -> None:
    workshop.file("web.pkr.hcl", TWO)
    workshop.file("imagetest.toml", '[images.web]\ntemplate = "web.pkr.hcl"\n')
    both = workshop.imagetest("bake", "web")
    workshop.file(
        "imagetest.toml", '[images.web]\ntemplate = "web.pkr.hcl"\nonly = ["*.docker.*"]\nexcept = ["*.db"]\n'
    )
    one = workshop.imagetest("bake", "web", PKR_VAR_greeting="bye")
    workshop.file("imagetest.toml", '[images.web]\ntemplate = "web.pkr.hcl"\nonly = ["docker.wep"]\n')
    none = workshop.imagetest("bake", "web")

    assert set(digests(both.out)) == {"rel.docker.web", "rel.docker.db"}, both.text
    assert set(digests(one.out)) == {"rel.docker.web"}, one.text
    assert none.code == 4
    assert "unknown source 'docker.wep' of web.pkr.hcl (known: rel.docker.web, rel.docker.db)" in none.err


def test_a_list_and_a_table_of_the_configuration_reach_packer(workshop: Workshop, dockyard: Dockyard) -> None:
    declared = 'variable "names" {\n  type = list(string)\n}\nvariable "tier" {\n  type = map(string)\n}\n'
    template = declared + TEMPLATE.replace("${var.greeting}", '${join("+", var.names)}-${var.tier.front}')
    workshop.file("web.pkr.hcl", template)
    workshop.file(
        "imagetest.toml",
        '[images.web]\ntemplate = "web.pkr.hcl"\nvariables = { names = ["a", "b"], tier = { front = "x" } }\n',
    )
    done = workshop.imagetest("bake", "web")
    shown = dockyard.engine.containers.run(
        digests(done.out)["docker.web"], ["cat", "/greeting"], remove=True, network_mode="none"
    )

    assert shown == b"a+b-x\n"


# -- what goes wrong, in Packer's words


def wrong(workshop: Workshop, old: str, new: str, **environment: str) -> tuple[int, str]:
    workshop.file("web.pkr.hcl", TEMPLATE.replace(old, new))
    done = workshop.imagetest("bake", "web", **environment)

    assert "Traceback" not in done.text
    return done.code, done.err


def test_a_step_that_fails_says_why(workshop: Workshop) -> None:
    inline = 'inline = ["echo ${var.greeting} >/greeting"]'
    code, said = wrong(workshop, inline, "inline = [\"echo 'E: the disk is gone' >&2; exit 7\"]")

    assert code == 3
    assert "the bake of 'web' failed: docker.web: Script exited with non-zero exit status: 7" in said
    assert "(it said: E: the disk is gone)" in said
    assert "all that Packer said is in" in said


def test_one_of_two_sources_that_fails_is_named(workshop: Workshop) -> None:
    failing = 'provisioner "shell" {\n    only   = ["docker.db"]\n    inline = ["exit 9"]\n  }\n  provisioner "shell" {'
    workshop.file("web.pkr.hcl", TWO.replace('provisioner "shell" {', failing))
    done = workshop.imagetest("bake", "web")

    assert done.code == 3
    assert "rel.docker.db: Script exited with non-zero exit status: 9" in done.err
    assert "rel.docker.web: Script" not in done.err


def test_a_syntax_error_is_told_in_packers_words(workshop: Workshop) -> None:
    code, said = wrong(workshop, "commit      = true", "commit      =")

    assert code == 4
    assert "web.pkr.hcl is not valid: Error: Invalid expression" in said
    assert "packer validate" in said


def test_a_variable_that_nobody_declared_is_named(workshop: Workshop) -> None:
    workshop.file("imagetest.toml", '[images.web]\ntemplate = "web.pkr.hcl"\nvariables = { greting = "x" }\n')
    done = workshop.imagetest("bake", "web")

    assert done.code in {3, 4}
    assert "greting" in done.err
    assert "Traceback" not in done.text


def test_a_base_image_that_is_not_there_is_named(workshop: Workshop) -> None:
    code, said = wrong(workshop, "never", "", PKR_VAR_base="imagetest-test/nothing:1")

    assert code == 3
    assert "imagetest-test/nothing" in said


def test_a_source_that_makes_no_image_is_named(workshop: Workshop) -> None:
    code, said = wrong(workshop, "commit      = true", "discard     = true")

    assert code == 3
    assert "docker.web" in said


def test_a_file_that_makes_no_image_is_no_image(workshop: Workshop) -> None:
    code, said = wrong(workshop, "commit      = true", 'export_path = "web.tar"')

    assert code == 3
    assert "source 'docker.web' made" in said
    assert "which no driver can boot" in said
    assert "commit = true" in said


def test_a_source_that_is_not_described_is_a_mistake(workshop: Workshop) -> None:
    code, said = wrong(workshop, "build {", 'build {\n  source "source.docker.other" {\n  }')

    assert code in {3, 4}
    assert "other" in said


# -- secrets


def test_a_secret_is_nowhere_in_clear_text(workshop: Workshop) -> None:
    secrets = {"PKR_VAR_token": "tok,en-zyxw", "PKR_VAR_pem": "upper half of it\nlower, half of it"}
    declared = 'variable "token" {\n  sensitive = true\n}\nvariable "pem" {\n  sensitive = true\n}\n'
    inline = (
        'inline = ["echo got ${var.token}", "printf \'%s\\n\' \'${var.pem}\'", "echo \'${var.token}\' >&2", "exit 3"]'
    )
    template = declared + TEMPLATE.replace('inline = ["echo ${var.greeting} >/greeting"]', inline)
    workshop.file("web.pkr.hcl", template)
    failed = workshop.imagetest("bake", "web", "--verbose", **secrets)
    workshop.file("web.pkr.hcl", template.replace("exit 3", "true"))
    baked = workshop.imagetest("bake", "web", "--verbose", **secrets)
    explained = workshop.imagetest("bake", "web", "--explain", "--verbose", **secrets)
    kept = b"".join(path.read_bytes() for path in (workshop.folder / ".imagetest").rglob("*") if path.is_file())
    everything = failed.text + baked.text + explained.text + kept.decode()

    assert (failed.code, baked.code) == (3, 0), failed.text + baked.text
    assert re.search(rf"got {MASKED}", baked.out)
    for part in ("zyxw", "tok,en", "PACKER_COMMA)en", "upper half", "lower"):
        assert part not in everything


# -- the end of a bake before its end

SLOW = TEMPLATE.replace("echo ${var.greeting} >/greeting", "echo it-sleeps; sleep 100")


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(workshop: Workshop, by: signal.Signals) -> None:
    workshop.file("web.pkr.hcl", SLOW)
    done = workshop.interrupted("imagetest", "bake", "web", "--verbose", until="it-sleeps", by=by)

    assert done.code == 2
    assert done.err.strip().endswith("imagetest: interrupted")


def test_packer_cleans_up_even_when_we_are_killed(workshop: Workshop, dockyard: Dockyard) -> None:
    workshop.file("web.pkr.hcl", SLOW)
    done = workshop.interrupted("imagetest", "bake", "web", "--verbose", until="it-sleeps", by=signal.SIGKILL)

    assert done.code == -signal.SIGKILL
    assert eventually(lambda: not dockyard.containers())


def test_an_interrupted_run_of_pytest_says_so(workshop: Workshop) -> None:
    workshop.file("web.pkr.hcl", SLOW)
    done = workshop.interrupted("pytest", "-v", "--image", "web", until="it-sleeps", by=signal.SIGINT)

    assert done.code == 2
    assert "Traceback" not in done.text
