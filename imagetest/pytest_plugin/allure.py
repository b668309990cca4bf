"""Give allure-pytest, where it is in use, the controls and the evidence of each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import allure
import pytest

from imagetest.model.assessment import Assessment, Verdict
from imagetest.pytest_plugin.binding import Catalogue, controls_of
from imagetest.pytest_plugin.observing import observed
from imagetest.reporters import allure as results


class AllureEvidence:
    """Labels each test with its controls and attaches the commands that it ran."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self._folder = folder
        self._catalogue = catalogue

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Label the test while allure-pytest has it open."""
        for identity in controls_of(item):
            if identity in self._catalogue.controls:
                for name, value in results.labels(self._catalogue.controls[identity]).items():
                    allure.dynamic.label(name, value)  # type: ignore[no-untyped-call]
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach what the phase ran."""
        report = yield
        observation = observed(report)
        if observation is not None and observation.check.commands:
            text = "\n".join(results.evidence(command) for command in observation.check.commands)
            allure.attach(text, name=f"commands of {report.when}", attachment_type=allure.attachment_type.TEXT)
        return report

    def conclude(self, assessment: Assessment, verdict: Verdict) -> None:
        """Add the verdict."""
        results.write_verdict(self._folder, assessment, verdict)
