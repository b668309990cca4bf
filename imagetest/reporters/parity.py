"""A page about machines that were held against each other, without an assessment around it."""

from __future__ import annotations

from collections.abc import Sequence

from imagetest.model.parity import Parity
from imagetest.reporters.html import environment


def page(title: str, parities: Sequence[Parity]) -> bytes:
    """Return the page."""
    template = environment().get_template("parity_page.html")
    return template.render(title=title, parities=parities).encode()
