"""Show on pytest's own terminal what happens and what came of it."""

from __future__ import annotations

import time

import pytest

from imagetest.errors import ImagetestError
from imagetest.ports import Event
from imagetest.reporters.terminal import Line, Style
from imagetest.reporters.text import readable

MARKUP: dict[Style, dict[str, bool]] = {
    Style.TITLE: {"bold": True},
    Style.PLAIN: {},
    Style.MUTED: {"light": True},
    Style.GOOD: {"green": True, "bold": True},
    Style.WARN: {"yellow": True},
    Style.BAD: {"red": True},
}


class Display:
    """Writes lines through pytest's terminal reporter; silent where there is none or under -q for mere progress.

    Machines word part of what is written: whatever a terminal would obey in it is made visible.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._start = time.monotonic()

    def progress(self, event: Event) -> None:
        """Show a step while it happens; a detail only in a verbose run."""
        verbosity = self._config.get_verbosity()
        if verbosity < 0 or (event.detail and verbosity < 1):
            return
        reporter = self._reporter()
        if reporter is not None:
            reporter.ensure_newline()
            for text in event.text.splitlines() or [""]:
                reporter.write_line(f"{time.monotonic() - self._start:6.1f}s  {readable(f'{event.subject}: {text}')}")

    @property
    def width(self) -> int:
        """Return how many columns the terminal has."""
        reporter = self._reporter()
        return reporter._tw.fullwidth if reporter is not None else 80  # noqa: SLF001 - pytest has no public name for it

    def section(self, title: str) -> None:
        """Start a part of the summary."""
        reporter = self._reporter()
        if reporter is not None:
            reporter.section(title, "=", bold=True)

    def lines(self, lines: list[Line]) -> None:
        """Write styled lines."""
        reporter = self._reporter()
        if reporter is None:
            return
        for style, text in lines:
            reporter.write_line(readable(text), **MARKUP[style])

    def trouble(self, subject: str, error: ImagetestError) -> None:
        """Write what went wrong and what to do about it."""
        self.lines([Line(Style.BAD, f"{subject}: {line}" if not number else line)
                    for number, line in enumerate(error.explain().splitlines())])  # fmt: skip

    def _reporter(self) -> pytest.TerminalReporter | None:
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        return reporter
