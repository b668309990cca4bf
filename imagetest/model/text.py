"""Text from outside, made fit for a document."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from imagetest.model.codec import is_encodable

Noun = TypeVar("Noun")


def legible(text: str) -> str:
    """Return the text with what is no character written out, such as a byte of an argument that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def cleaned(noun: Noun) -> Noun:
    """Return a noun in which every text is legible."""
    clean: Noun = noun if is_encodable(noun) else _cleaned(noun)
    return clean


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, tuple):
        return tuple(map(_cleaned, value))
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    changed = {name: new for name, old in fields.items() if (new := _cleaned(old)) != old}
    return dataclasses.replace(value, **changed) if changed else value
