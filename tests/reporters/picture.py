"""Take the picture of a report that the README shows: python -m tests.reporters.picture."""

from __future__ import annotations

import tempfile
from pathlib import Path

from imagetest.reporters.html import HtmlReporter
from tests.reporters.chromium import browse
from tests.reporters.regenerate import load

PICTURE = Path(__file__).parent.parent.parent / "docs" / "report.png"


def main() -> None:
    """Render the report of a plausible image and photograph its first screen."""
    document = load("photoapp.json")
    with tempfile.TemporaryDirectory() as folder, browse() as page:
        report = Path(folder) / "report.html"
        report.write_bytes(HtmlReporter().render(document.assessment, document.verdict))
        page.look_like(width=1400, height=1010)
        page.call("Emulation.setScrollbarsHidden", hidden=True)
        page.open(report)
        PICTURE.write_bytes(page.screenshot())


if __name__ == "__main__":
    main()
