"""Environments in imagetest.toml: whose hosts are looked at, how they are reached, and what may differ there."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetest.config.settings import Settings, load
from imagetest.errors import ConfigError
from imagetest.policy.gate import Required

ALLOW = '[[allow]]\npattern = "files:/etc/{0}"\nreason = "{0}"\nowner = "maria"\n'

GOOD = """
[images.web]
image = "docker:web"

[gates.strict]
parity = ["environment", "group"]

[snapshot]
roots = ["/etc", "/srv"]
listed = ["/usr"]
excluded = ["/srv/cache"]

[environments.production]
ssh_config = "ssh_config"
sudo = true
timeout = 30
allowances = ["shared.toml"]

[environments.production.groups.web]
hosts = ["web1", "deploy@web2", "web3:2222"]
image = "web"
allowances = ["web.toml"]

[environments.production.groups.db]
hosts = ["db1"]

[environments.staging.groups.web]
hosts = ["web1"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("shared", "web"):
        (tmp_path / f"{name}.toml").write_text(ALLOW.format(name))
    (tmp_path / "ssh_config").write_text("")
    return tmp_path


def loaded(project: Path, content: str) -> Settings:
    (project / "imagetest.toml").write_text(content)
    return load(project / "imagetest.toml")


def mistakes(project: Path, content: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(project, content)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_a_good_file_is_read_whole(project: Path) -> None:
    settings = loaded(project, GOOD)
    production, staging = settings.environment("production"), settings.environment("staging")
    web, db = production.groups

    assert (production.ssh_config, production.sudo, production.timeout) == (project / "ssh_config", True, 30)
    assert (staging.ssh_config, staging.sudo, staging.timeout) == (None, False, 120)
    assert (web.hosts, web.image, db.image) == (("web1", "deploy@web2", "web3:2222"), "web", "")
    assert [one.reason for one in web.allowances] == ["web", "shared"]
    assert [one.reason for one in db.allowances] == ["shared"]
    assert settings.gates["strict"].parity == {Required("environment"), Required("group")}
    assert (settings.scope.roots, settings.scope.listed) == (("/etc", "/srv"), ("/usr",))
    assert settings.scope.excluded == ("/srv/cache",)


def test_a_gate_may_name_the_environment_whose_parity_it_requires(project: Path) -> None:
    content = f"[gates.g]\nparity = ['environment:a', 'platform']\n{GROUP}"

    assert loaded(project, content).gates["g"].parity == {Required("environment", "a"), Required("platform")}


def test_without_a_table_the_usual_folders_are_looked_at(project: Path) -> None:
    assert "/etc" in loaded(project, "").scope.roots
    assert loaded(project, "[snapshot]\nroots = []\n").scope.roots == ()


def test_an_environment_that_is_not_declared_lists_those_that_are(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown environment 'prod' \(known: production, staging\)") as caught:
        loaded(project, GOOD).environment("prod")

    assert caught.value.hint == "declare it: [environments.prod.groups.GROUP]"


GROUP = '[environments.a.groups.g]\nhosts = ["h"]\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[environments.a]\n", "line 1: environments.a.groups: Field required"),
        ("[environments.a.groups]\n", "line 1: environments.a.groups: "),
        ("[environments.a.groups.g]\n", "line 1: environments.a.groups.g.hosts: Field required"),
        ("[environments.a.groups.g]\nhosts = []\n", "line 2: environments.a.groups.g.hosts: "),
        ('[environments.a.groups.g]\nhosts = "h"\n', "line 2: environments.a.groups.g.hosts: "),
        (
            '[environments.a.groups.g]\nhosts = ["h", "i", "h"]\n',
            "line 2: environments.a.groups.g.hosts: 'h' is named twice",
        ),
        (f'{GROUP}image = "wep"\n', "line 3: environments.a.groups.g.image: unknown image 'wep' (known: none)"),
        (
            f'{GROUP}imge = "web"\n',
            "line 3: environments.a.groups.g.imge: unknown setting 'imge'; did you mean 'image'?",
        ),
        (f"[environments.a]\nsudo = 1\n{GROUP}", "line 2: environments.a.sudo: "),
        (f"[environments.a]\ntimeout = 0\n{GROUP}", "line 2: environments.a.timeout: "),
        (f"[environments.a]\nssh = 'x'\n{GROUP}", "line 2: environments.a.ssh: unknown setting 'ssh'"),
        (
            f"[environments.a]\nssh_config = 'none'\n{GROUP}",
            "line 2: environments.a.ssh_config: there is no 'none' in ",
        ),
        ('[environments."A B".groups.g]\nhosts = ["h"]\n', "'A B' is no name"),
        ('[environments.a.groups."G!"]\nhosts = ["h"]\n', "'G!' is no name"),
        ("[snapshot]\nroots = ['etc']\n", "line 2: snapshot.roots: got 'etc', expected a folder that begins with '/'"),
        ("[snapshot]\nlisted = ['usr']\n", "line 2: snapshot.listed: got 'usr', expected a folder"),
        ("[snapshot]\nexcluded = ['x']\n", "line 2: snapshot.excluded: got 'x', expected a folder"),
        ("[snapshot]\nroot = ['/etc']\n", "line 2: snapshot.root: unknown setting 'root'; did you mean 'roots'?"),
        ("[gates.g]\nparity = ['platfrom']\n", "line 2: gates.g.parity: got 'platfrom', expected "),
        ("[gates.g]\nparity = ['platform:a']\n", "line 2: gates.g.parity: got 'platform:a', expected "),
        (f"[gates.g]\nparity = ['group:b']\n{GROUP}", "line 2: gates.g.parity: unknown environment 'b'"),
        (f"[gates.g]\nparity = ['environment:']\n{GROUP}", "line 2: gates.g.parity: unknown environment ''"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(project: Path, content: str, said: str) -> None:
    found = mistakes(project, content)

    assert len(found) == 1, found
    assert said in found[0]


def test_several_mistakes_are_said_at_once(project: Path) -> None:
    content = (
        '[environments.a.groups.g]\nhosts = ["h", "h"]\nimage = "web"\nallowances = ["none.toml"]\n'
        "[environments.b]\nssh_config = 'none'\n[environments.b.groups.g]\nhosts = ['h']\n"
    )

    assert len(mistakes(project, content)) == 4
