"""What a container needs of its host: nothing for a command, and a cgroup of its own to write to for systemd."""

from __future__ import annotations

from typing import Any

import docker

from imagetest.execute import cgroups


def host_config(engine: docker.APIClient, *, init: str, port: int | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the engine's settings and what an auditor should know of them.

    `port` is published on a free port of 127.0.0.1 and nowhere else.
    """
    settings: dict[str, Any] = {}
    if port is not None:
        settings["port_bindings"] = {port: ("127.0.0.1",)}
    if init != "systemd":
        return settings, ()
    extra, note = cgroups.for_systemd(engine)
    return settings | extra, (note,)
