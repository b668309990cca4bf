"""Every noun to JSON and back, in a document that names its format and version."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from imagetest.errors import DocumentError
from imagetest.model.assessment import Assessment, Verdict

FORMAT = "imagetest/assessment/1"
"""The format that this version writes; a reader refuses a format that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An assessment and its verdict, as they are stored and exchanged."""

    format: str = FORMAT
    assessment: Assessment
    verdict: Verdict


def encode(document: Document) -> bytes:
    """Return the document as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode(data: bytes, *, origin: str = "the document") -> Document:
    """Read a document; `origin` names it in the error.

    Raises DocumentError when it is not JSON, not of a known format, or a field is missing or of the wrong type.
    """
    try:
        header = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{origin} is not JSON: {error}"
        raise DocumentError(msg) from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        msg = f"{origin} is of format {found!r}, expected {FORMAT!r}"
        raise DocumentError(msg, hint="give the assessment.json of a run of this version of imagetest")
    try:
        return msgspec.convert(header, Document)
    except msgspec.ValidationError as error:
        msg = f"{origin} is not a valid assessment: {error}"
        raise DocumentError(msg) from error
