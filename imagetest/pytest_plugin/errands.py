"""Work for checks that are still to come, done while the running one waits for something."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from imagetest.transport.recorder import Evidence, Recorder

WORKERS = 2
"""How many errands are run at the same time."""

AGAIN_SECONDS = 0.5
"""After which a boot that is to be broken off is looked for again: there may have been nothing to remove yet."""


def broken_off(work: Iterable[Future[Any]], again: Callable[[], None]) -> None:
    """Wait until no work is under way; `again`, which breaks it off, is called as long as there is any."""
    coming = [one for one in work if not one.cancel()]
    while wait(coming, timeout=0).not_done:
        again()
        wait(coming, timeout=AGAIN_SECONDS)


@dataclass(frozen=True, slots=True)
class Brought:
    """What an errand came back with: a result or what it raised, and what it recorded meanwhile."""

    result: Any
    raised: BaseException | None
    evidence: Evidence


class Errands:
    """Runs functions in threads of its own; the outcome waits for the checks that it is for."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: dict[Hashable, Future[Brought]] = {}
        self._fetched: set[Hashable] = set()
        self._lock = threading.Lock()

    def begin(self, key: Hashable, work: Callable[[], object]) -> None:
        """Start an errand, unless one of this key is under way."""
        if key not in self._under_way:
            self._pool = self._pool or ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="errand")
            self._under_way[key] = self._pool.submit(self._run, work)

    def knows(self, key: Hashable) -> bool:
        """Say whether an errand of this key was begun."""
        return key in self._under_way

    def fetch(self, key: Hashable) -> Any:
        """Wait for an errand and return its result, or raise what it raised.

        Its evidence is that of the check which fetches it first.
        """
        brought = self._under_way[key].result()
        with self._lock:
            if key not in self._fetched:
                self._fetched.add(key)
                self._recorder.add(brought.evidence)
        if brought.raised is not None:
            raise brought.raised
        return brought.result

    def end(self, break_off: Callable[[], None] = lambda: None) -> None:
        """Begin no more, break off what is under way, and wait until nothing is: what they made can be removed then."""
        pool, self._pool = self._pool, None
        if pool is not None:
            broken_off(self._under_way.values(), break_off)
            pool.shutdown(wait=True, cancel_futures=True)
        self._under_way.clear()
        self._fetched.clear()

    def _run(self, work: Callable[[], object]) -> Brought:
        with self._recorder.apart() as evidence:
            try:
                return Brought(work(), None, evidence)
            except BaseException as error:  # noqa: BLE001 - raised again where it is fetched
                return Brought(None, error, evidence)
