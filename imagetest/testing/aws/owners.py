"""Who a container or image belongs to, so that what a killed server left is removed by the next one."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import docker

from imagetest.errors import EngineError
from imagetest.execute import engine, leases

LABEL = "imagetest.aws"
"""The label of every container and image; its value is the owner."""


ATTEMPTS, PAUSE_SECONDS = 20, 0.25


def owner() -> str:
    """Return the name of this process: its host, the boot of that, its namespace of process ids, its id and start."""
    return "/".join([*_place(), str(os.getpid()), leases.process_start(os.getpid())])


def abandoned(name: str) -> bool:
    """Say whether an owner is known to be gone; of one on another host, or in another container, nothing is known."""
    try:
        host, boot, namespace, pid, start = name.split("/")
    except ValueError:
        return False
    here = _place()
    if host != here[0]:
        return False
    if boot != here[1]:
        return True
    return namespace == here[2] and (leases.process_start(int(pid)) != start or _has_ended(int(pid)))


def _has_ended(pid: int) -> bool:
    """Say whether a process is one that nobody has waited for yet (proc(5), field 3 of stat)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def sweep(client: docker.APIClient) -> None:
    """Remove what abandoned servers left. Raises EngineError when the engine refuses."""
    with engine.translated("look for what an earlier server left"):
        found = [*client.containers(all=True, filters={"label": LABEL}), *client.images(filters={"label": LABEL})]
    for name in {str((one.get("Labels") or {}).get(LABEL, "")) for one in found}:
        if abandoned(name):
            _clear_for_another(client, name)


def clear(client: docker.APIClient, name: str) -> None:
    """Remove every container, with its volumes, and every image of one owner.

    Raises EngineError when some could not be removed.
    """
    mine = {"label": f"{LABEL}={name}"}
    with engine.translated("list the machines"):
        containers = client.containers(all=True, filters=mine)
        images = sorted(client.images(filters=mine), key=lambda one: int(one["Created"]), reverse=True)
    kept = []
    for one in containers:
        try:
            remove_container(client, str(one["Id"]))
        except EngineError as error:
            kept.append(str(error))
    for one in images:
        try:
            remove_image(client, str(one["Id"]))
        except EngineError as error:
            kept.append(str(error))
    if kept:
        raise EngineError("; ".join(kept))


def _clear_for_another(client: docker.APIClient, name: str) -> None:
    """Remove what one left who is gone; others may be at it as well, and are in each other's way."""
    for _ in range(ATTEMPTS - 1):
        try:
            clear(client, name)
        except EngineError:
            time.sleep(PAUSE_SECONDS)
        else:
            return
    clear(client, name)


def remove_container(client: docker.APIClient, container: str) -> None:
    """Remove a container with its volumes, whether it runs or not. Raises EngineError when it stays."""
    try:
        with engine.translated(f"remove container {container[:12]!r}"):
            client.remove_container(container, force=True, v=True)
    except EngineError as error:
        if not isinstance(error.__cause__, engine.NotFound) and "already in progress" not in str(error):
            raise


def remove_image(client: docker.APIClient, image: str) -> None:
    """Remove an image with its names. Raises EngineError when it stays."""
    try:
        with engine.translated(f"remove image {image!r}"):
            client.remove_image(image, force=True, noprune=True)  # what it was made of is not ours
    except EngineError as error:
        if not isinstance(error.__cause__, engine.NotFound):
            raise


def _place() -> list[str]:
    boot, namespace = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink().name
    return [socket.gethostname(), boot, namespace]
