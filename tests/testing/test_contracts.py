"""Every reporter that is installed keeps the contract of one."""

from __future__ import annotations

import pytest

from imagetest.config import wiring
from imagetest.model.assessment import Assessment, Verdict
from imagetest.ports import Reporter
from imagetest.testing.contracts import ReporterContract
from tests.reporters.regenerate import load


@pytest.fixture(params=wiring.reporters(), ids=lambda reporter: str(reporter.filename))
def reporter(request: pytest.FixtureRequest) -> Reporter:
    found: Reporter = request.param
    return found


@pytest.fixture
def judged() -> tuple[Assessment, Verdict]:
    stored = load()
    return stored.assessment, stored.verdict


class TestReporters(ReporterContract):
    pass
