"""Whether Packer bakes in the account that imagetest asks, where a template has credentials of its own."""

from __future__ import annotations

from imagetest.builders.packer.amazon import OWN_ACCESS
from imagetest.builders.packer.expressions import Scope, UnknownValueError, value_of
from imagetest.builders.packer.template import Block
from imagetest.errors import ConfigError, ImagetestError
from imagetest.execute import aws

KEY = ("access_key", "secret_key", "token")


def untold(source: Block, scope: Scope, region: str) -> str:
    """Return why it cannot be told whether both are of one account; an empty string where they are.

    Raises ConfigError where they are not: what Packer makes elsewhere would have no lease that anybody could act on.
    """
    try:
        own = {name: value_of(source.body.get(name, ""), scope) for name in OWN_ACCESS}
    except UnknownValueError as reason:
        return f"its credentials are {reason}"
    named = {name for name, value in own.items() if value}
    if not named:
        return ""
    if further := named - {*KEY, "profile"}:
        return f"it has {', '.join(sorted(further))}"
    identity, secret, token = (str(own[name]) for name in KEY)
    try:
        theirs = aws.account(region, profile=str(own["profile"]), key=(identity, secret, token))
        ours = aws.account(region)
    except ImagetestError as error:
        return str(error)
    if theirs != ours:
        raise ConfigError(
            f"source {source.name!r} bakes in account {theirs}, and imagetest would look for the AMI in {ours}",
            hint=f"give both the same credentials: without {', '.join(sorted(named))} Packer takes those of this user",
        )
    return ""
