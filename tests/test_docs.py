"""The documentation, held against what it documents: whoever adds one thing cannot forget the other."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from imagetest import errors
from imagetest.cli.main import app
from imagetest.config import schema
from imagetest.policy.exit_code import ExitCode
from imagetest.policy.gate import RULES
from imagetest.pytest_plugin import plugin

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])


def page(name: str) -> str:
    return (DOCS / name).read_text()


def rows(text: str) -> dict[str, list[str]]:
    """Return the rows of all tables by what stands in their first column."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return {first.strip().strip("`"): [one.strip() for one in rest] for first, *rest in cells}


def section(text: str, title: str) -> str:
    """Return what stands below a heading, up to the next of its level."""
    marks = title.partition(" ")[0]
    _, _, after = text.partition(f"\n{title}\n")
    assert after, f"there is no section {title!r}"
    return re.split(rf"\n#{{1,{len(marks)}}} ", after)[0]


# -- pytest


class Parser:
    """Hears which options the plugin declares."""

    def __init__(self) -> None:
        self.options: dict[str, dict[str, Any]] = {}

    def getgroup(self, name: str, description: str) -> Parser:
        assert name
        assert description
        return self

    def addoption(self, name: str, **settings: Any) -> None:
        self.options[name] = settings


def test_every_option_of_the_plugin_has_its_row() -> None:
    parser = Parser()
    plugin.pytest_addoption(parser)  # type: ignore[arg-type]
    shown = rows(section(page("running.md"), "## Options"))
    documented = {name.split()[0]: name.replace("\\|", "|") for name in shown if re.match(r"--\w", name)}

    assert set(documented) == set(parser.options)
    for name, settings in parser.options.items():
        for word in settings.get("choices", [settings.get("metavar", "")]):
            assert word in documented[name]


def test_every_exit_code_has_its_row() -> None:
    shown = rows(section(page("running.md"), "## Exit codes"))

    assert {one for one in shown if one.isdecimal()} == {str(int(code)) for code in ExitCode}
    for code in ExitCode:
        assert str(int(code)) in (ROOT / "README.md").read_text()


# -- the command line


def commands() -> dict[str, typer.core.TyperCommand]:
    group: Any = typer.main.get_command(app)
    found: dict[str, typer.core.TyperCommand] = group.commands
    return found


@pytest.mark.parametrize("name", commands())
def test_every_command_has_its_section_and_every_option_its_word(name: str) -> None:
    text = page("commands.md")
    titles = [
        line
        for line in text.splitlines()
        if line.startswith(f"## `imagetest {name}") and line[len(f"## `imagetest {name}")] in " `"
    ]
    assert len(titles) == 1, f"docs/commands.md needs a section for 'imagetest {name}'"
    written = titles[0] + section(text, titles[0])
    for parameter in commands()[name].params:
        if parameter.name == "config":
            continue  # it is the same everywhere, and described above the commands
        if isinstance(parameter, typer.core.TyperArgument):
            assert str(parameter.name).upper() in titles[0]
        else:
            assert max(parameter.opts, key=len) in written, f"{name} {parameter.opts}"


def test_no_command_is_documented_that_is_not_there() -> None:
    assert set(re.findall(r"^## `imagetest (\w+)", page("commands.md"), re.MULTILINE)) == set(commands())


def test_the_option_that_all_commands_share_is_described_once() -> None:
    assert "`--config FILE`" in page("commands.md").partition("## ")[0]


# -- the configuration

