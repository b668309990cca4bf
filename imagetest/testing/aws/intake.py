"""The way in: a WSGI application before moto's, which looks at machines first and answers what moto has not."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from imagetest.testing.aws.blocks import OPERATIONS, Blocks
from imagetest.testing.aws.faults import Fault, Faults, operation_of

CONTROL = "/imagetest/faults"
"""Where faults are ordered (POST) and what was called is read (GET)."""

WHO_AM_I = "checkip.amazonaws.com"
"""AWS's host that says from which address it is asked."""

SERVERS_FAULT = 500

Start = Callable[..., Any]


class Intake:
    """Every request passes here."""

    def __init__(
        self, application: Callable[[dict[str, Any], Start], Iterable[bytes]], look: Callable[[], None], blocks: Blocks
    ) -> None:
        self._application = application
        self._look = look
        self._blocks = blocks
        self._faults = Faults()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) if _has_length(environ) else None
        if environ["PATH_INFO"] == CONTROL:
            return self._control(environ["REQUEST_METHOD"], body or b"", start)
        if environ.get("HTTP_HOST", "").partition(":")[0] == WHO_AM_I:
            return _answer(start, HTTPStatus.OK, "text/plain", b"127.0.0.1\n")
        if body is None:
            return self._application(environ, start)
        environ["wsgi.input"] = io.BytesIO(body)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        operation = operation_of(target, body, method=environ["REQUEST_METHOD"], path=environ["PATH_INFO"])
        fault = self._faults.meet(operation)
        if fault is not None:
            return _answer(start, fault.status, *fault.written(as_json=bool(target) or operation in OPERATIONS))
        if operation in OPERATIONS:
            status, headers, answer = self._blocks.answer(environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
            start(f"{int(status)} {status.phrase}", headers)
            return [answer]
        self._look()
        return self._ask(environ, start, operation)

    def _ask(self, environ: dict[str, Any], start: Start, operation: str) -> Iterable[bytes]:
        """Ask moto; where it fails itself, such as for a call that it has not, say so as AWS would."""
        kept: list[Any] = []

        def remember(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
            kept[:] = [status, headers]
            return lambda _data: None

        try:
            answer = b"".join(self._application(environ, remember))
            status, headers = kept
        except Exception as error:  # noqa: BLE001 - whatever moto fails by, a client is to hear it as an answer
            sys.stderr.write(f"{operation}: {type(error).__name__}: {error}\n")
            answer, status, headers = b"", "500 INTERNAL SERVER ERROR", [("Content-Type", "text/html")]
        if int(status.split()[0]) >= SERVERS_FAULT and "html" in dict(headers).get("Content-Type", ""):
            fault = Fault(code="NotImplemented", message=f"{operation} is not emulated here, or not in this form")
            target = environ.get("HTTP_X_AMZ_TARGET", "")
            return _answer(start, HTTPStatus.NOT_IMPLEMENTED, *fault.written(as_json=bool(target)))
        start(status, headers)
        return [answer]

    def _control(self, method: str, body: bytes, start: Start) -> Iterable[bytes]:
        if method == "POST":
            order = json.loads(body)
            fault = Fault(code=order["code"], message=order["message"])
            self._faults.add(order["operation"], fault, order["times"])
        return _answer(start, HTTPStatus.OK, "application/json", json.dumps(self._faults.called).encode())


def _has_length(environ: dict[str, Any]) -> bool:
    """Say whether a body's length is known; one that comes in chunks is moto's to read."""
    return "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "")


def _answer(start: Start, status: int, kind: str, text: bytes) -> Iterable[bytes]:
    start(f"{int(status)} {HTTPStatus(status).phrase}", [("Content-Type", kind), ("Content-Length", str(len(text)))])
    return [text]
