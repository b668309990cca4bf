"""Publish AMIs: a copy in each region, then permissions and the parameter that names the channel's AMI."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from imagetest.errors import ConfigError, EngineError, ImagetestError
from imagetest.execute import aws, tags
from imagetest.execute.operator import operator
from imagetest.model.image import Image
from imagetest.model.outlet import AmiOutlet, Evidence, Outlet
from imagetest.model.promotion import Leftover, Placement
from imagetest.promoters.ami import leftovers, pointing, retiring
from imagetest.promoters.ami.copies import POLL_SECONDS, Copies, Source
from imagetest.promoters.ami.place import (
    AMI,
    ASSESSMENT,
    DIGEST,
    SOURCE,
    Client,
    Place,
    asked,
    described,
    snapshots,
    tagged,
)  # fmt: skip
from imagetest.promoters.ami.shareable import must_be_shareable


class AmiPromoter:
    """Publishes AMIs of the user's account."""

    def __init__(
        self, *, client: Client = aws.client, poll: float = POLL_SECONDS, consistent: float = aws.CONSISTENT_SECONDS
    ) -> None:
        self._client = client
        self._poll = poll
        self._consistent = consistent

    def check(self, outlet: Outlet) -> None:
        """Find out whether the channel takes AMIs."""
        _ami(outlet)

    def place(self, image: Image, outlet: Outlet, evidence: Evidence) -> tuple[Placement, ...]:
        """Tag the AMI that was tested, and have a copy of it in each region of the channel."""
        ami, home = _ami(outlet), Place.read(image.reference)
        own = {DIGEST: image.digest, ASSESSMENT: evidence.assessment_id, tags.OWNER: tags.allowed(operator())}
        with asked(self._client, "ec2", home.region, f"promote {home}") as ec2:
            said = described(ec2, home)
            if said is None or said.get("State", "available") != "available":
                raise EngineError(f"AMI {home} is not available", hint="was it deregistered?")
            ec2.create_tags(Resources=[home.ami], Tags=tagged(**own))
            if found := snapshots(said):
                ec2.create_tags(Resources=found, Tags=tagged(**own, **{AMI: home.ami}))
        must_be_shareable(self._client, home, ami)
        copies = Copies(client=self._client, outlet=ami, poll=self._poll, consistent=self._consistent)
        source = Source(place=home, said=said, digest=image.digest, tags={SOURCE: str(home), **own})
        made = copies.make(source, [region for region in ami.regions if region != home.region])
        for copy in made:
            must_be_shareable(self._client, copy, ami)
        return tuple(place.placement(image.digest) for place in (home, *made))

    def publish(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Let others launch what was placed, then have the parameter of each region name it."""
        ami, places = _ami(outlet), [Place.read(one.where) for one in placements]
        if not any(place == Place.read(image.reference) for place in places):
            raise EngineError(f"{image.name!r} was recorded without its AMI {image.reference}", hint="promote it again")
        for place in places:
            leftovers.settle(self._client, place)
        for place in places:
            pointing.share(self._client, place, outlet, ami)
        for place in places if ami.parameter else ():
            pointing.put(self._client, place, ami.parameter, seconds=self._consistent)

    def stands(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> bool:
        """Say whether the AMI of each region has the channel's tag, and its parameter names it."""
        del image
        ami, places = _ami(outlet), [Place.read(one.where) for one in placements]
        return bool(places) and all(pointing.stands(self._client, place, outlet, ami) for place in places)

    def withdraw(self, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Remove the channel's parameter, where it names one of these, and its tags; the AMIs stay, and stay shared.

        Every region is tried; raises the first error once all were.
        """
        failed = []
        places = [Place.read(one.where) for one in placements]
        for region in dict.fromkeys(one.region for one in places):
            amis = {one.ami for one in places if one.region == region}
            try:
                pointing.take_away(self._client, region, amis, outlet, _ami(outlet))
            except ImagetestError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def retire(self, outlet: Outlet, superseded: Sequence[Placement], surplus: Sequence[Placement]) -> None:
        """Deprecate what was superseded, and remove what is surplus and in nobody's use.

        Every place is tried; raises the first error once all were.
        """
        ami, failed = _ami(outlet), []
        for one in dict.fromkeys([*superseded, *surplus]):
            try:
                place = Place.read(one.where)
                if one not in surplus or not retiring.remove(self._client, place, outlet):
                    retiring.deprecate(self._client, place, outlet, ami.deprecate)
            except ImagetestError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def retired(self, outlet: Outlet, superseded: Sequence[Placement]) -> bool:
        """Say whether none of these has the channel's tag any more, which is the last to go."""
        return not any(pointing.is_led_to(self._client, Place.read(one.where), outlet) for one in superseded)

    def leftovers(self, where: str, now: datetime) -> tuple[Leftover, ...]:
        """Return the copies in a region that nobody recorded by their expiry."""
        return leftovers.expired(self._client, where, now)

    def settle(self, where: str) -> None:
        """Have a copy stay that a record names."""
        leftovers.settle(self._client, Place.read(where))

    def abandon(self, leftover: Leftover, now: datetime) -> bool:
        """Remove a copy with its snapshots, unless somebody uses or promotes it."""
        return leftovers.remove(self._client, leftover, now)


def _ami(outlet: Outlet) -> AmiOutlet:
    if outlet.ami is None:
        raise ConfigError(
            f"channel {outlet.channel!r} takes no AMIs, which {outlet.image!r} is",
            hint=f"say how they are published: [channels.{outlet.channel}.ami]",
        )
    return outlet.ami
