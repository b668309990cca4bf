"""Write the golden files anew from the canonical assessment: python -m tests.reporters.regenerate."""

from __future__ import annotations

from pathlib import Path

from imagetest.model.codec import Document, decode
from imagetest.reporters.html import HtmlReporter
from imagetest.reporters.junit import JunitReporter
from imagetest.reporters.terminal import summary

DATA = Path(__file__).parent.parent / "data"
GOLDEN = Path(__file__).parent / "golden"


def load(name: str = "assessment.json") -> Document:
    """Return a stored document: `assessment.json` has one of everything, `photoapp.json` is what a user might see."""
    return decode((DATA / name).read_bytes(), origin=name)


def rendered() -> dict[str, bytes]:
    """Return what each reporter makes of the canonical assessment, by the name of its golden file."""
    document = load()
    reporters = (HtmlReporter(), JunitReporter())
    files = {one.filename: one.render(document.assessment, document.verdict) for one in reporters}
    lines = summary(document.assessment, document.verdict, width=100, report=".imagetest/runs/latest/report.html")
    files["summary.txt"] = "".join(f"{style.value:5} | {text}\n" for style, text in lines).encode()
    return files


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, content in rendered().items():
        (GOLDEN / name).write_bytes(content)
