"""What a container needs of its engine so that systemd runs in it: cgroups of its own to write to."""

from __future__ import annotations

from typing import Any

import docker

WRITABLE_CGROUPS_SINCE = 28
"""The first major version of the engine that knows the option (moby pull request 48828)."""


def for_systemd(engine: docker.APIClient) -> tuple[dict[str, Any], str]:
    """Return the engine's settings for a container with systemd, and what an auditor should know of them."""
    extra, note = _writable(engine)
    return {"cgroupns": "private", "tmpfs": {"/run": "exec", "/run/lock": ""}} | extra, note


def _writable(engine: docker.APIClient) -> tuple[dict[str, Any], str]:
    """Make the container's own cgroups writable with the least privilege that this engine offers."""
    if str(engine.info().get("CgroupVersion", "1")) == "1":
        return {"cap_add": ["SYS_ADMIN"]}, "systemd was given CAP_SYS_ADMIN to mount its own cgroups (cgroup v1)"
    if int(engine.version()["Version"].partition(".")[0] or 0) >= WRITABLE_CGROUPS_SINCE:
        return {"security_opt": ["writable-cgroups=true"]}, "systemd's own cgroups were made writable (cgroup v2)"
    return {"privileged": True}, "the container was privileged, as systemd needs on cgroup v2 with this engine"
