"""Which image and which controls a collected test is about."""

from __future__ import annotations

import difflib
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from imagetest.config.mistakes import unknown
from imagetest.config.suites import CATALOGUE, Library, load_catalogue
from imagetest.errors import ConfigError
from imagetest.model.control import Control
from imagetest.transport.backend import LIVE, NAME, Backend


def image_of(item: pytest.Item) -> str:
    """Return the name of the image, or of the live host, that a test runs on; empty where it asks for no machine."""
    host = item.callspec.params.get("_testinfra_host") if hasattr(item, "callspec") else None
    backend = getattr(host, "backend", None)
    name = str(backend.get_hostname()) if isinstance(backend, Backend) else ""
    return name if LIVE in name else name.partition("+")[0]


def check_id(item: pytest.Item, image: str) -> str:
    """Return a test's id without the part that names the image, so that it is the same for every image."""
    if not image:
        return item.nodeid
    name, bracket, parameters = item.nodeid.rpartition("[")
    rest = parameters.removesuffix("]").replace(f"{NAME}://{image}", "", 1).strip("-")
    return f"{name}[{rest}]" if bracket and rest else name or item.nodeid


def controls_of(item: pytest.Item) -> tuple[str, ...]:
    """Return the controls that a test is bound to, in the order of its decorators."""
    return tuple(dict.fromkeys(str(one) for mark in item.iter_markers("control") for one in mark.args))


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    """Return the names of the fixtures that a test asks for, itself or through others."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    return names


def title_of(item: pytest.Item) -> str:
    """Return the first line of the test's docstring."""
    doc = getattr(getattr(item, "obj", None), "__doc__", None) or ""
    return doc.strip().splitlines()[0] if doc.strip() else ""


Collecting = Generator[None, pytest.CollectReport, pytest.CollectReport]


class Catalogue:
    """Every control that a run can be about; a suite's own catalogue is found when its tests are collected."""

    def __init__(self, library: Library) -> None:
        self._paths = library.catalogues()
        self._known = load_catalogue(self._paths)

    @property
    def controls(self) -> dict[str, Control]:
        """Return all controls by id."""
        return self._known

    def include(self, test_file: Path, root: Path) -> None:
        """Add the catalogues beside and above a test file, up to the root of the run."""
        for folder in test_file.parents:
            path = folder / CATALOGUE
            if path.is_file() and path.resolve() not in {known.resolve() for known in self._paths}:
                self._paths.append(path)
                self._known = load_catalogue(self._paths)
            if folder == root:
                return

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Collecting:
        """Turn a test that is bound to an unknown control into a collection error of its file."""
        report = yield
        items = [node for node in report.result if isinstance(node, pytest.Item)] if report.passed else []
        try:
            if items:
                self.include(collector.path, collector.config.rootpath)
        except ConfigError as error:
            return _failed(report, error.explain())
        wrong = [(item, one) for item in items for one in controls_of(item) if one not in self._known]
        if wrong:
            said = [f"{item.nodeid}: {unknown('control', one, self._near(one))}" for item, one in wrong]
            return _failed(report, "\n".join(dict.fromkeys(said)))
        return report

    def _near(self, identity: str) -> list[str]:
        words = set(identity.split("-"))
        near = [one for one in self._known if words & set(one.split("-"))]
        return near or difflib.get_close_matches(identity, self._known, n=8, cutoff=0)


def _failed(report: pytest.CollectReport, message: str) -> pytest.CollectReport:
    report.outcome = "failed"
    report.longrepr = message
    report.result = []
    return report
