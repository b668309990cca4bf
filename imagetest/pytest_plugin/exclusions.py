"""Options that make no sense together, told before anything is done."""

from __future__ import annotations

import argparse

from imagetest.errors import ConfigError


def check(option: argparse.Namespace) -> None:
    """Raise ConfigError, with a hint, for the first two options that exclude each other."""
    if option.hosts:
        raise ConfigError("--image and --hosts exclude each other", hint="--image boots an instance; --hosts names one")
    if option.against and getattr(option, "numprocesses", None):
        raise ConfigError("--against and -n exclude each other", hint="one process asks all hosts side by side")
    if not option.reuse:
        return
    if option.gate or option.promote:
        other = "--promote" if option.promote else "--gate"
        raise ConfigError(
            f"--reuse and {other} exclude each other",
            hint="only an instance that was booted for the run proves an image: run once without --reuse",
        )
    if option.keep != "never":
        raise ConfigError(
            "--reuse and --keep exclude each other",
            hint="--reuse leaves the instance up by itself; --keep leaves one up that no run takes over",
        )
