"""Errors on demand, and a record of what was called."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

STATUS = {
    "RequestLimitExceeded": 503, "Unavailable": 503, "InternalError": 500, "InternalFailure": 500,
    "InsufficientInstanceCapacity": 500, "InsufficientHostCapacity": 500, "InsufficientAddressCapacity": 500,
}  # fmt: skip
"""Codes that EC2 answers as errors of the server's; all others are the client's (EC2's API reference, error codes)."""

CLIENTS_FAULT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error, as AWS would answer it."""

    code: str
    message: str

    @property
    def status(self) -> int:
        """Return the status of the HTTP answer."""
        return STATUS.get(self.code, CLIENTS_FAULT)

    def written(self, *, as_json: bool) -> tuple[str, bytes]:
        """Return the type and text of the answer, in the protocol of EC2 or that of the services that speak JSON."""
        if as_json:
            return "application/x-amz-json-1.1", json.dumps({"__type": self.code, "message": self.message}).encode()
        error = f"<Error><Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message></Error>"
        request = f"<RequestID>{uuid.uuid4()}</RequestID>"
        return "text/xml", f"<Response><Errors>{error}</Errors>{request}</Response>".encode()


class Faults:
    """The errors that wait for the calls they are meant for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.called: list[str] = []

    def add(self, operation: str, fault: Fault, times: int) -> None:
        """Have the next calls of an operation fail."""
        with self._lock:
            self._waiting[operation].extend([fault] * times)

    def meet(self, operation: str) -> Fault | None:
        """Note a call; return the error that it is to be answered with."""
        with self._lock:
            self.called.append(operation)
            waiting = self._waiting[operation]
            return waiting.popleft() if waiting else None


BLOCKS = re.compile(r"/snapshots/[^/]+/blocks(?P<one>/[^/]+)?")


def operation_of(target: str, body: bytes, *, method: str, path: str) -> str:
    """Return the name of the operation that a request asks for: its target, its Action, or its method and path."""
    if found := BLOCKS.fullmatch(path):
        return "GetSnapshotBlock" if found["one"] else "ListSnapshotBlocks"
    if target:
        return target.rpartition(".")[2]
    action = parse_qs(body.decode(errors="replace")).get("Action", []) if b"Action=" in body else []
    return action[0] if action else f"{method} {path}"
