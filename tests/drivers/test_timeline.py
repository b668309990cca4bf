"""The timeline of a boot, from what systemd says of itself."""

from __future__ import annotations

from imagetest.drivers import timeline
from imagetest.model.instance import Moment

# systemd 252 on a virtual machine and in a container: the latter counts by the clock of a host that is up for long.
MACHINE = """UserspaceTimestampMonotonic=2514873
FinishTimestampMonotonic=6120442

Id=ssh.service
ActiveEnterTimestampMonotonic=5981120

Id=rescue.service
ActiveEnterTimestampMonotonic=0

Id=basic.target
ActiveEnterTimestampMonotonic=4210001
"""
CONTAINER = (
    MACHINE.replace("=2514873", "=902514873").replace("=6120442", "=906120442").replace("=5981120", "=905981120")
)


def test_a_machine_counts_from_the_start_of_its_kernel() -> None:
    assert timeline.moments(MACHINE, container=False) == (
        Moment(name="kernel", seconds=2.515),
        Moment(name="basic.target", seconds=4.21),
        Moment(name="ssh.service", seconds=5.981),
        Moment(name="systemd", seconds=6.12),
    )


def test_a_container_counts_from_the_start_of_process_1() -> None:
    found = {one.name: one.seconds for one in timeline.moments(CONTAINER, container=True)}

    assert (found["ssh.service"], found["systemd"]) == (3.466, 3.606)
    assert "kernel" not in found


def test_a_machine_that_does_not_say_has_no_timeline() -> None:
    assert timeline.moments("Failed to connect to bus\n", container=True) == ()
