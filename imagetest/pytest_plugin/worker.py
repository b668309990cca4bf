"""A worker of pytest-xdist: it runs tests on instances that the controller booted."""

from __future__ import annotations

import functools
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from imagetest.config import wiring
from imagetest.config.settings import load
from imagetest.config.targets import resolve_all
from imagetest.errors import LeakError, MachineLostError
from imagetest.execute.interrupts import interrupts
from imagetest.execute.redact import Redactor
from imagetest.marks import PROJECT
from imagetest.pipeline.boot import Fleet
from imagetest.pipeline.rebake import Rebakes
from imagetest.pytest_plugin import handover, switch
from imagetest.pytest_plugin.binding import Catalogue, check_id, controls_of, image_of
from imagetest.pytest_plugin.changes import judges_of
from imagetest.pytest_plugin.observing import Observer
from imagetest.pytest_plugin.throwaways import THROWAWAYS, Throwaways
from imagetest.transport.backend import REST, Switchboard
from imagetest.transport.line import Machine, reached
from imagetest.transport.questions.memory import Touched
from imagetest.transport.recorder import Recorder


class Worker:
    """What one worker process does for imagetest."""

    def __init__(self, config: pytest.Config, told: dict[str, Any]) -> None:
        self._folder = Path(told["folder"])
        config.args, config.option.hosts = list(told["args"]), told["hosts"]
        self._suites = {name: [Path(path) for path in paths] for name, paths in told["suites"].items()}
        settings = load(Path(told["config"]) if told["config"] else None, start=Path(told["start"]))
        config.stash[PROJECT] = settings.project
        config.stash[THROWAWAYS] = lambda: self._throwaways
        self._settings = settings
        self._images = list(config.option.image)
        worker = str(config.workerinput["workerid"])  # type: ignore[attr-defined]  # pytest-xdist adds it
        self._fleet = Fleet(
            run=f"{told['run']}-{worker}", leases=wiring.leases(settings), folder=settings.state / "keys",
            drivers=functools.cache(wiring.driver),
        )  # fmt: skip
        recorder = Recorder(self._redact)
        self._observer = Observer(recorder, self._redact)
        self._switchboard = Switchboard(
            machine=self._machine, recorder=recorder, on_lost=self._lost, touched=Touched(self._folder),
            remember=not config.option.ask_always,
        )  # fmt: skip
        switch.install(config, self._switchboard, self._observer, Catalogue(settings.library))
        self._collected: list[dict[str, object]] = []
        interrupts.install()
        config.add_cleanup(self._last_resort)

    @cached_property
    def _handovers(self) -> handover.Handovers:
        return handover.read(self._folder)

    @cached_property
    def _throwaways(self) -> Throwaways:
        settings = self._settings
        targets = {one.name: one for one in resolve_all(self._images, settings, wiring.builder().sources)}
        return Throwaways(
            settings=settings, fleet=self._fleet, switchboard=self._switchboard, progress=lambda _event: None,
            image=lambda name: self._handovers.machines[name].image,
            first_boot=lambda name: self._handovers.machines[name].boot, target=targets.__getitem__,
            rebakes=Rebakes(
                builder=wiring.builder, driver=wiring.driver, leases=wiring.leases(settings), folder=self._folder,
                progress=lambda _event: None, secrets=lambda: self._handovers.secrets,
            ),
        )  # fmt: skip

    def _redact(self, text: str) -> str:
        try:
            secrets = self._handovers.secrets
        except MachineLostError:
            secrets = ()
        return Redactor(secrets)(text)

    def _machine(self, name: str) -> Machine:
        if "_throwaways" in self.__dict__ and self._throwaways.has(name):
            return self._throwaways.machine(name)
        known = self._handovers.machines.get(name.removesuffix(REST))
        if known is None:
            raise MachineLostError(f"no instance of {name!r} was booted")
        if not name.endswith(REST):
            return reached(known.address, known.plan, remember=not known.boot.taken_over_from)
        up = self._fleet.rest(known.image, known.plan)
        return reached(up.instance.address, known.plan, transport=up.transport)

    def _lost(self, image: str, message: str) -> None:
        self._observer.lost[image] = message

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep each image to its own suites, as the controller's process would."""
        switch.keep_to_suites(items, self._suites)
        handover.wish(self._folder, judges_of(items))
        self._note(items, deselected=False)

    @pytest.hookimpl
    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Remember what was deselected."""
        self._note(items, deselected=True)

    def _note(self, items: list[pytest.Item], *, deselected: bool) -> None:
        for item in items:
            image = image_of(item)
            self._collected.append(
                {
                    "image": image,
                    "check": check_id(item, image),
                    "controls": controls_of(item),
                    "deselected": deselected,
                }
            )

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller what was collected, and remove what this worker booted."""
        output = session.config.workeroutput  # type: ignore[attr-defined]  # pytest-xdist adds it
        output["imagetest"] = self._collected
        output["imagetest_leaks"] = [error.explain() for error in self._close()]

    def _close(self) -> list[LeakError]:
        self._switchboard.close()
        leaks = self._throwaways.close() if "_throwaways" in self.__dict__ else []
        return leaks + self._fleet.close()

    def _last_resort(self) -> None:
        """Remove what is still there when the session did not come to its end."""
        self._close()
