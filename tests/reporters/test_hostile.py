"""No text in any field breaks out of a report, or changes anything of it but the text."""

from __future__ import annotations

import dataclasses
from collections import Counter
from html.parser import HTMLParser
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]

from imagetest.model.codec import Document
from imagetest.reporters.html import HtmlReporter
from imagetest.reporters.junit import JunitReporter
from imagetest.reporters.parity import page
from tests.reporters.regenerate import load

T = TypeVar("T")


def _with_comparisons(document: Document) -> Document:
    """Return a document with machines that were compared in it, as part of a check and apart."""
    full = load().assessment
    compared = next(check.drifts for check in full.checks if check.drifts)
    first, *rest = document.assessment.checks
    checks = (dataclasses.replace(first, drifts=compared), *rest)
    assessment = dataclasses.replace(document.assessment, parities=full.parities, checks=checks)
    return dataclasses.replace(document, assessment=assessment)


PLAIN = _with_comparisons(load("photoapp.json"))
BREAKOUTS = [
    "</code></pre></details></style></title><script>alert(1)</script>",
    '" onmouseover="alert(1)" x=\'y',
    "' autofocus onfocus='alert(1)",
    "]]><!--",
    "--><x>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;&#60;&#x3c;",
    "\x1b]0;title\x07\x9b",
    "\x00\ufffe\ud800",
    "\u202e",
]
TEXTS = st.one_of(
    st.sampled_from(BREAKOUTS),
    st.text(st.characters(exclude_categories=()), min_size=1, max_size=20),
    st.text("<>\"'&;#/=- \n\x00\x1b]![", min_size=1, max_size=20),
)


def poisoned(value: T, text: str) -> T:
    """Return the value with the text behind every string in it, except where a program reads the string."""
    result: Any = value
    if isinstance(value, str):
        result = f"{value}{text}"
    elif isinstance(value, tuple):
        result = tuple(poisoned(one, text) for one in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: poisoned(getattr(value, field.name), text) for field in dataclasses.fields(value)}
        result = type(value)(**fields)
    return result  # type: ignore[no-any-return]


class Skeleton(HTMLParser):
    """The elements and attribute names of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shape: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.shape.append(("/" + tag, ()))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data}")


def html_of(document: Document) -> str:
    return HtmlReporter().render(document.assessment, document.verdict).decode()


def xml_of(document: Document) -> etree._Element:
    return etree.fromstring(JunitReporter().render(document.assessment, document.verdict))


def harmless(text: str) -> str:
    """Return a text that a report may treat the same; a command of several lines is shown in a block of its own."""
    return "x\nx" if "\n" in text else "x"


def html_shape(text: str) -> Counter[tuple[str, tuple[str, ...]]]:
    return Counter(Skeleton(html_of(poisoned(PLAIN, text))).shape)


def xml_shape(text: str) -> Counter[tuple[str, tuple[str, ...]]]:
    return Counter((one.tag, tuple(one.attrib)) for one in xml_of(poisoned(PLAIN, text)).iter())


@given(TEXTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_in_any_field_changes_the_elements_of_the_page(text: str) -> None:
    assert html_shape(text) == html_shape(harmless(text))


@pytest.mark.parametrize("text", BREAKOUTS)
def test_no_known_break_out_changes_the_elements_of_the_page(text: str) -> None:
    assert html_shape(text) == html_shape(harmless(text))


@pytest.mark.parametrize("text", BREAKOUTS)
def test_no_known_break_out_changes_the_page_of_a_parity(text: str) -> None:
    def shape(given: str) -> Counter[tuple[str, tuple[str, ...]]]:
        whole = page(f"production{given}", poisoned(PLAIN.assessment.parities, given)).decode()
        return Counter(Skeleton(whole).shape)

    assert shape(text) == shape(harmless(text))


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_no_text_in_any_field_changes_the_elements_of_the_junit_file(text: str) -> None:
    assert xml_shape(text) == xml_shape(harmless(text))
