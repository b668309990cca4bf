"""Change an HCL2 template as text, without touching what is not meant.

The syntax is that of https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md: strings with `${...}` in them,
heredocs, three kinds of comments, blocks in braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

HEREDOC = re.compile(r"<<-?\s*([\w-]+)[^\n]*\n")
COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
BLOCK = re.compile(r'(?P<kind>[\w-]+)(?P<labels>(?:\s+(?:"[^"\n]*"|[\w-]+))*)\s*$')
PATH_ROOT = re.compile(r"(?<![\w.])path\.root(?![\w(])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of a template's text."""

    kind: str
    labels: tuple[str, ...]
    start: int
    """Where its name begins."""
    inside: int
    """Where its body begins, behind the brace."""
    end: int
    """Behind its closing brace."""


def code(text: str) -> str:
    """Return the text with everything blanked, letter by letter, that is no code: comments and the letters of strings.

    What stands within `${...}` is code.
    """
    shown = [" " if letter != "\n" else "\n" for letter in text]
    for start, end in _code(text, 0, len(text)):
        shown[start:end] = text[start:end]
    return "".join(shown)


def blocks(text: str) -> list[Block]:
    """Return every block, the inner ones behind those that they stand in."""
    plain, found, open_at = code(text), [], []
    for brace in re.finditer(r"[{}]", plain):
        at = brace.start()
        if plain[at] == "{":
            open_at.append(at)
        elif open_at:
            start = open_at.pop()
            line = text.rfind("\n", 0, start) + 1
            head = BLOCK.search(_uncommented(text[line:start]))
            outside = head is not None and "=" not in plain[line:start]
            if head is not None and outside:
                labels = tuple(one.strip('"') for one in head["labels"].split())
                begin = line + head.start()
                found.append(Block(kind=head["kind"], labels=labels, start=begin, inside=start + 1, end=at + 1))
    return sorted(found, key=lambda one: one.start)


def attribute(text: str, block: Block, name: str) -> tuple[int, int] | None:
    """Return where an attribute of a block stands, from its name to the end of its value; None when it has none."""
    plain = code(text)
    depth = 0
    for token in re.finditer(rf"[{{}}\[\]()]|(?<![\w.-]){name}(?=\s*=[^=])", plain[block.inside : block.end]):
        if token[0] in "{[(":
            depth += 1
        elif token[0] in "}])":
            depth -= 1
        elif not depth:
            start = block.inside + token.start()
            return start, _end_of_value(text, plain, plain.index("=", start) + 1, block.end - 1)
    return None


def with_root(text: str, root: str) -> str:
    """Return the text with `path.root` written out, so that it means the same in another folder."""
    plain = code(text)
    literal = '"' + root.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{") + '"'
    pieces, at = [], 0
    for found in PATH_ROOT.finditer(plain):
        pieces += [text[at : found.start()], literal]
        at = found.end()
    return "".join([*pieces, text[at:]])


def _end_of_value(text: str, plain: str, at: int, limit: int) -> int:
    """Return where a value ends: at the end of its line, unless brackets or a heredoc are still open."""
    depth = 0
    heredoc = HEREDOC.match(text, at + len(text[at:limit]) - len(text[at:limit].lstrip()))
    if heredoc is not None:
        return _end_of_heredoc(text, heredoc)
    for place in range(at, limit):
        depth += (plain[place] in "{[(") - (plain[place] in "}])")
        if text[place] == "\n" and depth <= 0:
            return place
    return limit


def _code(text: str, at: int, limit: int) -> Iterator[tuple[int, int]]:
    """Give the stretches of code between two places."""
    start = at
    while at < limit:
        if (comment := COMMENT.match(text, at, limit)) is not None:
            yield start, at
            start = at = comment.end()
        elif text[at] == '"':
            yield start, at
            end = _end_of_string(text, at + 1, limit)
            yield from _templates(text, at + 1, end - 1)
            start = at = end
        elif (heredoc := HEREDOC.match(text, at, limit)) is not None:
            yield start, at
            end = _end_of_heredoc(text, heredoc)
            yield from _templates(text, heredoc.end(), end)
            start = at = end
        else:
            at += 1
    yield start, limit


def _templates(text: str, at: int, limit: int) -> Iterator[tuple[int, int]]:
    """Give the code within the `${...}` and `%{...}` of a string, its braces left out."""
    while at < limit:
        if text.startswith(("$${", "%%{"), at):
            at += 3
        elif text.startswith(("${", "%{"), at):
            end = _end_of_template(text, at + 2, limit)
            yield from _code(text, at + 2, end - 1)
            at = end
        else:
            at += 2 if text[at] == "\\" else 1


def _end_of_template(text: str, at: int, limit: int) -> int:
    depth = 1
    while at < limit:
        if text[at] == '"':
            at = _end_of_string(text, at + 1, limit)
            continue
        depth += (text[at] == "{") - (text[at] == "}")
        at += 1
        if not depth:
            return at
    return limit


def _end_of_string(text: str, at: int, limit: int) -> int:
    while at < limit and text[at] != '"':
        if text.startswith(("$${", "%%{"), at):
            at += 3
        elif text.startswith(("${", "%{"), at):
            at = _end_of_template(text, at + 2, limit)
        else:
            at += 2 if text[at] == "\\" else 1
    return min(at + 1, limit)


def _end_of_heredoc(text: str, heredoc: re.Match[str]) -> int:
    end = re.compile(rf"^[ \t]*{re.escape(heredoc[1])}[ \t]*$", re.MULTILINE).search(text, heredoc.end())
    return end.end() if end is not None else len(text)


def _uncommented(line: str) -> str:
    return COMMENT.sub(lambda found: " " * len(found[0]), line)
