"""A production host that somebody changed by hand, in thirty ways at once: `imagetest` names each, and nothing else.

Real machines with systemd and OpenSSH, reached by an ssh_config as anybody's production is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from imagetest.drivers.docker import DockerDriver
from imagetest.model.codec import decode_drift, decode_parities
from imagetest.model.parity import ParityKind
from imagetest.model.plan import BootPlan
from imagetest.policy.wording import words
from imagetest.ports import Access
from imagetest.testing.contracts import ignore, make_access
from tests.collectors.snowflakes import SNOWFLAKES, Snowflake, planted
from tests.dockyard import Dockyard
from tests.drivers.images import INIT
from tests.workshop import Workshop

pytestmark = pytest.mark.docker

PREPARED = "RUN mkdir -p /etc/sudoers.d /etc/ssl && mkdir -m 0700 -p /root/.ssh"

CONFIGURATION = """
[images.web]
image = "docker:{image}"

[environments.production]
ssh_config = "ssh_config"
allowances = ["operators.toml"]

[environments.production.groups.web]
hosts = ["web1", "web2", "web3"]
image = "web"
"""

OPERATORS = """
[[allow]]
pattern = "keys:root/{fingerprint}"
reason = "the key by which production is looked at"
owner = "maria"

[[allow]]
pattern = "packages:nothing-of-this-name"
reason = "left over"
owner = "jan"
"""

SAID = {
    "package": "package handmade was added",
    "held-package": "package adduser: state installed became installed, held",
    "mode": "file /etc/motd: mode 0644 became 0666",
    "owner": "file /etc/issue.net: owner root became daemon",
    "content": "file /etc/issue: content ",
    "file": "file /usr/local/bin/handmade was added",
    "link": "file /etc/rmt: target /usr/sbin/rmt became /bin/true",
    "removed-file": "file /etc/bindresvport.blacklist is gone",
    "set-uid": "file /var/tmp/rootshell: more rights than its caller's were added",
    "unit": "unit handmade.service was added",
    "user": "account mallory was added",
    "group": "group adm: members",
    "sudo-rule": "sudo rule mallory ALL=(ALL) NOPASSWD: ALL was added",
    "sysctl": "net.ipv4.ip_default_ttl: value 64 became 42",
    "port": "tcp 0.0.0.0:4444 was added",
    "cron-line": "/etc/cron.d/handmade: /usr/local/bin/handmade was added",
    "variable": "/etc/environment: HANDMADE was added",
    "ssh-setting": "permitrootlogin: value without-password became yes",
    "time-zone": "time zone: value ",
    "certificate": "certificate /etc/ssl/handmade.pem: CN=handmade was added",
}
"""How some of the changes read."""


class Production:
    """Hosts of one image, that one person may log in to, and a project that knows them."""

    def __init__(self, image: str, project: Workshop, driver: DockerDriver, access: Access) -> None:
        self.project = project
        self._image = image
        self._driver = driver
        self._access = access
        self._names: dict[str, str] = {}
        project.file("imagetest.toml", CONFIGURATION.format(image=image))
        project.file("operators.toml", OPERATORS.format(fingerprint=access.user.fingerprint))
        project.file("known_hosts", "")

    @contextmanager
    def host(self, name: str) -> Iterator[None]:
        """Boot a host until the end of the context, and write down how it is reached."""
        resource = self._names[name] = f"imagetest-test-{secrets.token_hex(4)}"
        try:
            up = self._driver.boot(
                self._driver.identify(self._image, name="web"), BootPlan(ssh="image", timeout=60), resource=resource,
                access=self._access, progress=ignore,
            )  # fmt: skip
            if up.transport is not None:
                up.transport.close()
            address, folder = up.instance.address, self.project.folder
            with (folder / "ssh_config").open("a") as config:
                config.write(
                    f"Host {name}\n HostName {address.host}\n Port {address.port}\n User root\n IdentitiesOnly yes\n"
                    f" IdentityFile {self._access.key_file}\n UserKnownHostsFile {folder}/known_hosts\n"
                    f" GlobalKnownHostsFile /dev/null\n"
                )
            with (folder / "known_hosts").open("a") as known:
                known.write(f"[{address.host}]:{address.port} {self._access.host.public}\n")
            yield
        finally:
            self._driver.destroy(resource)

    def run(self, name: str, script: str, engine: Any) -> None:
        """Change a host by hand."""
        done = engine.containers.get(self._names[name]).exec_run(["/bin/sh", "-c", script])
        assert done.exit_code == 0, f"{script}: {done.output.decode(errors='replace')}"

    def stop(self, name: str) -> None:
        """Switch a host off."""
        self._driver.destroy(self._names[name])


@pytest.fixture(scope="module")
def production(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Start three hosts of one image; nobody has touched them."""
    driver = DockerDriver()
    project = Workshop(tmp_path_factory.mktemp("project"))
    access = make_access(tmp_path_factory.mktemp("operator"))
    made = Production(dockyard.build(INIT[0], PREPARED, *INIT[1:]), project, driver, access)
    with ExitStack() as stack:
        for name in ("web1", "web2", "web3"):
            stack.enter_context(made.host(name))
        yield made
    driver.close()


