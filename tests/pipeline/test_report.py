"""A report is there whole or not at all, and a folder that cannot be written is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetest.errors import StorageError
from imagetest.pipeline import report
from imagetest.reporters.document import DocumentReporter
from imagetest.reporters.junit import JunitReporter
from tests.reporters.regenerate import load


def test_every_report_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    stored = load()
    paths = report.write(
        tmp_path / "new" / "folder", stored.assessment, stored.verdict, [DocumentReporter(), JunitReporter()]
    )

    assert [path.name for path in paths] == [DocumentReporter.filename, JunitReporter.filename]
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(path.name for path in paths)
    assert paths[0].read_bytes() == DocumentReporter().render(stored.assessment, stored.verdict)


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    report.save(tmp_path / "report", b"a long one from before")
    report.save(tmp_path / "report", b"new")

    assert (tmp_path / "report").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_full_disk_leaves_the_report_from_before(tmp_path: Path) -> None:
    report.save(tmp_path / "report", b"before")
    (tmp_path / "report.new").symlink_to("/dev/full")

    with pytest.raises(StorageError, match=r"cannot write .*report: No space left on device") as caught:
        report.save(tmp_path / "report", b"x" * 100_000)
    assert "--report-dir" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report").read_bytes() == b"before"


def test_a_folder_that_is_a_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=r"cannot write"):
        report.save(tmp_path / "file" / "report", b"content")


def test_latest_leads_to_the_newest_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        report.point_latest(tmp_path / name)

    assert (tmp_path / "latest").readlink() == Path("two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one", "two"]


def test_a_latest_that_cannot_be_replaced_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "run").mkdir()

    with pytest.raises(StorageError, match=r"cannot link .*latest"):
        report.point_latest(tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run"]