TABLES: dict[str, type[schema.Strict]] = {
    "## `[imagetest]`: the project": schema.ProjectTable,
    "## `[images.NAME]`: an image under test": schema.ImageTable,
    "### `[images.NAME.boot]`: how it is booted": schema.BootTable,
    "### `[images.NAME.boot.machine]`: what a virtual machine is made of": schema.MachineTable,
    "### `[images.NAME.boot.ec2]`: where and as what an instance runs": schema.Ec2Table,
    "### `[images.NAME.on.SOURCE]`: one run over several platforms": schema.PlatformTable,
    "## `[gates.NAME]`: what decides": schema.GateTable,
    "## `[channels.NAME]`: where promoted images go": schema.ChannelTable,
    "### `[channels.NAME.ami]`: how AMIs are published": schema.AmiTable,
    "## `[environments.NAME]`: live hosts": schema.EnvironmentTable,
    "### `[environments.NAME.groups.NAME]`: hosts that should be alike": schema.GroupTable,
    "## `[snapshot]`: which files are looked at": schema.SnapshotTable,
}


SUBTABLES = {"ami", "boot", "ec2", "groups", "machine", "on"}


@pytest.mark.parametrize("title", TABLES)
def test_every_setting_has_its_row_with_its_default(title: str) -> None:
    text = section(page("configuration.md"), title)
    shown = rows(text.partition("\n### ")[0])
    fields = {field.alias or name: field for name, field in TABLES[title].model_fields.items()}

    assert set(fields) - SUBTABLES == set(shown) - {"setting", "---"}
    for name, field in fields.items():
        default = field.default
        if name in SUBTABLES or field.is_required() or default in (None, [], {}, ""):
            continue
        written = f"{default:g}" if isinstance(default, float) else json.dumps(default)
        assert written.strip('"') in shown[name][0], f"{name} defaults to {written}, not to {shown[name][0]}"


def test_every_table_of_the_schema_is_documented() -> None:
    assert set(TABLES.values()) == {
        one for _, one in inspect.getmembers(schema, inspect.isclass) if issubclass(one, schema.Strict)
    } - {schema.Strict, schema.File}


def test_the_example_is_understood() -> None:
    example = re.search(r"```toml\n(.*?)```", page("configuration.md"), re.DOTALL)

    assert example is not None
    assert schema.File.model_validate(tomllib.loads(example[1])).images


# -- the gate


def test_every_rule_of_the_gate_has_its_row() -> None:
    shown = rows(section(page("gate.md"), "## The gate"))

    assert set(shown) - {"rule", "---"} == {rule.__name__.replace("_", "-") for rule in RULES}


# -- plugins


def entry_points() -> dict[str, dict[str, str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups: dict[str, dict[str, str]] = project["entry-points"]
    return {name: group for name, group in groups.items() if name.startswith("imagetest.")}


def test_every_group_of_plugins_has_its_row_with_all_that_is_built_in() -> None:
    shown = rows(page("plugins.md"))

    assert {name for name in shown if name.startswith("imagetest.")} == set(entry_points())
    for name, group in entry_points().items():
        assert {one.strip(" `") for one in shown[name][-1].split(",")} == set(group)


def test_every_driver_has_its_page() -> None:
    assert {path.stem for path in (DOCS / "drivers").glob("*.md")} == set(entry_points()["imagetest.drivers"])


# -- errors


def drawn() -> list[tuple[int, str, str]]:
    """Return depth, name and remark of each line of the tree in the docstring of errors.py."""
    found = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([│├└─ ]*)([A-Z]\w+Error)\s*(.*)$", line)
        if match is not None:
            found.append((len(match[1]) // 4, match[2], match[3]))
    return found


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    own: list[Any] = [
        one for _, one in inspect.getmembers(errors, inspect.isclass) if one.__module__ == errors.__name__
    ]
    classes = {one.__name__: one for one in own}
    parents: list[str] = []

    assert {name for _, name, _ in drawn()} == set(classes)
    for depth, name, remark in drawn():
        parents[depth:] = [name]
        code = re.match(r"exit (\d)", remark)
        if depth:
            assert classes[name].__base__ is classes[parents[depth - 1]], name
        if code is not None:
            assert classes[name].exit_code == int(code[1]), name


# -- links


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    plain = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", plain):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path

        assert there.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{path.name} links to {target}"
