"""From checks to findings: what each control says once every test has been heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from imagetest.model.control import Control, Profile, Severity
from imagetest.model.finding import Check, Finding, Status, Waiver


def findings(checks: tuple[Check, ...], profile: Profile, *, absent: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return one finding for each control that is required or that a check is bound to.

    A check that is bound to no control becomes a finding of its own. `absent` says why a control has no check.
    """
    bound: dict[str, list[Check]] = {identity: [] for identity in profile.required}
    for check in checks:
        for identity in check.controls or (check.id,):
            bound.setdefault(identity, []).append(check)
    return tuple(_finding(identity, heard, absent) for identity, heard in bound.items())


def controls(catalogue: Mapping[str, Control], checks: tuple[Check, ...], profile: Profile) -> tuple[Control, ...]:
    """Return the control behind each finding, an unrated one for a check that is bound to none."""
    known: dict[str, Control] = {identity: catalogue[identity] for identity in profile.required}
    for check in checks:
        for identity in check.controls:
            known[identity] = catalogue[identity]
        if not check.controls:
            known[check.id] = Control(id=check.id, title=check.title or check.id, severity=Severity.UNRATED)
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
    """Hold what was found against what ran.

    Without a profile, every control that a test was found for is required: choosing fewer tests must not open a gate.
    """
    if not profile.name:
        bound = dict.fromkeys(one for found in collected.values() for one in found.controls)
        profile = replace(profile, required=tuple(bound))
    missing = {identity: found for identity, found in collected.items() if identity not in checks}
    absent = {
        control: f"{identity} was deselected" if found.deselected else f"{identity} did not run"
        for identity, found in missing.items()
        for control in found.controls
    }
    stopped = [identity for identity, found in missing.items() if not found.deselected]
    unbound = [identity for identity, found in missing.items() if found.deselected and not found.controls]
    errors = []
    if stopped:
        errors.append(f"{len(stopped)} of {len(collected)} tests did not run")
    if unbound and not profile.name:
        errors.append(f"{len(unbound)} of {len(collected)} tests were deselected, and no profile says what is required")
    return Scope(profile=profile, absent=absent, errors=tuple(errors))


def _finding(identity: str, heard: list[Check], absent: Mapping[str, str]) -> Finding:
    if not heard:
        reason = absent.get(identity, "no test is bound to it")
        return Finding(control_id=identity, status=Status.NOT_REVIEWED, message=reason)
    status = Status.worst(check.status for check in heard)
    said = dict.fromkeys(check.message for check in heard if check.status is status and check.message)
    return Finding(
        control_id=identity, status=status, message="; ".join(said), checks=tuple(check.id for check in heard)
    )
