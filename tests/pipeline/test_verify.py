"""What is gathered while an image is verified becomes one assessment, and nothing of it is lost."""

from __future__ import annotations

import os
import sys

import pytest

from imagetest.execute.operator import operator
from imagetest.model.assessment import Phase, Verdict
from imagetest.model.codec import Document, decode, encode
from imagetest.model.control import Control, Profile
from imagetest.model.finding import Check, Status
from imagetest.model.image import Bake
from imagetest.pipeline.verify import Verification, conclude, invocation
from tests.nouns import BOOT, IMAGE, NOW, waiver

CATALOGUE = {name: Control(id=name, title=name.upper()) for name in ("a", "b")}


def gathered(**changes: object) -> Verification:
    checks = {
        one.id: one
        for one in (Check(id="t1", controls=("a",), status=Status.PASSED), Check(id="t2", status=Status.FAILED))
    }
    plain: dict[str, object] = {"image": IMAGE, "profile": Profile(name="p", required=("a", "b")), "checks": checks}
    return Verification(**{**plain, **changes})  # type: ignore[arg-type]


def test_an_assessment_holds_all_that_was_gathered() -> None:
    verification = gathered(
        boot=BOOT, bake=Bake(builder="packer", builder_version="1.6.6"), absent={"b": "t3 was deselected"},
        errors=["lost", "lost"], seconds={"boot": 1.23456},
    )  # fmt: skip
    found = conclude(
        verification,
        run="run",
        catalogue=CATALOGUE,
        waivers=[waiver("t2")],
        invocation=["pytest", "-k", "a b"],
        now=NOW,
    )

    assert found.id == "run-web"
    assert {one.control_id: one.status for one in found.findings} == {
        "a": Status.PASSED, "b": Status.NOT_REVIEWED, "t2": Status.FAILED,
    }  # fmt: skip
    assert [one.control_id for one in found.findings if one.waiver] == ["t2"]
    assert {one.id for one in found.controls} == {"a", "b", "t2"}
    assert found.errors == ("lost",)
    assert found.phases == (Phase(name="boot", seconds=1.235),)
    assert found.invocation == "pytest -k 'a b'"
    assert {"python", "pytest", "imagetest", "packer", "docker engine"} <= {tool.name for tool in found.tools}
    assert found.finished == NOW


def test_an_argument_that_is_not_utf_8_does_not_cost_the_verdict() -> None:
    strange = os.fsdecode(b"caf\xe9")
    found = conclude(
        gathered(), run="run", catalogue=CATALOGUE, waivers=[], invocation=["pytest", "-k", strange], now=NOW
    )
    document = Document(assessment=found, verdict=Verdict(gate="g", objections=(), decided=NOW))

    assert decode(encode(document)) == document
    assert r"caf\udce9" in found.invocation


def test_the_operator_is_named_even_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", os.fsdecode(b"j\xf6rg"))
    assert operator().startswith(r"j\udcf6rg@")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)

    assert operator().startswith("unknown@")


@pytest.mark.parametrize(("program", "shown"), [("/usr/bin/pytest", "pytest"), ("/x/pytest/__main__.py", "pytest")])
def test_the_invocation_is_the_command_line(monkeypatch: pytest.MonkeyPatch, program: str, shown: str) -> None:
    monkeypatch.setattr(sys, "argv", [program, "--image", "web"])

    assert invocation() == [shown, "--image", "web"]
