"""Hold a recorded assessment against a gate as it is today: its own findings, and those of its siblings."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from imagetest.model.assessment import Assessment, Sibling, Verdict
from imagetest.model.codec import decode
from imagetest.policy import assess, gate
from imagetest.policy.gate import Gate
from imagetest.ports import Store


def judge_again(assessment: Assessment, chosen: Gate, store: Store, *, now: datetime) -> tuple[Assessment, Verdict]:
    """Decide anew by a gate that may be another than the run's; return the assessment with today's waivers.

    What the run said of the other cells of its matrix was by the gate of then: they are judged by this one as well,
    from what was recorded of them. One of which nothing is recorded is closed.
    """
    siblings = tuple(_sibling(assessment, one, chosen, store, now) for one in assessment.siblings)
    known = replace(_waived(assessment, chosen, now), siblings=siblings)
    return known, gate.decide(chosen, known, now=now)


def _waived(assessment: Assessment, chosen: Gate, now: datetime) -> Assessment:
    plain = tuple(replace(finding, waiver=None) for finding in assessment.findings)
    found = assess.waive(plain, chosen.waivers, image=assessment.image.name, today=now.date())
    return replace(assessment, findings=found)


def _sibling(mine: Assessment, said: Sibling, chosen: Gate, store: Store, now: datetime) -> Sibling:
    """Judge another cell by itself; one that could not be judged by the run stays closed."""
    if not said.digest:
        return said
    run = mine.id.removesuffix(mine.image.name)
    content = store.document(run + said.name)
    if content is None:
        return replace(said, objections=1, reason="what was found of it is not in the registry")
    found = decode(content, origin=f"assessment {run + said.name!r}").assessment
    if (found.id, found.image.digest) != (run + said.name, said.digest):
        return replace(said, objections=1, reason="what the registry holds of it is of another image")
    alone = replace(chosen, matrix=frozenset())
    return gate.told(said, gate.decide(alone, _waived(found, chosen, now), now=now))
