"""Controls on what the gallery answers, asked over loopback inside the instance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from testinfra.host import Host

from imagetest import control

# Runs on the instance, whose image brings Python but no HTTP client. It prints as JSON the pictures in the gallery's
# folder, by digest, and what each path on its command line was answered; every picture's path, if none is given.
ASK = """
import hashlib, http.client, json, os, subprocess, sys
digest = lambda data: hashlib.sha256(data).hexdigest()
shown = subprocess.check_output(["systemctl", "show", "--property=MainPID", "photoapp.service"], text=True)
pid = shown.strip().removeprefix("MainPID=")
if pid == "0":
    sys.exit("photoapp.service has no running process")
# Only the process's own account may look at its environment where root lacks CAP_SYS_PTRACE, as in most containers.
account = {"user": "photoapp", "group": "photoapp", "extra_groups": []}
entries = subprocess.check_output(["cat", f"/proc/{pid}/environ"], text=True, **account).split(chr(0))
environment = dict(entry.partition("=")[::2] for entry in entries)
folder = environment.get("PHOTOAPP_PHOTOS", "/opt/photoapp/photos")
photos = {name: digest(open(os.path.join(folder, name), "rb").read()) for name in sorted(os.listdir(folder))}
answers = {}
for path in sys.argv[1:] or ["/photos/" + name for name in photos]:
    connection = http.client.HTTPConnection("127.0.0.1", int(environment.get("PHOTOAPP_PORT", "8080")), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    answers[path] = {"status": answer.status, "headers": dict(answer.getheaders()),
                     "body": body.decode(errors="replace"), "digest": digest(body)}
print(json.dumps({"photos": photos, "answers": answers}))
"""
OUTSIDE = (
    "/photos/../photoapp.py",
    "/photos/%2e%2e/photoapp.py",
    "/photos/..%2fphotoapp.py",
    "/photos//etc/passwd",
    "/photos/",
    "/../../../etc/passwd",
    "/etc/passwd",
)


@dataclass(frozen=True)
class Answer:
    """What the gallery answered to one path."""

    status: int
    headers: dict[str, str]
    body: str
    digest: str


def ask(host: Host, *paths: str) -> tuple[dict[str, str], dict[str, Answer]]:
    """Return the digests of the photographs on disk, and the answers to `paths`: one remote command."""
    done = host.run("python3 -I -c %s" + " %s" * len(paths), ASK, *paths)
    assert done.rc == 0, done.stderr.strip().rpartition("\n")[2]
    told = json.loads(done.stdout)
    return told["photos"], {path: Answer(**answer) for path, answer in told["answers"].items()}


@control("photoapp-serves")
def test_the_gallery_answers_on_its_port(host: Host) -> None:
    """The page and the health check both answer over loopback."""
    _, answers = ask(host, "/healthz", "/")

    assert answers["/healthz"].status == HTTPStatus.OK
    assert answers["/healthz"].body == "ok\n"
    assert answers["/"].status == HTTPStatus.OK
    assert answers["/"].headers["Content-Type"].startswith("text/html")


@control("photoapp-shows-its-photos")
def test_every_photograph_is_on_the_page_and_comes_unchanged(host: Host) -> None:
    """What the folder holds is what a visitor gets, byte for byte."""
    _, page = ask(host, "/")
    photos, answers = ask(host)

    assert photos, "the folder of photographs is empty"
    assert [name for name in photos if f'src="/photos/{name}"' not in page["/"].body] == []
    assert {path.removeprefix("/photos/"): answer.digest for path, answer in answers.items()} == photos
    assert {
        path for path, answer in answers.items() if not answer.headers["Content-Type"].startswith("image/")
    } == set()


@control("photoapp-serves-nothing-else")
def test_no_path_leads_out_of_the_folder(host: Host) -> None:
    """The machine's own files are not found, however the path is written."""
    _, answers = ask(host, *OUTSIDE)

    assert {path: answer.status for path, answer in answers.items()} == dict.fromkeys(OUTSIDE, HTTPStatus.NOT_FOUND)


@control("photoapp-tells-browsers-to-be-careful")
def test_every_answer_carries_the_security_headers(host: Host) -> None:
    """The page, an error and the health check say the same to a browser."""
    _, answers = ask(host, "/", "/photos/missing.svg", "/healthz")

    for path, answer in answers.items():
        policy = answer.headers.get("Content-Security-Policy", "")
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "script-src" not in policy, path
        assert answer.headers.get("X-Content-Type-Options") == "nosniff", path
        assert not any(character.isdigit() for character in answer.headers.get("Server", "")), path
