"""What was installed can be removed, all of it."""

from __future__ import annotations

import pytest

from imagetest import control, not_applicable
from imagetest.pytest_plugin.throwaways import Factory

from .components import removal
from .declared import FILE, Declared


@control("phoenix-removable")
def test_what_is_removed_leaves_nothing_behind(throwaway: Factory, declared: Declared) -> None:
    """Each component that is declared is installed and removed on a machine of its own, which is then as before."""
    if declared.components is None:
        pytest.skip(f"{FILE} does not say what can be removed: [images.NAME.components.COMPONENT]")
    if not declared.components:
        not_applicable(f"{FILE} says that nothing of it can be removed")
    for component in declared.components:
        before, after = throwaway.shared(*removal(component))
        what = f"installing and removing {component.name} left something behind:"
        throwaway.owner.compare(before, after, declared.allow, what=what)
