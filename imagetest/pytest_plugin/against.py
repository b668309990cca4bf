"""Production in a run: the same checks and the same questions on live hosts, held against the image under test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.execute.interrupts import interrupts
from imagetest.model.finding import Check
from imagetest.model.parity import Comparison, Parity, ParityKind
from imagetest.model.plan import Environment, Group
from imagetest.model.snapshot import Snapshot
from imagetest.pipeline.survey import survey
from imagetest.policy import parity
from imagetest.policy.parity import Answer
from imagetest.pytest_plugin.live import live_hosts
from imagetest.pytest_plugin.observing import Observation, merged
from imagetest.transport.existing import Roads
from imagetest.transport.line import Machine

ROOT = "root"

NOT_JUDGED = "no check ran there, as they were not seen to be harmless on the throwaway first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What is known of an image that live hosts are held against."""

    image: str
    reference: Snapshot | str
    """Its state, or why it could not be had."""
    checks: Mapping[str, Check]
    """What the checks said of it that run on live hosts as well."""


class Against:
    """The live hosts of one run, and what is known of each."""

    def __init__(self, environments: Sequence[Environment], images: Sequence[str], settings: Settings) -> None:
        self._settings = settings
        self._hosts = {one.name: one for one in live_hosts(environments, images)}
        self._roads = {one.name: Roads(one.ssh_config) for one in environments}
        self._answers: dict[tuple[str, str], Answer] = {}
        """What each host told, by environment and host: one of several images is asked once."""
        self._users: dict[tuple[str, str], str] = {}
        """Who the checks are on each host that answered."""
        self._checks: dict[str, dict[str, Check]] = defaultdict(dict)
        self._lost: dict[str, str] = {}
        self._judged: dict[str, str] = {}
        """By image, once its checks are known to be harmless, nothing; else why none of them runs on live hosts."""

    def names(self, image: str) -> list[str]:
        """Return what the tests call the live hosts of an image."""
        return [name for name, one in self._hosts.items() if one.image == image]

    def image(self, name: str) -> str:
        """Return the image that a live host is held against."""
        return self._hosts[name].image

    def machine(self, name: str) -> Machine:
        """Connect to a live host. Raises UnreachableError."""
        one = self._hosts[name]
        transport = self._roads[one.environment.name].dial(one.host)
        return Machine(transport=transport, sudo=one.environment.sudo, timeout=one.environment.timeout, remember=False)

    def lost(self, name: str, message: str) -> None:
        """Note that a live host stopped answering; the others go on."""
        self._lost.setdefault(name, message)

    def clear(self, image: str, *, unsafe: str = "") -> None:
        """Note that an image's checks changed nothing on the throwaway, or why they must not run on live hosts."""
        self._judged.setdefault(image, unsafe)

    def may_run(self, name: str, check: str, tested: Mapping[str, Check], *, rights_of: str) -> bool:
        """Say whether a check runs on a live host.

        It must have run on the throwaway before, as the user `rights_of`, and all checks must be known to have changed
        nothing there; the host must answer, and must not give them more rights than they had.
        """
        one = self._hosts[name]
        if self._judged.get(one.image, NOT_JUDGED) or check not in tested:
            return False
        self._ask(one.environment)
        user = self._users.get((one.environment.name, one.host))
        if user is None or name in self._lost:
            return False
        if user == ROOT != rights_of:
            self.lost(name, f"no check ran there, as root might change what {rights_of!r} on the throwaway could not")
            return False
        return True

    def observe(self, observation: Observation) -> None:
        """Remember what a check said on a live host."""
        heard = self._checks[observation.image]
        check = merged(heard.get(observation.check.id), observation)
        heard[check.id] = check

    def conclude(self, tested: Tested) -> tuple[Parity, ...]:
        """Hold each host of each group against an image, and against the others of its group."""
        found = []
        for environment, group in self._groups(tested.image):
            self._ask(environment)
            name = f"{environment.name}/{group.name}"
            answers = [self._answers[environment.name, host] for host in group.hosts]
            found.append(self._environment(name, group, answers, tested))
            if len(answers) > 1:
                found.append(parity.group(name, answers, group.allowances, now=datetime.now(UTC)))
        return tuple(found)

    def close(self) -> None:
        """Let go of the bastions."""
        for road in self._roads.values():
            road.close()

    def _groups(self, image: str) -> list[tuple[Environment, Group]]:
        return list({(one.environment.name, one.group.name): (one.environment, one.group)
                     for one in self._hosts.values() if one.image == image}.values())  # fmt: skip

    def _ask(self, environment: Environment) -> None:
        """Have every host of an environment tell its state, all at once, before the first check runs there."""
        hosts = list(dict.fromkeys(one.host for one in self._hosts.values() if one.environment is environment))
        if (environment.name, hosts[0]) in self._answers:
            return
        if interrupts.pending:
            self._answers |= {
                (environment.name, host): Answer(host=host, error="the run was interrupted") for host in hosts
            }
            return
        for answer in survey(
            hosts, self._roads[environment.name].dial, wiring.collectors(), scope=self._settings.scope,
            sudo=environment.sudo, timeout=environment.timeout,
        ):  # fmt: skip
            self._answers[environment.name, answer.host] = answer
            if answer.read is not None:
                self._users[environment.name, answer.host] = answer.read().user

    def _environment(self, name: str, group: Group, answers: Sequence[Answer], tested: Tested) -> Parity:
        kind, reference = ParityKind.ENVIRONMENT, tested.reference
        if isinstance(reference, str):
            lost = tuple(Comparison(left=tested.image, right=one.host, error=reference) for one in answers)
            return Parity(kind=kind, name=name, comparisons=lost)
        whole = parity.against(kind, name, reference, answers, group.allowances, now=datetime.now(UTC))
        return replace(whole, comparisons=tuple(self._with_outcomes(one, tested) for one in whole.comparisons))

    def _with_outcomes(self, comparison: Comparison, tested: Tested) -> Comparison:
        """Add to a comparison of states what the checks said on both, and which of them never ran there."""
        name = next(
            one.name for one in self._hosts.values() if (one.image, one.host) == (tested.image, comparison.right)
        )
        unsafe = self._judged.get(tested.image, NOT_JUDGED)
        ran, differing = parity.outcomes({}, {})
        if comparison.drift is not None and not unsafe:
            ran, differing = parity.outcomes(tested.checks, self._checks[name])
        errors = dict.fromkeys([comparison.error, self._lost.get(name, ""), unsafe])
        return replace(comparison, checks=ran, outcomes=differing, error="; ".join(one for one in errors if one))
