"""The one door to AWS: connect as the user's own tools would, page through answers, and turn its errors into ours.

Credentials, profile and endpoint are found as boto3 finds them, so that whatever `aws` works with works here. boto3
is imported when it is first used.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imagetest.errors import ConfigError, EngineError, ImagetestError
from imagetest.execute.interrupts import interrupts

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0

ATTEMPTS = 6
"""How often one request is sent in all: half a minute of waiting at most, by botocore's backoff."""

CONSISTENT_SECONDS = 60.0
"""How long what was just made may be unknown to the next request ("Eventual consistency in the Amazon EC2 API")."""

PAUSE_SECONDS = 0.5
"""Between two questions whether something has come to pass; AWS counts them against the account's rate."""

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
WRONG = frozenset(
    {
        "AuthFailure", "InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)  # fmt: skip
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
THROTTLED = frozenset(
    {
        "RequestLimitExceeded", "RequestThrottledException", "Throttling", "ThrottlingException",
        "TooManyRequestsException",
    }
)  # fmt: skip
"""Codes by which AWS tells these ("Error codes for the Amazon EC2 API", "Common errors")."""

SIGN_IN = "give boto3 credentials: AWS_PROFILE, `aws configure`, `aws sso login`, or the role of the machine"

_Given = TypeVar("_Given")
_sessions = threading.Lock()
"""A session is no thing for two threads; the clients that it makes are."""

_made: dict[_Read, Any] = {}
"""The one session, by what it was made of: each makes its own of a role, and reads megabytes of the API's model."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a session reads when it is made: where that is another, so must the session be."""

    variables: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, int], ...]
    """Each file of configuration, and when it was last written, in nanoseconds."""

    @classmethod
    def now(cls) -> _Read:
        variables = sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
        named = {
            os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
            os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
        }
        paths = [Path(one).expanduser() for one in sorted(named)]
        written = [(str(one), one.stat().st_mtime_ns if one.exists() else 0) for one in paths]
        return cls(tuple(variables), tuple(written))


class RefusedError(EngineError):
    """AWS answered, and with an error."""

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        """AWS's own word for it: `InvalidAMIID.NotFound`."""


def client(service: str, region: str = "") -> Any:
    """Return a client of a service such as `ec2`; without a region, in the one that the user's configuration names.

    It asks again by itself, ever more slowly, where AWS is overloaded or throttles. Whoever asks closes it. Raises
    ConfigError when there is no region, no such profile, or an endpoint that is no URL.
    """
    return _client(_session, service, region)


def account(region: str, *, profile: str = "", key: tuple[str, str, str] = ("", "", "")) -> str:
    """Return the account of the user's credentials, or of a profile's, or of a key's: its id, secret and token.

    Raises EngineError where AWS does not tell, ConfigError where there is no such profile.
    """
    import boto3

    identity, secret, token = (one or None for one in key)

    def session() -> Any:
        if not (profile or identity):
            return _session()
        return boto3.session.Session(
            profile_name=profile or None, aws_access_key_id=identity, aws_secret_access_key=secret,
            aws_session_token=token,
        )  # fmt: skip

    with closing(_client(session, "sts", region)) as sts, translated("ask whose credentials these are"):
        return str(sts.get_caller_identity()["Account"])


def _client(session: Callable[[], Any], service: str, region: str) -> Any:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    settings = Config(
        retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS}, connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS, user_agent_extra="imagetest",
    )  # fmt: skip
    try:
        with _sessions:
            return session().client(service, region_name=region or None, config=settings)
    except BotoCoreError as error:
        raise _not_asked(f"ask {service}", error) from error
    except ValueError as error:  # what botocore says of an endpoint without a scheme
        raise ConfigError(f"cannot ask {service} of AWS: {error}", hint="AWS_ENDPOINT_URL is a URL, if set") from error


def _session() -> Any:
    """Return the session, a new one where the user's configuration has changed."""
    import boto3

    read = _Read.now()
    if read not in _made:
        _made.clear()
        _made[read] = boto3.session.Session()
    return _made[read]


