"""What AWS answers, or does not, is one clear line each; real clients, and a server on loopback that answers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from imagetest.errors import ConfigError, EngineError, ImagetestError
from imagetest.execute import aws

AMI = "ami-0123456789abcdef0"


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@contextlib.contextmanager
def asked(region: str = "eu-west-1") -> Iterator[Any]:
    made = aws.client("ec2", region)
    try:
        yield made
    finally:
        made.close()


def look(region: str = "eu-west-1") -> None:
    with asked(region) as ec2, aws.translated(f"look at {AMI}"):
        ec2.describe_images(ImageIds=[AMI])


def explained(act: Callable[[], object]) -> tuple[type[ImagetestError], str, str]:
    with pytest.raises(ImagetestError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return type(caught.value), str(caught.value), caught.value.hint


def test_credentials_that_are_missing_are_a_mistake_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert aws.credentials() == ""
    assert explained(look)[:2] == (ConfigError, f"cannot look at {AMI}: no credentials for AWS were found")


def test_half_of_the_credentials_is_told_apart_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    kind, said, _ = explained(look)

    assert (kind, "AWS_SECRET_ACCESS_KEY" in said) == (ConfigError, True)


def test_credentials_are_found_as_boto_finds_them() -> None:
    assert aws.credentials() == "env"


def test_a_region_must_be_named_by_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, said, hint = explained(lambda: aws.client("ec2"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")

    assert (kind, said) == (ConfigError, "cannot ask ec2: no region is named")
    assert "ec2:eu-west-1:ami-" in hint
    assert aws.region() == "eu-north-1"


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [("AWS_PROFILE", "nobody", "nobody"), ("AWS_ENDPOINT_URL", "not-a-url", "not-a-url")],
)
def test_a_setting_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str) -> None:
    monkeypatch.setenv(name, value)
    kind, said, hint = explained(look)

    assert (kind, part in said, name in hint) == (ConfigError, True, True)


def test_a_region_that_cannot_be_one_is_a_mistake() -> None:
    assert explained(lambda: look("no such region"))[0] is ConfigError


def test_an_endpoint_that_does_not_answer_is_told_with_what_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(aws, "ATTEMPTS", 1)
    kind, said, hint = explained(look)

    assert (kind, "127.0.0.1:9" in said, "HTTPS_PROXY" in hint) == (EngineError, True, True)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("ExpiredToken", "expired"),
        ("RequestExpired", "expired"),
        ("AuthFailure", "does not know these credentials"),
        ("UnauthorizedOperation", "permission for DescribeImages"),
        ("RequestLimitExceeded", "throttles"),
        ("OptInRequired", "not enabled"),
        ("InvalidAMIID.NotFound", ""),
    ],
)
def test_what_aws_refuses_is_told_with_its_code_and_a_remedy(code: str, hint: str) -> None:
    with asked() as ec2, Stubber(ec2) as stubber:
        stubber.add_client_error("describe_images", code, "It says\n this. Encoded authorization failure message: AAAA")
        with pytest.raises(aws.RefusedError) as caught, aws.translated("look"):
            ec2.describe_images(ImageIds=[AMI])

    assert str(caught.value) == f"cannot look: It says this. ({code})"
    assert (aws.code_of(caught.value), hint in caught.value.hint) == (code, True)


class Throttling(BaseHTTPRequestHandler):
    """Answers as EC2 does, and the first two times that it is asked too often."""

    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        busy = type(self).asked <= 2
        body = (
            b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slower</Message></Error></Errors></Response>"
            if busy
            else b"<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>"
        )
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_who_is_throttled_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Throttling)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    try:
        look()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert Throttling.asked == 3


def test_lists_are_read_to_their_last_page() -> None:
    with asked() as ec2, Stubber(ec2) as stubber:
        stubber.add_response("describe_images", {"Images": [{"ImageId": "ami-1"}], "NextToken": "more"})
        stubber.add_response("describe_images", {"Images": [{"ImageId": "ami-2"}]}, {"NextToken": "more"})
        found = [one["ImageId"] for one in aws.pages(ec2, "describe_images", "Images")]
        stubber.assert_no_pending_responses()

    assert found == ["ami-1", "ami-2"]


def refusing(code: str, times: int) -> Callable[[], str]:
    left = iter([code] * times)

    def act() -> str:
        for one in left:
            raise ClientError({"Error": {"Code": one, "Message": "not yet"}}, "DescribeInstances")
        return "known"

    return act


def test_what_is_not_known_yet_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)

    assert aws.eventually(refusing("InvalidInstanceID.NotFound", 3), "InvalidInstanceID.NotFound") == "known"


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        pytest.param("InvalidInstanceID.NotFound", 0.0, id="not in time"),
        pytest.param("UnauthorizedOperation", 60.0, id="something else"),
    ],
)
def test_no_longer_than_for_a_bounded_time_nor_for_another_error(code: str, seconds: float) -> None:
    with pytest.raises(ClientError, match=code):
        aws.eventually(refusing(code, 1), "InvalidInstanceID.NotFound", seconds=seconds)


def keys_of(client: Any) -> str:
    return str(client._request_signer._credentials.access_key)  # noqa: SLF001 - no other way to see who would sign


def test_what_a_session_reads_once_is_read_anew_where_it_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A session makes its credentials once, by a request where they are a role's; another profile makes others."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    counted = tmp_path / "counted"
    key = '{"Version": 1, "AccessKeyId": "by-a-program", "SecretAccessKey": "x", "Expiration": "2099-01-01T00:00:00Z"}'
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho once >>{counted}\ncat <<'EOF'\n{key}\nEOF\n")
    program.chmod(0o755)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(f"[default]\ncredential_process = {program}\n")
    seen = []
    for _ in range(3):
        with asked() as ec2:
            seen.append(keys_of(ec2))
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = by-hand\naws_secret_access_key = x\n"
    )
    with asked() as ec2:
        seen.append(keys_of(ec2))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "by-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with asked() as ec2:
        seen.append(keys_of(ec2))

    assert seen == ["by-a-program"] * 3 + ["by-hand", "by-the-environment"]
    assert counted.read_text() == "once\n"
