"""Start fast: import a library only when somebody uses it, and what is needed without collecting garbage meanwhile."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands where a module will be. `importlib.util.LazyLoader` would be executed by the next `import` of it."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def defer(name: str) -> None:
    """Have `import NAME` give a module that is imported when its first attribute is read."""
    sys.modules.setdefault(name, _Deferred(name))


@contextmanager
def uncollected() -> Iterator[None]:
    """Do without the garbage collector: what is imported stays, and to look it through is a tenth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
