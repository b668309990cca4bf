"""What a container needs of its host: nothing for a command, and a cgroup of its own to write to for systemd."""

from __future__ import annotations

from typing import Any

import docker

WRITABLE_CGROUPS_SINCE = 28
"""The first major version of the engine that knows the option (moby pull request 48828)."""


def host_config(engine: docker.APIClient, *, init: str, port: int | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the engine's settings and what an auditor should know of them.

    `port` is published on a free port of 127.0.0.1 and nowhere else.
    """
    settings: dict[str, Any] = {}
    if port is not None:
        settings["port_bindings"] = {port: ("127.0.0.1",)}
    if init != "systemd":
        return settings, ()
    settings |= {"cgroupns": "private", "tmpfs": {"/run": "exec", "/run/lock": ""}}
    extra, note = _cgroups(engine)
    return settings | extra, (note,)


def _cgroups(engine: docker.APIClient) -> tuple[dict[str, Any], str]:
    """Make the container's own cgroups writable with the least privilege that this engine offers."""
    if str(engine.info().get("CgroupVersion", "1")) == "1":
        return {"cap_add": ["SYS_ADMIN"]}, "systemd was given CAP_SYS_ADMIN to mount its own cgroups (cgroup v1)"
    if int(engine.version()["Version"].partition(".")[0] or 0) >= WRITABLE_CGROUPS_SINCE:
        return {"security_opt": ["writable-cgroups=true"]}, "systemd's own cgroups were made writable (cgroup v2)"
    return {"privileged": True}, "the container was privileged, as systemd needs on cgroup v2 with this engine"
