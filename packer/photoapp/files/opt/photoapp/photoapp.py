"""A photo gallery: one page of the pictures in a folder, and the pictures."""
# ruff: noqa: INP001 # a program, not a package

from __future__ import annotations

import html
import os
import socket
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import quote, unquote, urlsplit

PICTURES = {
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
PORTS = range(1024, 65536)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
STYLE = """
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; font: 1rem/1.5 sans-serif }
body { background: #faf8f5; color: #222 }
main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)) }
figure { margin: 0 } img { width: 100%; border-radius: .3rem } figcaption { color: #666 }
"""


@dataclass(frozen=True)
class Settings:
    """What differs between two environments; read when the gallery starts, never earlier."""

    title: str
    photos: Path
    port: int

    @classmethod
    def from_environment(cls) -> Settings:
        """Read PHOTOAPP_TITLE, PHOTOAPP_PHOTOS and PHOTOAPP_PORT, each of which may be missing."""
        port = os.environ.get("PHOTOAPP_PORT", "8080")
        if not port.isdecimal() or int(port) not in PORTS:
            sys.exit(f"PHOTOAPP_PORT is {port!r}, expected a number from {PORTS.start} to {PORTS.stop - 1}")
        return cls(
            title=os.environ.get("PHOTOAPP_TITLE", "Photographs"),
            photos=Path(os.environ.get("PHOTOAPP_PHOTOS", "/opt/photoapp/photos")),
            port=int(port),
        )

    def pictures(self) -> dict[str, Path]:
        """Return the pictures in the folder by name: nothing else is ever served."""
        found = (path for path in self.photos.iterdir() if path.suffix.lower() in PICTURES and path.name[0] != ".")
        return {path.name: path for path in sorted(found) if path.is_file()}


class Gallery(BaseHTTPRequestHandler):
    """Answers GET and HEAD; there is nothing to send."""

    server_version, sys_version = "photoapp", ""
    timeout = 10
    settings: Settings

    def do_GET(self) -> None:
        """Answer with the page, its style, a picture or the state of health."""
        path = unquote(urlsplit(self.path).path)
        try:
            answer = self.find(path, self.settings.pictures())
        except OSError as error:
            answer = HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"the photos cannot be read: {error.strerror}\n"
        self.answer(*answer)

    do_HEAD = do_GET  # noqa: N815 # the name is http.server's

    def find(self, path: str, pictures: dict[str, Path]) -> tuple[HTTPStatus, str, str | bytes]:
        """Return the status, the kind and the body that `path` stands for."""
        if path == "/":
            return HTTPStatus.OK, "text/html", page(self.settings.title, list(pictures))
        if path == "/style.css":
            return HTTPStatus.OK, "text/css", STYLE
        if path == "/healthz":
            return HTTPStatus.OK, "text/plain", "ok\n"
        folder, _, name = path[1:].partition("/")
        if folder == "photos" and name in pictures:
            return HTTPStatus.OK, PICTURES[pictures[name].suffix.lower()], pictures[name].read_bytes()
        return HTTPStatus.NOT_FOUND, "text/plain", "not found\n"

    def answer(self, status: HTTPStatus, kind: str, body: str | bytes) -> None:
        """Send one answer."""
        if isinstance(body, str):
            kind, body = f"{kind}; charset=utf-8", body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class ThreadingGallery(ThreadingHTTPServer):
    """A server that asks nobody who it is: the one that it is made of asks DNS, and waits for an answer."""

    def server_bind(self) -> None:
        """Take the port."""
        TCPServer.server_bind(self)


def page(title: str, names: list[str]) -> str:
    """Return the gallery's page."""
    figures = "\n".join(
        f'<figure><img src="/photos/{quote(name)}" alt="{html.escape(caption)}" loading="lazy">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for name in names
        for caption in [Path(name).stem.replace("-", " ")]
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css">'
        f"<h1>{html.escape(title)}</h1>\n<main>\n{figures or '<p>No photographs yet.</p>'}\n</main></html>\n"
    )


def tell_systemd(message: str) -> None:
    """Say to the service manager, if one listens, that the gallery is ready."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(message.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def main() -> None:
    """Serve until stopped."""
    Gallery.settings = Settings.from_environment()
    with ThreadingGallery(("", Gallery.settings.port), Gallery) as server:
        tell_systemd("READY=1")
        server.serve_forever()


if __name__ == "__main__":
    main()
