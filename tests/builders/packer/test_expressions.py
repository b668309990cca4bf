"""Expressions, as far as they decide what is read; what is not understood is said and never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.builders.packer.expressions import Scope, UnknownValueError, arguments, go_template, survey, value_of


def scope(folder: Path, *, hcl: bool = True, **changes: Any) -> Scope:
    variables = {"name": "web", "flag": True, "number": 7, "names": ["a", "b"]}
    return Scope(root=folder / "packer", cwd=folder, hcl=hcl, variables=variables, **changes)


KNOWN = [
    ('"plain"', "plain"),
    ('"with \\"quotes\\" and \\n"', 'with "quotes" and \n'),
    ("${var.name}", "web"),
    ('"${var.name}-${var.number}"', "web-7"),
    ('"${var.flag}"', "true"),
    ('"$${var.name}"', "${var.name}"),
    ("${var.names}", ["a", "b"]),
    ('${join("+", var.names)}', "a+b"),
    ('"${upper("${lower("${var.name}")}")}"', "WEB"),
    ('${replace("a}b", "}", "${var.name}")}', "awebb"),
    ('${format("%s-%d", var.name, 7)}', "web-7"),
    ('${["x", var.name]}', ["x", "web"]),
    ('${concat(["x"], var.names)}', ["x", "a", "b"]),
    ('${basename("/a/b")}${dirname("/a/b")}', "b/a"),
    ("${true}", True),
    ("${null}", None),
    ("${-1.5}", -1.5),
    ("${local.twice}", "webweb"),
    ("plain", "plain"),
    (7, 7),
    (True, True),
    (['"a"', "${var.name}"], ["a", "web"]),
]


@pytest.mark.parametrize(("node", "expected"), KNOWN)
def test_what_is_understood_is_worked_out(tmp_path: Path, node: object, expected: object) -> None:
    known = scope(tmp_path, locals={"twice": '"${var.name}${local.once}"', "once": "${var.name}"})

    assert value_of(node, known) == expected


def test_paths_are_the_templates_and_the_projects(tmp_path: Path) -> None:
    assert value_of('"${path.root}"', scope(tmp_path)) == str(tmp_path / "packer")
    assert value_of("${path.cwd}", scope(tmp_path)) == str(tmp_path)
    assert value_of("{{template_dir}} {{ pwd }}", scope(tmp_path, hcl=False)) == f"{tmp_path / 'packer'} {tmp_path}"


UNKNOWN = [
    "${var.nothing}", "${local.nothing}", "${local.itself}", "${each.value}", '"${a ? b : c}"', "${1 + 1}",
    "${[for one in var.names : one]}", "${timestamp()}", '"%{ if true }x%{ endif }"', "${unclosed(",  '"${"',
    "${join()}", '${split(",", "a")}', "${env()}", "${fileset()}", "${file()}", "${{a = 1}}",
]  # fmt: skip


@pytest.mark.parametrize("node", UNKNOWN)
def test_what_is_not_understood_is_unknown(tmp_path: Path, node: str) -> None:
    with pytest.raises(UnknownValueError):
        value_of(node, scope(tmp_path, locals={"itself": "${local.itself}"}))


@given(st.text(st.sampled_from('${}"()[],\\ %a.file"'), max_size=25))
def test_no_text_ends_in_anything_else(text: str) -> None:
    known = scope(Path("/nowhere"))
    survey(text, known)
    try:
        value_of(text, known)
    except UnknownValueError:
        return


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b", ["a", "b"]),
        ('"a, b", c', ['"a, b"', "c"]),
        ("f(a, b), [c, d], {e = 1, g = 2}", ["f(a, b)", "[c, d]", "{e = 1, g = 2}"]),
        (r'"a\", b", c', [r'"a\", b"', "c"]),
        ('"${f("x, y")}", z', ['"${f("x, y")}"', "z"]),
    ],
)
def test_arguments_are_split_at_their_own_commas(text: str, parts: list[str]) -> None:
    assert arguments(text) == parts


def test_functions_read_relative_to_the_template(tmp_path: Path) -> None:
    (tmp_path / "packer" / "parts").mkdir(parents=True)
    (tmp_path / "packer" / "a.txt").write_text("content")
    (tmp_path / "packer" / "parts" / "b.sh").write_text("")
    known = scope(tmp_path)

    assert value_of('${file("a.txt")}', known) == "content"
    assert value_of('${fileset(path.root, "parts/*")}', known) == ["parts/b.sh"]
    assert value_of('${fileset("parts", "*.sh")}', known) == ["b.sh"]
    assert {path.name for path in known.files} == {"a.txt", "b.sh"}


def test_what_a_call_reads_is_noted_even_where_its_value_is_not_known(tmp_path: Path) -> None:
    known = scope(tmp_path)
    survey(
        [
            '"${nope(file("a"), [for x in y : templatefile("b", { c = filebase64("d") })])}"',
            {"deep": '"%{ if file("e") }"'},
        ],
        known,
    )

    assert sorted(path.name for path in known.files) == ["a", "b", "d", "e"]
    assert known.unknown == []


def test_what_a_call_reads_that_cannot_be_known_is_said(tmp_path: Path) -> None:
    known = scope(tmp_path)
    survey('"${file(each.value)}"', known)

    assert known.files == set()
    assert known.unknown == ["what file(each.value) reads: the expression 'each.value'"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{user `name`}}", "web"),
        ('{{ user "name" }}', "web"),
        ("{{- user `name` -}}", "web"),
        ("{{env `SHADE`}}", "blue"),
        ("{{user `nothing`}}", "{{user `nothing`}}"),
        ("{{timestamp}}", "{{timestamp}}"),
        ("{{.Vars}} {{ .Path }}", "{{.Vars}} {{ .Path }}"),
        ("a{{}}b", "a{{}}b"),
        ("${file(x)}", "${file(x)}"),
    ],
)
def test_go_templates_are_filled_in_as_far_as_they_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, filled: str
) -> None:
    monkeypatch.setenv("SHADE", "blue")

    assert go_template(text, scope(tmp_path, hcl=False)) == filled
    assert value_of(text, scope(tmp_path, hcl=False)) == filled
