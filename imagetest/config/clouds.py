"""What an image's table says of EC2: checked before anything is baked, and as the noun that drivers know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imagetest.config.mistakes import Mistakes
from imagetest.config.schema import Ec2Table, ImageTable
from imagetest.errors import ImagetestError
from imagetest.model.plan import Cloud

NAMES_AN_AMI = "expected 'ec2:REGION:ami-...', or 'ec2:ami-...' in the region of boot.ec2 or of your own configuration"


def cloud(table: Ec2Table) -> Cloud:
    """Return what the table says."""
    said: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in table.model_dump().items()
    }
    del said["region"]  # it is part of the image's reference
    return Cloud(**said | {"tags": tuple(table.tags.items())})


def check_cloud(place: tuple[str, ...], image: ImageTable, mistakes: Mistakes) -> None:
    """Note what is wrong with an AMI's name and with how its instances are to run."""
    table, (driver, _, reference) = image.boot.ec2, (image.image or "").partition(":")
    if driver != "ec2" and table == Ec2Table():
        return
    from imagetest.drivers.ec2 import amis, inbound, launch

    if driver == "ec2" and reference:
        found = amis.REFERENCE.fullmatch(reference)
        if found is None:
            mistakes.add((*place, "image"), f"got {image.image!r}, {NAMES_AN_AMI}")
        elif found["region"] and table.region not in {"", found["region"]}:
            mistakes.add(
                (*place, "boot", "ec2", "region"), f"got {table.region!r}, and the image is in {found['region']!r}"
            )
    _note((*place, "boot", "ec2", "inbound"), mistakes, lambda: inbound.check(tuple(table.inbound)))
    _note((*place, "boot", "ec2", "tags"), mistakes, lambda: launch.check_tags(tuple(table.tags.items())))


def _note(place: tuple[str, ...], mistakes: Mistakes, check: Callable[[], None]) -> None:
    try:
        check()
    except ImagetestError as error:
        mistakes.add(place, str(error))
