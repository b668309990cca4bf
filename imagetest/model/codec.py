"""Every noun to JSON and back, in a document that names its format and version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from imagetest.errors import DocumentError
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.snapshot import Snapshot

FORMAT = "imagetest/assessment/1"
"""The format that this version writes; a reader refuses a format that it does not know."""

SNAPSHOT_FORMAT = "imagetest/snapshot/1"

Noun = TypeVar("Noun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An assessment and its verdict, as they are stored and exchanged."""

    format: str = FORMAT
    assessment: Assessment
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDocument:
    """A snapshot, as it is stored and exchanged."""

    format: str = SNAPSHOT_FORMAT
    snapshot: Snapshot


def encode(document: Document) -> bytes:
    """Return the document as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode(data: bytes, *, origin: str = "the document") -> Document:
    """Read a document; `origin` names it in the error.

    Raises DocumentError when it is not JSON, not of a known format, or a field is missing or of the wrong type.
    """
    hint = "give the assessment.json of a run of this version of imagetest"
    return _decode(data, Document, FORMAT, origin=origin, noun="assessment", hint=hint)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return a snapshot as JSON with a final newline, its facts in order, so that two can be compared by eye."""
    plain = msgspec.json.encode(SnapshotDocument(snapshot=snapshot), order="deterministic")
    return msgspec.json.format(plain, indent=1) + b"\n"


def decode_snapshot(data: bytes, *, origin: str = "the snapshot") -> Snapshot:
    """Read a snapshot. Raises DocumentError as `decode` does."""
    hint = "give a file that 'imagetest snapshot' wrote"
    document = _decode(data, SnapshotDocument, SNAPSHOT_FORMAT, origin=origin, noun="snapshot", hint=hint)
    return document.snapshot


def _decode(data: bytes, noun_type: type[Noun], expected: str, *, origin: str, noun: str, hint: str) -> Noun:
    try:
        header: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{origin} is not JSON: {error}"
        raise DocumentError(msg) from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != expected:
        msg = f"{origin} is of format {found!r}, expected {expected!r}"
        raise DocumentError(msg, hint=hint)
    try:
        return msgspec.convert(header, noun_type)
    except msgspec.ValidationError as error:
        msg = f"{origin} is not a valid {noun}: {error}"
        raise DocumentError(msg) from error
