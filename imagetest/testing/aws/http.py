"""The emulation over HTTP: moto's own server, with our EC2 and Systems Manager in the place of its own."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from moto.ec2.models import ec2_backends, instances
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.ssm.models import ssm_backends
from werkzeug.serving import make_server

from imagetest.errors import ImagetestError
from imagetest.testing.aws.answers import Answers
from imagetest.testing.aws.blocks import Blocks
from imagetest.testing.aws.catalogue import Published
from imagetest.testing.aws.certificates import Certificates
from imagetest.testing.aws.disks import Disks
from imagetest.testing.aws.ec2 import Ec2
from imagetest.testing.aws.instances import Instance
from imagetest.testing.aws.intake import Intake
from imagetest.testing.aws.machines import Yard
from imagetest.testing.aws.relay import Relay
from imagetest.testing.aws.run_command import Ssm

HOST = "127.0.0.1"

WATCH_SECONDS = 0.5


def start(
    yard: Yard, published: tuple[Published, ...], folder: Path, *, user: str, stack: ExitStack
) -> tuple[str, int, str, Path]:
    """Serve on loopback; return the host, the port, the proxy's URL and the file with its authority's certificate."""
    Ec2.yard, Ec2.published, Ec2.user, Ec2.responses = yard, published, user, Answers
    instances.Instance = Instance  # type: ignore[misc]
    ec2_backends.backend = Ec2
    ssm_backends.backend = Ssm
    intake = Intake(DomainDispatcherApplication(create_backend_app), _look, Blocks(Disks(yard, folder)))
    server = make_server(HOST, 0, intake, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    threading.Thread(target=_watch, daemon=True).start()
    certificates = Certificates(folder)
    relay = Relay((HOST, server.port), certificates)
    stack.callback(relay.shutdown)
    return HOST, server.port, relay.url, certificates.bundle


def _watch() -> None:
    """Look again and again: a machine that reboots itself comes up though nobody asks the API for it."""
    while True:
        time.sleep(WATCH_SECONDS)
        with suppress(ImagetestError):  # the engine did not answer: it is asked again, and the next call tells
            _look()


def _look() -> None:
    for account in list(ec2_backends.values()):
        for backend in list(account.values()):
            if isinstance(backend, Ec2):
                backend.look()