@pytest.fixture(scope="module")
def pristine(production: Production) -> dict[str, Any]:
    """Return what parity says before anybody changes anything."""
    ended = production.project.imagetest("parity", "production", "--image", "web", "--json", "before.json")
    found = decode_parities((production.project.folder / "before.json").read_bytes())
    return {"ended": ended, "parities": found}


@pytest.fixture(scope="module")
def changed(production: Production, pristine: dict[str, Any], dockyard: Dockyard) -> dict[str, Snowflake]:
    """Change web2 by hand, in every way."""
    assert pristine
    changes = planted()
    for one in changes.values():
        production.run("web2", one.script, dockyard.engine)
    return changes


def test_hosts_that_nobody_touched_are_alike_and_what_the_image_is(pristine: dict[str, Any]) -> None:
    ended, (environment, group) = pristine["ended"], pristine["parities"]

    assert ended.code == 0, ended.text
    assert ended.out.startswith("environment parity of production/web: alike\n")
    assert "group parity of production/web: alike\n" in ended.out
    assert (environment.kind, group.kind) == (ParityKind.ENVIRONMENT, ParityKind.GROUP)
    assert [one.right for one in environment.comparisons] == ["web1", "web2", "web3"]
    assert all(one.drift.compared > 1000 for one in environment.comparisons)
    assert [one.pattern for one in environment.unused] == ["packages:nothing-of-this-name"]
    assert (
        "allowances that match nothing:\n  packages:nothing-of-this-name: left over (jan, operators.toml)" in ended.out
    )


def test_each_change_by_hand_is_named_and_no_other(production: Production, changed: dict[str, Snowflake]) -> None:
    ended = production.project.imagetest("diff", "web1", "web2", "--json")
    drift = decode_drift(ended.out.encode())
    found = {(one.family, one.key, one.attribute) for one in drift.differences}
    said = [words(one) for one in drift.differences]

    assert ended.code == 1, ended.err
    assert found == {(one.family, one.key, attribute) for one in changed.values() for attribute in one.attributes}
    assert drift.unexplained == len(SNOWFLAKES)
    assert drift.unread == ()
    for name, text in SAID.items():
        assert [one for one in said if text in one], f"{name}: {text!r} is not said: {said}"


def test_the_change_log_counts_and_names_them(production: Production, changed: dict[str, Snowflake]) -> None:
    ended = production.project.imagetest("diff", "web1", "web2", "--all")
    title, counts, *rest = ended.out.splitlines()

    assert ended.code == 1
    assert title == "from web1 to web2"
    assert counts.endswith(f" equal, 0 allowed, {len(changed)} unexplained")
    assert ["accounts", "1", "added,", "1", "changed"] in [line.split() for line in rest]
    for text in SAID.values():
        assert [line for line in rest if text in line], text


def test_the_changed_host_is_the_odd_one_out(production: Production, changed: dict[str, Snowflake]) -> None:
    project = production.project
    ended = project.imagetest("parity", "production", "--image", "web", "--json", "p.json", "--html", "p.html")
    environment, group = decode_parities((project.folder / "p.json").read_bytes())

    assert ended.code == 1, ended.err
    for parity in (environment, group):
        assert [one.right for one in parity.comparisons if not one.holds] == ["web2"]
        assert {one.right: one.drift.unexplained for one in parity.comparisons if one.drift} == {
            "web1": 0, "web2": len(changed), "web3": 0
        }  # fmt: skip
    assert "not alike: web2 of 3" in ended.out
    assert "not alike: web2 of 3" in (project.folder / "p.html").read_text()


def test_a_change_can_be_allowed_by_whoever_answers_for_it(
    production: Production, changed: dict[str, Snowflake]
) -> None:
    tables = [
        f"[[allow]]\npattern = {json.dumps(f'{one.family}:{one.key}')}\nreason = 'known'\nowner = 'maria'\n"
        for one in changed.values()
    ]
    project = production.project
    project.file("all.toml", "".join(tables))
    project.file("most.toml", "".join(tables[1:]))
    all_of_them = project.imagetest("diff", "web1", "web2", "--allow", "all.toml")
    most = project.imagetest("diff", "web1", "web2", "--allow", "most.toml")

    assert all_of_them.code == 0, all_of_them.text
    assert f" {len(changed)} allowed, 0 unexplained" in all_of_them.out
    assert "match nothing" not in all_of_them.out
    assert most.code == 1
    assert " 1 unexplained" in most.out
    assert "unexplained:\n  package handmade was added" in most.out


def test_a_host_that_is_down_is_an_error_and_the_others_are_judged(
    production: Production, changed: dict[str, Snowflake]
) -> None:
    assert changed
    production.stop("web3")
    ended = production.project.imagetest("parity", "production", "--image", "web")
    alone = production.project.imagetest("snapshot", "web3")

    assert ended.code == 1
    assert "  web3: cannot reach 'web3'" in ended.out
    assert "unexplained on web2, against web:" in ended.out
    assert alone.code == 3
    assert alone.out == ""
    assert "Traceback" not in ended.text + alone.text