def region(profile: str = "") -> str:
    """Return the region of the user's configuration, or of one profile of it; an empty string where it names none.

    Raises ConfigError where there is no such profile.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        with _sessions:
            return (boto3.session.Session(profile_name=profile) if profile else _session()).region_name or ""
    except BotoCoreError as error:
        raise _not_asked("find the region", error) from error


def credentials() -> str:
    """Return the way by which credentials were found, such as `env` or `sso`; an empty string where there are none."""
    from botocore.exceptions import BotoCoreError

    try:
        with _sessions:
            found = _session().get_credentials()
    except BotoCoreError as error:
        raise _not_asked("find credentials", error) from error
    return str(found.method) if found is not None else ""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn botocore's errors into ours; `what` says what was being done. Interrupts wait.

    Raises RefusedError where AWS answers with an error, EngineError where it does not answer, and ConfigError where it
    could not be asked.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with interrupts.held():
            yield
    except ClientError as error:
        raise _refused(what, error) from error
    except BotoCoreError as error:
        raise _not_asked(what, error) from error


def pages(asked: Any, operation: str, key: str, **query: Any) -> Iterator[Any]:
    """Return every member of a list that AWS hands out in pages, such as `describe_images` and `Images`."""
    for page in asked.get_paginator(operation).paginate(**query):
        yield from page.get(key, ())
        interrupts.checkpoint()


def snapshots_of(ec2: Any, ami: str) -> list[str]:
    """Return the snapshots that were made for an AMI, also while it does not list them, or when it is gone.

    EC2 writes for which they were made into their descriptions ("CreateImage", "CopyImage"). Raises what botocore does.
    """
    said = [f"Created by CreateImage(*) for {ami}*", f"Copied for DestinationAmi {ami} *"]
    found = pages(
        ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=[{"Name": "description", "Values": said}]
    )  # fmt: skip
    return [str(one["SnapshotId"]) for one in found]


def eventually(act: Callable[[], _Given], *codes: str, seconds: float = CONSISTENT_SECONDS) -> _Given:
    """Return what an act returns, tried again for some seconds while AWS answers with one of the codes.

    It answers so while what was just made, or removed, is not known everywhere. Raises what botocore raises.
    """
    from botocore.exceptions import ClientError

    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except ClientError as error:
            if code_of(error) not in codes or time.monotonic() >= deadline:
                raise
        interrupts.checkpoint()
        time.sleep(PAUSE_SECONDS)


def code_of(error: BaseException) -> str:
    """Return AWS's code of an error, be it botocore's or ours; an empty string for one that AWS did not give."""
    if isinstance(error, RefusedError):
        return error.code
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _refused(what: str, error: ClientError) -> RefusedError:
    code = code_of(error)
    said = str(error.response.get("Error", {}).get("Message") or "it does not say why")
    said = re.sub(r"\s*Encoded authorization failure message:.*", "", said, flags=re.DOTALL)  # a kilobyte of Base64
    operation = str(getattr(error, "operation_name", ""))
    return RefusedError(f"cannot {what}: {' '.join(said.split())} ({code})", code=code, hint=_remedy(code, operation))


def _remedy(code: str, operation: str) -> str:
    if code in EXPIRED:
        return "the credentials have expired: sign in again, such as by `aws sso login`"
    if code in WRONG:
        return "AWS does not know these credentials; `aws sts get-caller-identity` tells whose they are"
    if code in DENIED:
        return f"the credentials need the permission for {operation}: the policy is in docs/drivers/ec2.md"
    if code in THROTTLED:
        return f"AWS throttles this account; it was asked {ATTEMPTS} times"
    return "the region is not enabled for this account" if code == "OptInRequired" else ""


def _not_asked(what: str, error: BotoCoreError) -> ImagetestError:
    """Say why AWS was not asked, or did not answer."""
    from botocore import exceptions as known

    said = " ".join(str(error).split()).rstrip(".")
    again = "sign in again: `aws sso login`"
    files = "see AWS_PROFILE, ~/.aws/config and ~/.aws/credentials"
    ours: tuple[tuple[type[BotoCoreError], str, str], ...] = (
        (known.NoCredentialsError, "no credentials for AWS were found", SIGN_IN),
        (known.UnauthorizedSSOTokenError, said, again),
        (known.SSOTokenLoadError, said, again),
        (known.TokenRetrievalError, said, again),
        (known.PartialCredentialsError, said, SIGN_IN),
        (known.CredentialRetrievalError, said, SIGN_IN),
        (known.NoRegionError, "no region is named", "write it, as in ec2:eu-west-1:ami-..., or set AWS_REGION"),
        (known.ProfileNotFound, said, files),
        (known.ConfigParseError, said, files),
        (known.ConfigNotFound, said, files),
        (known.InvalidRegionError, said, "a region is called as in eu-west-1"),
        (known.ParamValidationError, said, ""),
    )
    for kind, reason, hint in ours:
        if isinstance(error, kind):
            return ConfigError(f"cannot {what}: {reason}", hint=hint)
    return EngineError(
        f"cannot {what}: {said}", hint="is the region right? does this machine reach AWS, if need be by HTTPS_PROXY?"
    )
