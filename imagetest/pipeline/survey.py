"""Take the snapshots of many machines side by side, and hold them in little memory."""

from __future__ import annotations

import queue
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

import paramiko

from imagetest.errors import ImagetestError, MachineLostError
from imagetest.model.codec import decode_snapshot, encode_snapshot
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Snapshot
from imagetest.pipeline.snapshot import SECONDS, take
from imagetest.policy.parity import Answer
from imagetest.ports import Collector
from imagetest.transport.shell import Shell

WORKERS = 16
"""Machines that are asked at the same time, and so many answers that are in memory as they came."""

SETTLE_SECONDS = 2.0
"""How long those that still ask may take to let go when the survey is broken off."""

READERS = 2
"""Answers that are read at the same time: the facts of one may take ten times the memory of what the machine said."""

Dial = Callable[[str], paramiko.Transport]
"""Opens a connection to a machine by its name, for the survey to close. Raises ImagetestError."""


def survey(
    hosts: Iterable[str],
    dial: Dial,
    collectors: Sequence[Collector],
    *,
    scope: Scope = Scope(),  # noqa: B008 - immutable
    sudo: bool = False,
    timeout: float = SECONDS,
    workers: int = WORKERS,
) -> Iterator[Answer]:
    """Give each machine's answer as soon as it is there; what goes wrong with one is that one's error.

    Each may take `timeout` seconds once it is connected to. Whoever stops listening, as an interrupt does, ends the
    questions that are still open.
    """

    def ask(host: str, transport: paramiko.Transport, begin: Callable[[], object]) -> Snapshot:
        shell = Shell(transport, timeout=timeout)
        return take(shell, collectors, subject=host, scope=scope, sudo=sudo, timeout=timeout, begin=begin)

    waiting = list(dict.fromkeys(hosts))
    begun = _Round(waiting, dial, ask, workers)
    try:
        for _ in waiting:
            yield begun.next()
    finally:
        begun.end()


def held(snapshot: Snapshot) -> Callable[[], Snapshot]:
    """Pack a snapshot, and return what unpacks it: a twentieth of its size, for whoever holds hundreds."""
    packed = zlib.compress(encode_snapshot(snapshot), level=6)
    subject = snapshot.subject
    return lambda: decode_snapshot(zlib.decompress(packed), origin=f"the snapshot of {subject!r}")


Ask = Callable[[str, paramiko.Transport, Callable[[], object]], Snapshot]


class _Round:
    """The threads of one survey. They are daemons: a machine that never answers keeps no interrupted process alive."""

    def __init__(self, hosts: Sequence[str], dial: Dial, ask: Ask, workers: int) -> None:
        self._dial = dial
        self._ask = ask
        self._open: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._readers = threading.BoundedSemaphore(READERS)
        self._transports: set[paramiko.Transport] = set()
        self._over = False
        for host in hosts:
            self._open.put(host)
        self._threads = [
            threading.Thread(target=self._work, name=f"survey {number}", daemon=True)
            for number in range(min(max(1, workers), len(hosts)))
        ]
        for thread in self._threads:
            thread.start()

    def next(self) -> Answer:
        """Wait for the next answer."""
        return self._answers.get()

    def end(self) -> None:
        """Ask no more, hang up where an answer is still awaited, and wait a little until all have let go."""
        with self._lock:
            self._over = True
            transports = tuple(self._transports)
        for transport in transports:
            transport.close()
        deadline = time.monotonic() + SETTLE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while not self._over:
            try:
                host = self._open.get_nowait()
            except queue.Empty:
                return
            self._answers.put(self._answer(host))

    def _answer(self, host: str) -> Answer:
        with ExitStack() as reading:  # from the last byte of the answer until its facts are packed

            def begin() -> None:
                reading.enter_context(self._readers)

            return self._read(host, begin)

    def _read(self, host: str, begin: Callable[[], object]) -> Answer:
        try:
            return Answer(host=host, read=held(self._snapshot(host, begin)))
        except ImagetestError as error:
            return Answer(host=host, error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever one machine provokes must not cost the others' answers
            return Answer(host=host, error=f"its answer could not be read: {type(error).__name__}: {error}")

    def _snapshot(self, host: str, begin: Callable[[], object]) -> Snapshot:
        transport = self._dial(host)
        try:
            with self._lock:
                self._transports.add(transport)
                if self._over:
                    raise MachineLostError("the survey was broken off")
            return self._ask(host, transport, begin)
        finally:
            with self._lock:
                self._transports.discard(transport)
            transport.close()
