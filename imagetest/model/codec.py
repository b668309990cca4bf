"""Every noun to JSON and back, in a document that names its format and version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from imagetest.errors import DocumentError
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.drift import Drift
from imagetest.model.parity import Parity
from imagetest.model.promotion import Placement
from imagetest.model.snapshot import Snapshot

FORMAT = "imagetest/assessment/1"
"""The format that this version writes; a reader refuses a format that it does not know."""

SNAPSHOT_FORMAT = "imagetest/snapshot/1"

DRIFT_FORMAT = "imagetest/drift/1"

PARITY_FORMAT = "imagetest/parity/1"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDocument:
    """A comparison of two snapshots, for whoever reads it on."""

    format: str = DRIFT_FORMAT
    drift: Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityDocument:
    """What machines were held against, and what came of it."""

    format: str = PARITY_FORMAT
    parities: tuple[Parity, ...]


def encode(document: Document) -> bytes:
    """Return the document as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode(data: bytes, *, origin: str = "the document") -> Document:
    """Read a document; `origin` names it in the error.

    Raises DocumentError when it is not JSON, not of a known format, or a field is missing or of the wrong type.
    """
    hint = "give the assessment.json of a run of this version of imagetest"
    return _decode(data, Document, FORMAT, origin=origin, noun="assessment", hint=hint)


def is_encodable(noun: object) -> bool:
    """Say whether every text of a noun can stand in a document; that takes a fraction of the time of looking itself."""
    try:
        msgspec.json.encode(noun)
    except UnicodeEncodeError:
        return False
    return True


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return a snapshot as JSON with a final newline, its facts in order, so that two can be compared by eye."""
    plain = msgspec.json.encode(SnapshotDocument(snapshot=snapshot), order="deterministic")
    return msgspec.json.format(plain, indent=1) + b"\n"


def decode_snapshot(data: bytes, *, origin: str = "the snapshot") -> Snapshot:
    """Read a snapshot. Raises DocumentError as `decode` does."""
    hint = "give a file that 'imagetest snapshot' wrote"
    document = _decode(data, SnapshotDocument, SNAPSHOT_FORMAT, origin=origin, noun="snapshot", hint=hint)
    return document.snapshot


def encode_drift(drift: Drift) -> bytes:
    """Return a comparison as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(DriftDocument(drift=drift)), indent=2) + b"\n"


def decode_drift(data: bytes, *, origin: str = "the comparison") -> Drift:
    """Read a comparison. Raises DocumentError as `decode` does."""
    hint = "give what 'imagetest diff --json' wrote"
    return _decode(data, DriftDocument, DRIFT_FORMAT, origin=origin, noun="comparison", hint=hint).drift


def encode_parities(parities: tuple[Parity, ...]) -> bytes:
    """Return parities as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(ParityDocument(parities=parities)), indent=2) + b"\n"


def decode_parities(data: bytes, *, origin: str = "the parity") -> tuple[Parity, ...]:
    """Read parities. Raises DocumentError as `decode` does."""
    hint = "give what 'imagetest parity --json' wrote"
    return _decode(data, ParityDocument, PARITY_FORMAT, origin=origin, noun="parity", hint=hint).parities


def encode_placements(placements: tuple[Placement, ...]) -> str:
    """Return placements as one line of JSON."""
    return msgspec.json.encode(placements).decode()


def decode_placements(text: str, *, origin: str = "the placements") -> tuple[Placement, ...]:
    """Read placements. Raises DocumentError when they are not as `encode_placements` writes them."""
    try:
        return msgspec.json.decode(text, type=tuple[Placement, ...])
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"{origin} cannot be read: {error}"
        raise DocumentError(msg) from error


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
