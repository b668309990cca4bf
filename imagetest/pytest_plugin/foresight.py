"""Ask a machine, before its first test, what its tests asked in the last run, and what their source says they will."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from imagetest.pytest_plugin.binding import check_id, image_of
from imagetest.pytest_plugin.guessing import guess
from imagetest.transport.backend import LIVE, Switchboard

FOLDER = "imagetest"
"""Beside what pytest itself remembers, in `.pytest_cache/d`."""

TOLD = "imagetest_heard"

Trace = dict[str, list[str]]
"""By check, what it asked that only looks, in order."""


class Foresight:
    """Hears what each check asks, and has it asked ahead of time the next time."""

    def __init__(self, config: pytest.Config, switchboard: Switchboard, redact: Callable[[str], str]) -> None:
        self._config = config
        self._switchboard = switchboard
        self._redact = redact
        self._items: dict[str, list[pytest.Item]] = defaultdict(list)
        self._heard: dict[str, Trace] = defaultdict(dict)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which tests there are of each image; those on live hosts are asked when their time comes."""
        for item in items:
            name = image_of(item)
            if name and LIVE not in name and item.get_closest_marker("mutates") is None:
                self._items[name].append(item)

    @pytest.hookimpl
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Ask ahead once the image's machine is up, before its first test."""
        name = image_of(item)
        coming = self._items.pop(name, [])
        if coming:
            self._switchboard.expect(name, self._questions(name, coming))
        self._switchboard.begin(check_id(item, name))  # what was asked ahead took none of the check's own time

    def _questions(self, name: str, items: list[pytest.Item]) -> list[str]:
        """Return what each test asked the last time; a test that is new is read."""
        trace = read(self._folder, name)
        known = {item: trace.get(check_id(item, name)) for item in items}
        traced = [text for asked in known.values() for text in asked or ()]
        return [*traced, *guess(item for item, asked in known.items() if asked is None)]

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep what was heard; a worker of pytest-xdist tells the controller."""
        for name, checks in self._switchboard.heard.items():
            if "+" not in name:
                self._heard[name] |= {check: keepable(asked, self._redact) for check, asked in checks.items()}
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[TOLD] = dict(self._heard)
            return
        for name, heard in self._heard.items():
            kept = {check: asked for check, asked in read(self._folder, name).items() if self._is_there(check)}
            write(self._folder, name, kept | heard)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear what a worker heard."""
        for name, heard in getattr(node, "workeroutput", {}).get(TOLD, {}).items():
            self._heard[name] |= heard

    @property
    def _folder(self) -> Path | None:
        """Return where traces are kept; nowhere without pytest's cache."""
        cache = getattr(self._config, "cache", None)
        return cache.mkdir(FOLDER) if cache is not None else None

    def _is_there(self, check: str) -> bool:
        return (self._config.rootpath / check.partition("::")[0]).exists()


def keepable(asked: Iterable[str], redact: Callable[[str], str]) -> list[str]:
    """Leave out what holds a secret."""
    return [text for text in asked if redact(text) == text and text.isprintable()]


def read(folder: Path | None, name: str) -> Trace:
    """Return the trace of an image's last run; none where there is none that can be read."""
    if folder is None:
        return {}
    try:
        return msgspec.json.decode(_file(folder, name).read_bytes(), type=Trace)
    except (OSError, msgspec.MsgspecError):
        return {}


def write(folder: Path | None, name: str, trace: Trace) -> None:
    """Keep a trace, in one piece."""
    if folder is not None:
        draft = _file(folder, name).with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(trace))
        draft.replace(_file(folder, name))


def _file(folder: Path, name: str) -> Path:
    return folder / f"asked.{name}.json"
