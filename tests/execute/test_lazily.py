"""A deferred library is imported when it is used, whole and once, by whatever way it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

USES = {
    "attribute": "import heavy; assert 'ran' not in said; assert heavy.VALUE == 7",
    "name": "from heavy import VALUE; assert VALUE == 7",
    "submodule": "import heavy.part; assert heavy.part.OTHER == 8",
    "twice": "import heavy as one; assert one.VALUE == 7; import heavy; assert heavy.VALUE == one.VALUE",
}


@pytest.mark.parametrize("use", USES)
def test_it_is_there_once_it_is_used(tmp_path: Path, use: str) -> None:
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text("import builtins\nbuiltins.said.append('ran')\nVALUE = 7\n")
    (tmp_path / "heavy" / "part.py").write_text("OTHER = 8\n")
    before = "import builtins; builtins.said = said = []; from imagetest.execute.lazily import defer; defer('heavy'); "
    done = subprocess.run(
        [sys.executable, "-c", f"{before}{USES[use]}; assert said == ['ran'], said"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_a_library_that_is_there_already_stays() -> None:
    code = "from imagetest.execute.lazily import defer; defer('json'); assert sys.modules['json'] is json"
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys; {code}"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
