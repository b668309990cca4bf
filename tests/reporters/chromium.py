"""A headless Chromium that tests and pictures talk to over a pipe, so that one launch does for many questions."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""The browser, or None where none is installed."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


class Page:
    """One page of the browser."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._buffer = b""
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return self._await(lambda answer: answer.get("id") == self._number, method).get("result")

    def open(self, file: Path) -> None:
        """Load a file and wait until it is complete."""
        self.call("Page.navigate", url=file.resolve().as_uri())
        self._await(lambda answer: answer.get("method") == "Page.loadEventFired", "loading")

    def look_like(self, *, width: int, height: int = 900, scale: float = 1, scheme: str = "light") -> None:
        """Take on a window of this size and the reader's preference for light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; the page itself has no script."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Return the window, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        return base64.b64decode(data)

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        data = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
        return base64.b64decode(data)

    def _await(self, wanted: Any, what: str) -> dict[str, Any]:
        while True:
            while b"\0" not in self._buffer:
                read = os.read(self._from, 1 << 20)
                assert read, f"the browser closed the pipe during {what}"
                self._buffer += read
            head, _, self._buffer = self._buffer.partition(b"\0")
            answer: dict[str, Any] = json.loads(head)
            if wanted(answer):
                assert "error" not in answer, f"{what}: {answer['error']}"
                return answer


def _pipe() -> tuple[int, int]:
    """Return the two ends of a pipe, both beyond the descriptors 3 and 4 that the browser expects."""
    low = os.pipe()
    reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low)
    for end in low:
        os.close(end)
    return reading, writing


@contextmanager
def browse() -> Iterator[Page]:
    """Start a browser with a fresh profile, and end it."""
    assert PROGRAM, "no Chromium is installed"
    from_us, to_browser = _pipe()
    from_browser, to_us = _pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        redirect = f'exec "$@" 3<&{from_us} 4>&{to_us}'  # sh knows no descriptor of two digits
        argv = ["bash", "-c", redirect, "bash", PROGRAM, *FLAGS, f"--user-data-dir={profile}"]
        browser = subprocess.Popen(argv, pass_fds=(from_us, to_us), stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        try:
            yield Page(to_browser, from_browser)
        finally:
            os.close(to_browser)
            os.close(from_browser)
            browser.terminate()
            browser.wait(timeout=20)
