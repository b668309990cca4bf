"""When an instance ends whoever is left: that something in it sees to it, and what is said where nothing does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from imagetest.drivers.ec2 import inside
from imagetest.errors import BootError
from imagetest.model.plan import Cloud
from imagetest.testing.contracts import ask
from imagetest.transport.shell import Shell
from tests.drivers.ec2.conftest import Boot

pytestmark = pytest.mark.docker


def test_a_machine_that_nothing_would_end_is_a_failed_boot_unless_that_is_asked_for(boot: Boot) -> None:
    other = datetime.now(UTC) + timedelta(hours=3)
    with boot("server") as up:
        assert up.transport is not None
        shell = Shell(up.transport)
        nobody = ask(up, "command -v sudo")
        with pytest.raises(BootError, match="nothing in it would end it") as raised:
            inside.see_to_its_end(shell, other, root=False, must=True)
        said = inside.see_to_its_end(shell, other, root=False, must=False)
        shell.close()

    assert nobody[0] != 0
    assert "boot.ec2.timer" in str(raised.value.hint)
    assert said.startswith("nothing in it ends it")
    assert Cloud().timer == "required"
    assert up.until is not None
