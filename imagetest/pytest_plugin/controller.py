"""The process that decides: it bakes and boots before the tests, and judges and promotes after them."""

from __future__ import annotations

import atexit
import threading
from collections import defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from imagetest.config import wiring
from imagetest.config.settings import load
from imagetest.config.targets import Target, resolve_all
from imagetest.errors import ImagetestError
from imagetest.execute.interrupts import interrupts
from imagetest.execute.redact import Redactor
from imagetest.marks import PROJECT
from imagetest.model.control import Profile
from imagetest.model.finding import Check, Status
from imagetest.policy.assess import Collected, scope
from imagetest.policy.exit_code import ExitCode
from imagetest.ports import Booted
from imagetest.pytest_plugin import exclusions, switch
from imagetest.pytest_plugin.binding import Catalogue, check_id, controls_of, fixtures_of, image_of
from imagetest.pytest_plugin.changes import FIXTURE, Changes, Watching, judges_of
from imagetest.pytest_plugin.display import Display
from imagetest.pytest_plugin.finishing import Ending
from imagetest.pytest_plugin.handover import wishes
from imagetest.pytest_plugin.killed import remove_left
from imagetest.pytest_plugin.live import is_live
from imagetest.pytest_plugin.machines import Machines
from imagetest.pytest_plugin.observing import Observer, merged, observed
from imagetest.pytest_plugin.parities import Parities
from imagetest.pytest_plugin.runs import Run, open_run
from imagetest.pytest_plugin.throwaways import THROWAWAYS, Throwaways
from imagetest.transport.backend import NAME, Switchboard
from imagetest.transport.line import Machine
from imagetest.transport.recorder import Recorder


def install(config: pytest.Config) -> None:
    """Read the configuration and prepare the run. Raises pytest.UsageError for whatever a user can mend."""
    try:
        controller = Controller(config)
    except ImagetestError as error:
        raise pytest.UsageError(error.explain()) from error
    config.pluginmanager.register(controller, "imagetest-controller")


