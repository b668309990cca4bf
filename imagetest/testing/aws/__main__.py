"""Run the emulation by hand: `python -m imagetest.testing.aws --image NAME=REFERENCE [COMMAND ...]`, until Ctrl-C.

With a command, it runs that in the environment that leads there, and ends with it and by its exit code.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from pathlib import Path

from imagetest.errors import ImagetestError, UsageError
from imagetest.execute import process
from imagetest.testing.aws import AwsWithBodies

PAUSE_SECONDS = 0.2
"""How late Ctrl-C may be heard: one that comes just before a wait without an end would never be."""

ENDING = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Serve, and say with which environment; on standard output there is what a shell can evaluate."""
    parser = argparse.ArgumentParser(prog="python -m imagetest.testing.aws", description=__doc__)
    parser.add_argument("--image", action="append", required=True, metavar="NAME=REFERENCE", help="publish an image")
    parser.add_argument("--region", default="us-east-1", help="the region of AWS_REGION")
    parser.add_argument("--user", default="root", help="the account that gets an instance's key")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="run this, and end with it")
    options = parser.parse_args()
    try:
        images = dict(_pair(one) for one in options.image)
        if options.command:
            return _run(options.command, images, region=options.region, user=options.user)
        _serve(images, region=options.region, user=options.user)
    except ImagetestError as error:
        sys.stderr.write(f"error: {error.explain()}\n")
        return error.exit_code
    return 0


def _run(command: list[str], images: dict[str, str], *, region: str, user: str) -> int:
    with AwsWithBodies(images=images, region=region, user=user) as aws:
        return process.foreground(*command, cwd=Path.cwd(), env={**os.environ, **aws.environ()})


def _serve(images: dict[str, str], *, region: str, user: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts in the background ignore it
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with AwsWithBodies(images=images, region=region, user=user) as aws:
        heard = list[int]()
        for number in ENDING:
            signal.signal(number, lambda signum, _frame: heard.append(signum))
        lines = [f"export {name}={shlex.quote(value)}" for name, value in aws.environ().items()]
        lines += [f"# {aws.ami(name)}  {name}" for name in images]
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()
        while not heard:
            time.sleep(PAUSE_SECONDS)
        sys.stderr.write("removing what is left of it\n")


def _pair(text: str) -> tuple[str, str]:
    name, separator, reference = text.partition("=")
    if not (name and separator and reference):
        raise UsageError(f"--image {text!r} is not NAME=REFERENCE", hint="such as debian-12-amd64-20261101=debian:12")
    return name, reference


if __name__ == "__main__":
    sys.exit(main())
