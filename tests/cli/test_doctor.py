"""imagetest doctor: what is there, what is missing, and how to get it."""

from __future__ import annotations

import pytest

from tests.workshop import Workshop


@pytest.mark.packer
@pytest.mark.docker
def test_where_all_is_there_it_says_so(bare: Workshop) -> None:
    ended = bare.imagetest("doctor")

    assert ended.code == 0, ended.text
    assert ended.out.endswith("all that is needed is there\n")
    for name in ("python", "packer", "docker", "ssh", "configuration", "state folder", "registry"):
        assert f"ok       {name} " in ended.out or name == "ssh"
    assert not (bare.folder / ".imagetest" / ".doctor").exists()


def test_what_is_missing_is_named_with_its_remedy(bare: Workshop) -> None:
    bare.file("imagetest.toml", "[images.web]\nimage = 'web'\n")
    bare.file("taken", "")
    ended = bare.imagetest(
        "doctor", PATH="/nowhere", DOCKER_HOST="unix:///nowhere/docker.sock",
        IMAGETEST_REGISTRY=f"sqlite:///{bare.folder}/taken/x.sqlite",
    )  # fmt: skip

    assert ended.code == 3
    for name in ("configuration", "packer", "docker", "registry"):
        assert f"MISSING  {name} " in ended.out
    assert "-> get it from https://developer.hashicorp.com/packer/install" in ended.out
    assert "-> start it (systemctl start docker, or dockerd)" in ended.out
    assert "missing  ssh " in ended.out
    assert "missing  qemu           not installed: qemu-system-x86_64, qemu-img" in ended.out
    assert ended.err.startswith("imagetest: not ready: configuration, packer, docker, ")
    assert "Traceback" not in ended.text


@pytest.mark.qemu
def test_whether_a_guest_runs_on_kvm_is_said(bare: Workshop) -> None:
    said = bare.imagetest("doctor").out

    assert "ok       qemu           qemu-system-x86_64" in said
    assert "  kvm            a 64-bit guest runs on it" in said or "missing  kvm            " in said


def test_a_password_is_not_shown(bare: Workshop) -> None:
    ended = bare.imagetest("doctor", IMAGETEST_REGISTRY="postgresql+psycopg://maria:s3cret@127.0.0.1:1/x")

    assert "postgresql+psycopg://maria:***@127.0.0.1:1/x" in ended.out
    assert "s3cret" not in ended.text
