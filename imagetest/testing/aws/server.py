"""The server's process: `python -m imagetest.testing.aws.server SETTINGS`, which ends with its standard input.

SETTINGS is a JSON object: `images` (a container image by the name of an AMI), `region`, `user`. One line of JSON on
standard output says where it answers, or why it cannot. When its input ends, which it does in whatever way whoever
started it dies, it removes every container and image that it made. What a server left that was killed itself, the next
one removes when it starts.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from imagetest.errors import ConfigError, ImagetestError, UsageError
from imagetest.execute import engine
from imagetest.testing.aws import MOTO, owners
from imagetest.testing.aws.addresses import Addresses
from imagetest.testing.aws.catalogue import Published
from imagetest.testing.aws.machines import Yard

FOLDER, OWNER = "imagetest-aws-", "owner"

ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}

VALIDATIONS = (
    "MOTO_ENABLE_AMI_VALIDATION",
    "MOTO_ENABLE_KEYPAIR_VALIDATION",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION",
)


def main() -> int:
    """Serve until standard input ends. What is said to nobody goes into a file beside the certificates."""
    settings = json.loads(sys.argv[1])
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # an interrupt of the run is the run's: this ends with its input
    signal.signal(signal.SIGTERM, lambda *_: os.close(0))
    with ExitStack() as stack:
        try:
            told = _serve(settings, stack)
        except ImagetestError as error:
            _say({"error": str(error), "hint": error.hint, "config": isinstance(error, UsageError)})
            return error.exit_code
        _say(told)
        _await_the_end()
    return 0


def _serve(settings: dict[str, Any], stack: ExitStack) -> dict[str, str]:
    """Start everything and return where it is; what was started ends with the stack."""
    _check_moto()
    owner = owners.owner()
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    (folder / OWNER).write_text(owner)
    _sweep_folders()
    client, runner = engine.connect(), engine.connect()
    runner.timeout = None  # type: ignore[assignment]  # a command takes as long as it takes
    owners.sweep(client)
    published = tuple(_published(client, name, reference) for name, reference in settings["images"].items())
    addresses = Addresses()
    stack.callback(addresses.close)
    stack.callback(owners.clear, client, owner)
    yard = Yard(client, runner, addresses, owner)
    for name in VALIDATIONS:
        os.environ[name] = "true"
    from imagetest.testing.aws import http

    host, port, proxy, bundle = http.start(yard, published, folder, user=settings["user"], stack=stack)
    return {
        "endpoint": f"http://{host}:{port}", "proxy": proxy, "bundle": str(bundle), "owner": owner,
        "amis": json.dumps({one.name: one.id(settings["region"]) for one in published}),
    }  # fmt: skip


def _sweep_folders() -> None:
    """Remove the folders of servers that were killed."""
    for one in Path(tempfile.gettempdir()).glob(f"{FOLDER}*/{OWNER}"):
        with suppress(OSError):
            if owners.abandoned(one.read_text()):
                shutil.rmtree(one.parent, ignore_errors=True)


def _published(client: Any, name: str, reference: str) -> Published:
    try:
        with engine.translated(f"find image {reference!r}"):
            found = client.inspect_image(reference)
    except ImagetestError as error:
        raise ConfigError(
            f"AMI {name!r}: there is no container image {reference!r}", hint="'docker images' lists what there is"
        ) from error
    architecture = ARCHITECTURES.get(str(found["Architecture"]), str(found["Architecture"]))
    return Published(name=name, reference=str(found["Id"]), architecture=architecture)


def _check_moto() -> None:
    installed = metadata.version("moto")
    if installed != MOTO:
        raise ConfigError(f"moto {installed} is installed; this is made for {MOTO}", hint=f"pip install moto=={MOTO}")


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _await_the_end() -> None:
    """Wait until nobody holds the other end of standard input."""
    ended = threading.Event()

    def read() -> None:
        while True:
            try:
                if not os.read(0, 4096):
                    break
            except OSError:
                break
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    ended.wait()


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    code = main()
    sys.stdout.flush()
    os._exit(code)  # commands may still run in threads of their own