class Controller:
    """One run over one or more images."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        exclusions.check(option)
        self._chosen = switch.chosen(config)
        self.settings = load(Path(option.imagetest_config) if option.imagetest_config else None)
        config.stash[PROJECT] = self.settings.project
        config.stash[THROWAWAYS] = lambda: self.throwaways
        self.targets = resolve_all(option.image, self.settings, lambda order: wiring.builder().sources(order))
        self.catalogue = Catalogue(self.settings.library)
        self.profiles = {target.name: self._profile(target, option.profile) for target in self.targets}
        self.ending = Ending(self.settings, promote=option.promote, gated=option.gate or bool(option.promote))
        self.display = Display(config)
        self.collected: dict[str, dict[str, Collected]] = defaultdict(dict)
        self.kept: dict[str, Booted] = {}
        self._config = config
        self._run: Run | None = None
        self._machines: Machines | None = None
        self._at_rest: set[str] = set()
        self._next: dict[str, str] = {}
        """By image, the one whose tests come behind its own."""
        """The images that some test wants at rest."""
        self._throwaways: Throwaways | None = None
        self._waiting: dict[str, list[str]] = {}
        """By image, the tests that may not have run yet, the first of them last."""
        self._watched: dict[str, list[str]] = {}
        """By image, the checks that judge whether all others changed it."""
        self._parities = Parities(self.targets, self.settings, against=option.against, platforms=option.platform_parity)
        self._watching = Watching(lambda: self.machines, self.settings, self._parities.live_names)
        self._warm_up: threading.Thread | None = None
        self._direct_tests(config)
        self._recorder = Recorder(self._redact)
        self._observer = Observer(self._recorder, self._redact)
        self._switchboard = Switchboard(
            machine=self._machine, recorder=self._recorder, on_lost=self._lost, remember=not option.ask_always
        )
        switch.install(config, self._switchboard, self._observer, self.catalogue)
        interrupts.install()
        config.add_cleanup(lambda: interrupts.retire(ending=switch.is_the_program()))
        config.add_cleanup(self._close)
        atexit.register(self._close)

    @property
    def run(self) -> Run:
        """Return the run's identity and folder, made when the run really starts."""
        if self._run is None:
            self._run = open_run(self.settings, self._config.option.report_dir)
        return self._run

    @property
    def machines(self) -> Machines:
        """Return the run's images and instances."""
        if self._machines is None:
            self._machines = Machines(
                self.targets, settings=self.settings, run=self.run.id, folder=self.run.folder, reports=self.run.reports,
                progress=self.display.progress, rebake=self._config.option.rebake, reuse=self._config.option.reuse,
            )  # fmt: skip
        return self._machines

    @property
    def throwaways(self) -> Throwaways:
        """Return the machines that the checks boot for themselves."""
        if self._throwaways is None:
            self._throwaways = self.machines.throwaways(self._switchboard)
        return self._throwaways

    @property
    def _suites(self) -> dict[str, tuple[Path, ...]]:
        """Return the suites of each image; nothing where the tests were named on the command line."""
        return {} if self._chosen else {target.name: target.suites for target in self.targets}

    # -- collection

    def pytest_report_header(self) -> list[str]:
        """Say what is going to be judged."""
        return [f"image: {target.name} ({_origin(target)})" for target in self.targets]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep each image to its own suites, and run all tests of one image before those of the next."""
        switch.keep_to_suites(items, self._suites)
        names = [name for target in self.targets for name in (target.name, *self._parities.live_names(target.name))]
        order = {name: number for number, name in enumerate(names)}
        items.sort(key=lambda item: (order.get(image_of(item), -1), FIXTURE in fixtures_of(item)))
        self._watched = judges_of(items)
        self._at_rest = {image_of(item) for item in items if "at_rest" in fixtures_of(item)}
        self._note(items, deselected=False)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Remember what was deselected: it was not reviewed."""
        self._note(items, deselected=True)

    def _note(self, items: list[pytest.Item], *, deselected: bool) -> None:
        for item in items:
            image = image_of(item)
            self.collected[image][check_id(item, image)] = Collected(controls=controls_of(item), deselected=deselected)

    # -- the run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Have every image ready before the first test; with none of them, run no test."""
        if self._config.option.collectonly or not session.items or session.testsfailed:
            return None
        names = [name for name in map(image_of, session.items) if name and not is_live(name)]
        self._next = dict(pairwise(dict.fromkeys(names)))
        return None if self._prepare() else True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Boot a test's image before its first test, and the next one meanwhile; run none on one that is not there."""
        name = image_of(item)
        if self._warm_up is None and not self._config.option.reuse:
            # Loading the reporters takes a tenth of a second, and a boot is mostly waiting.
            self._warm_up = threading.Thread(target=wiring.reporters, name="reporters", daemon=True)
            self._warm_up.start()
        if is_live(name):
            return None if self._parities.may_run(name, check_id(item, name), self.machines) else True
        if name and self.machines.boot(name, rest=name in self._at_rest):
            self._remember()
            if name in self._next:  # two stand at once, and no more
                self.machines.boot_ahead(self._next[name], rest=self._next[name] in self._at_rest)
        return True if name in self.machines.not_judged or (name and name not in self.machines.up()) else None

    def _remember(self) -> None:
        """Remember the state of machines that were just booted, where somebody wants to know what became of it."""
        for name in self.machines.up():
            with self.machines.judging(name):
                self._parities.remember(self.machines, name)
                if name in self._watched or self._parities.live_names(name):
                    self._watching.begin(name)

    def changes(self, name: str) -> Changes:
        """Say what the checks of an image did to its machine so far."""
        found = self._watching.end(name, self._checks(name).values())
        self._recorder.compared(found.drift)
        return found

    def pytest_runtest_logfinish(self) -> None:
        """Remove the instances whose last test has run, so that many images never stand at once."""
        for name in self.machines.up() if self._machines and not self._distributed else []:
            if self._is_through(name):
                self._dismiss(name)

    def _is_through(self, name: str) -> bool:
        """Say whether each test of an image has run; each is looked at once, however many there are."""
        if name not in self._waiting:
            found = reversed(self.collected[name].items())
            self._waiting[name] = [one for one, test in found if not test.deselected]
        waiting = self._waiting[name]
        while waiting and waiting[-1] in self._checks(name):
            waiting.pop()
        return not waiting

    def _checks(self, name: str) -> dict[str, Check]:
        verification = self.machines.verifications.get(name)
        return verification.checks if verification else {}

    def _prepare(self) -> bool:
        """Have every image identified or baked; say whether there is one to test."""
        try:
            self.ending.check(self.machines.targets.values())
            remove_left(self.settings, self.display.progress)
            self.machines.prepare(self.profiles)
        except ImagetestError as error:
            self.ending.stopped = error
            return False
        return bool(self.machines.verifications)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a test said to its image, or to every image when it asked for none."""
        observation = observed(report)
        if observation is None:
            return
        if observation.lost:
            self._lost(observation.image, observation.lost)
        if self._parities.live is not None and is_live(observation.image):
            self._parities.live.observe(observation)
            return
        names = [observation.image] if observation.image else list(self.machines.verifications)
        for name in names:
            verification = self.machines.verifications.get(name)
            if verification is not None:
                check = merged(verification.checks.get(observation.check.id), observation)
                verification.checks[check.id] = check
                verification.seconds["checks"] = verification.seconds.get("checks", 0.0) + observation.check.seconds

    # -- pytest-xdist

    @property
    def _distributed(self) -> bool:
        return self._config.pluginmanager.has_plugin("dsession")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it belongs to."""
        try:
            self.run  # noqa: B018 - made here, so that a folder that cannot be made ends the run in one line
        except ImagetestError as error:
            pytest.exit(error.explain(), returncode=error.exit_code)
        node.workerinput["imagetest"] = {
            "run": self.run.id,
            "folder": str(self.run.folder),
            "config": str(self.settings.file or ""),
            "start": str(self.settings.project),
            "args": self._config.args,
            "hosts": self._config.option.hosts,
            "suites": {name: [str(path) for path in paths] for name, paths in self._suites.items()},
        }

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Bake and boot once the first worker has found tests; the others wait for theirs."""
        if ids and not self.machines.verifications and not self.machines.not_judged:
            if not self._prepare():
                pytest.exit("no image could be judged", returncode=ExitCode.NOT_JUDGED)
            self._watched = wishes(self.run.folder)
            self.machines.boot_all()
            self._remember()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Hear what a worker collected and could not remove."""
        output = getattr(node, "workeroutput", {})
        for one in output.get("imagetest", []):
            self.collected[one["image"]][one["check"]] = Collected(
                controls=tuple(one["controls"]), deselected=one["deselected"]
            )
        self.ending.leaks += output.get("imagetest_leaks", [])
        if error:
            self.ending.leaks.append(f"a worker ended by itself: {error}")

    # -- the end

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Bring the run to its end, however often the user asks for it."""
        interrupts.hold()
        # A signal may arrive at an instruction that belongs to no line, which pytest's traceback cannot show.
        lines = [(entry, getattr(entry._rawentry, "tb_lineno", None)) for entry in excinfo.traceback]  # noqa: SLF001
        excinfo.traceback = type(excinfo.traceback)([entry for entry, number in lines if number is not None])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Judge every image, write the reports, promote what may be promoted, and decide the exit code."""
        interrupts.hold()
        if not self._config.option.collectonly:
            self._conclude(int(exitstatus))
        self._close()
        if not self._config.option.collectonly:
            session.exitstatus = self.ending.exit_code(int(exitstatus), self._machines)

    def _conclude(self, exitstatus: int) -> None:
        if self._machines is None:
            return
        for name in self.machines.up():
            self._checks(name).update(self._watching.supersede(name, self._checks(name), self._watched.get(name, ())))
            self._dismiss(name)
        for name, verification in self.machines.verifications.items():
            found = {**self.collected.get("", {}), **self.collected.get(name, {})}
            seen = scope(found, verification.checks, verification.profile)
            verification.profile, verification.absent = seen.profile, dict(seen.absent)
            verification.errors += [*seen.errors, *_unusual(exitstatus)]
            verification.parities = self._parities.conclude(name, verification.checks, self.collected)
        self.ending.judge(self.machines, run=self.run, catalogue=self.catalogue.controls)
        allure: Any = self._config.pluginmanager.get_plugin(switch.ALLURE)
        for one in self.ending.judged if allure is not None else []:
            allure.conclude(one.assessment, one.verdict)

    def pytest_terminal_summary(self) -> None:
        """Show the verdicts, what could not be judged, and what was left up."""
        self.ending.show(self.display, self._machines, self.kept)

    def _dismiss(self, name: str) -> None:
        self._parities.clear_checks(name, partial(self._watching.end, name, self._checks(name).values()))
        keep = self._config.option.keep
        bad = name in self.machines.not_judged or any(
            check.status in {Status.FAILED, Status.ERROR} for check in self._checks(name).values()
        )
        if self._throwaways is not None:
            with self.machines.judging(name):
                self._throwaways.dismiss(name)
        kept = self.machines.dismiss(name, keep=keep == "always" or (keep == "failed" and bad))
        if kept is not None:
            self.kept[name] = kept

    def _close(self) -> None:
        """Remove whatever is still there, once, however the run ended."""
        atexit.unregister(self._close)
        self._switchboard.close()
        self._parities.close()
        if self._machines is not None:
            self.ending.leaks += [error.explain() for error in self._machines.close()]
        if self._run is not None:
            self._run.clear()

    def _machine(self, name: str) -> Machine:
        if self._parities.live is not None and is_live(name):
            return self._parities.live.machine(name)
        if self._throwaways is not None and self._throwaways.has(name):
            return self._throwaways.machine(name)
        return self.machines.machine(name)

    def _lost(self, image: str, message: str) -> None:
        if self._parities.live is not None and is_live(image):
            self._parities.live.lost(image, message)
        else:
            self.machines.lost(image, message)

    def _redact(self, text: str) -> str:
        return Redactor(self.machines.secrets if self._machines else ())(text)

    def _profile(self, target: Target, override: str | None) -> Profile:
        name = override or ("" if self._chosen and target.implied else target.profile)
        return self.settings.library.profile(name, self.catalogue.controls) if name else Profile(name="")

    def _direct_tests(self, config: pytest.Config) -> None:
        live = [name for target in self.targets for name in self._parities.live_names(target.name)]
        config.option.hosts = ",".join(f"{NAME}://{name}" for name in [*(one.name for one in self.targets), *live])
        if not self._chosen:
            suites = dict.fromkeys(str(path) for target in self.targets for path in target.suites)
            config.args = list(suites)


def _origin(target: Target) -> str:
    if target.order is None:
        return f"{target.plan.driver}:{target.reference}"
    return f"{target.order.template.name}, source {target.source}"


def _unusual(exitstatus: int) -> list[str]:
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        return ["the run was interrupted"]
    if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        return []
    return [f"pytest ended with exit code {exitstatus}"]
