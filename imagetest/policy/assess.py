"""From checks to findings: what each control says once every test has been heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from imagetest.model.control import Control, Profile, Severity
from imagetest.model.finding import Check, Finding, Status, Waiver


def findings(checks: tuple[Check, ...], profile: Profile, *, absent: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return one finding for each control that is required, that a check is bound to, or that lost a check.

    A check that is bound to no control becomes a finding of its own. `absent` says of a control, or of such a check,
    why a test that was found for it has no result: whatever its other tests said, it was not reviewed.
    """
    bound: dict[str, list[Check]] = {identity: [] for identity in (*profile.required, *absent)}
    for check in checks:
        for identity in check.controls or (check.id,):
            bound.setdefault(identity, []).append(check)
    return tuple(_finding(identity, heard, absent) for identity, heard in bound.items())


def controls(
    catalogue: Mapping[str, Control], checks: tuple[Check, ...], profile: Profile, *, absent: Mapping[str, str]
) -> tuple[Control, ...]:
    """Return the control behind each finding, an unrated one for a check that is bound to none."""
    titles = {check.id: check.title for check in checks if not check.controls}
    bound = [identity for check in checks for identity in check.controls]
    known = {}
    for identity in (*profile.required, *bound, *titles, *absent):
        unrated = Control(id=identity, title=titles.get(identity) or identity, severity=Severity.UNRATED)
        known[identity] = unrated if identity in titles else catalogue.get(identity, unrated)
    return tuple(known.values())


def waive(found: tuple[Finding, ...], waivers: Iterable[Waiver], *, image: str, today: date) -> tuple[Finding, ...]:
    """Attach to each finding that did not pass the waiver that is in force for it; its status stays what it is."""
    in_force = {
        waiver.control_id: waiver for waiver in waivers if waiver.image in {"*", image} and today <= waiver.expires
    }
    good = {Status.PASSED, Status.NOT_APPLICABLE}
    return tuple(
        replace(one, waiver=in_force[one.control_id]) if one.status not in good and one.control_id in in_force else one
        for one in found
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A test that was found, whether or not it ran."""

    controls: tuple[str, ...]
    deselected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What should have been judged, and why some of it was not."""

    profile: Profile
    absent: Mapping[str, str]
    errors: tuple[str, ...]


def scope(collected: Mapping[str, Collected], checks: Mapping[str, Check], profile: Profile) -> Scope:
    """Hold what was found against what ran: choosing fewer tests must not open a gate.

    Without a profile, every control that a test was found for is required.
    """
    if not profile.name:
        bound = dict.fromkeys(one for found in collected.values() for one in found.controls)
        profile = replace(profile, required=tuple(bound))
    missing = {identity: found for identity, found in collected.items() if identity not in checks}
    absent = {
        one: f"{identity} was deselected" if found.deselected else f"{identity} did not run"
        for identity, found in missing.items()
        for one in found.controls or (identity,)
    }
    chosen = sum(found.deselected for found in missing.values())
    counts = {"did not run": len(missing) - chosen, "were deselected": chosen}
    errors = tuple(f"{count} of {len(collected)} tests {what}" for what, count in counts.items() if count)
    return Scope(profile=profile, absent=absent, errors=errors)


def _finding(identity: str, heard: list[Check], absent: Mapping[str, str]) -> Finding:
    reason = absent.get(identity, "" if heard else "no test is bound to it")
    missed = [Status.NOT_REVIEWED] if reason else []
    status = Status.worst([*missed, *(check.status for check in heard)])
    said = dict.fromkeys(check.message for check in heard if check.status is status and check.message)
    if reason and status is Status.NOT_REVIEWED:
        said[reason] = None
    return Finding(
        control_id=identity, status=status, message="; ".join(said), checks=tuple(check.id for check in heard)
    )
