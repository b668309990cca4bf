"""The Packer builder: find out what a bake depends on, run it, and tell what came of it."""

from __future__ import annotations

import fnmatch
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from imagetest.builders.packer import access, amazon, artifacts, derived, ingredients
from imagetest.builders.packer.stream import Transcript, escaped, parse
from imagetest.builders.packer.template import Block, Template, read
from imagetest.builders.packer.temporary import Temporary
from imagetest.errors import BakeError, ConfigError, ProcessError
from imagetest.execute import engine, process
from imagetest.execute.leases import SCRATCH
from imagetest.execute.redact import Redactor
from imagetest.model.plan import BakeOrder
from imagetest.ports import Artifact, Claim, Event, Ingredients, Progress

PROGRAM = "packer"

LONGEST = 107 - len("/imagetest-packer-12345678/packer-plugin1234567890")
"""Bytes of a folder's name that leave room for the name of a socket (unix(7)) of one of Packer's plugins."""

WITH_INIT = (1, 7)
"""The first version that has `packer init`."""

WITHOUT_PLUGINS = (1, 10)
"""The first version that brings no plugins of its own."""


class PackerBuilder:
    """Drives the `packer` that the user has, 1.6 or newer."""

    name = PROGRAM

    def __init__(self) -> None:
        self._asked: Future[str] | None = None

    @property
    def _version(self) -> str:
        return self._ask_version().result()

    def _ask_version(self) -> Future[str]:
        """Ask once and without waiting: Packer takes a tenth of a second to say it, in which much else can be done."""
        if self._asked is None:
            worker = ThreadPoolExecutor(max_workers=1)
            self._asked = worker.submit(self._find_version)
            worker.shutdown(wait=False)
        return self._asked

    def _find_version(self) -> str:
        if shutil.which(PROGRAM) is None:
            raise ProcessError(
                "'packer' is not installed", hint="get it from https://developer.hashicorp.com/packer/install"
            )
        done = process.run(PROGRAM, "version", "-machine-readable", env=_environment())
        messages = [parse(line.encode()) for line in done.stdout.splitlines()]
        found = [one.data[0] for one in messages if one is not None and one.kind == "version" and one.data]
        if not found:
            raise ProcessError(f"'packer version' did not say a version: {(done.stdout + done.stderr).strip()}")
        return found[0]

    def version(self) -> str:
        """Return Packer's version."""
        return self._version

    def sources(self, order: BakeOrder) -> tuple[str, ...]:
        """Return the names of the sources to bake."""
        self._ask_version()
        return tuple(source.name for source in _chosen(_template(order), order))

    def ingredients(self, order: BakeOrder) -> tuple[Ingredients, ...]:
        """Return what each source depends on."""
        template = _template(order)
        made_by = " ".join([f"packer {self._version}", *self._plugins()])
        return tuple(
            ingredients.gather(template, source, order, builder=made_by, base=_base_digest)
            for source in _chosen(template, order)
        )

    def build(
        self,
        order: BakeOrder,
        sources: Sequence[str],
        *,
        log: Path,
        secrets: Sequence[str],
        progress: Progress,
        claim: Claim,
    ) -> tuple[Artifact, ...]:
        """Bake some sources."""
        template = _template(order)
        made = self._run(
            order, template, sources, log=log, secrets=secrets, progress=progress, claim=claim,
            init=bool(template.plugins), path=lambda _folder: order.template,
        )  # fmt: skip
        return tuple(made[source.name] for source in template.sources if source.name in sources)

    def repeat(
        self,
        order: BakeOrder,
        source: str,
        *,
        base: str,
        log: Path,
        secrets: Sequence[str],
        progress: Progress,
        claim: Claim,
    ) -> Artifact:
        """Bake one source by a template made of the order's, which has no post-processors."""
        template = _template(order)
        chosen = next(one for one in template.sources if one.name == source)

        def path(folder: Path) -> Path:
            folder.mkdir()
            return derived.write(template, chosen, folder, path=order.template, base=base)

        made = self._run(
            order, template, [source], log=log, secrets=secrets, progress=progress, claim=claim, init=False, path=path
        )  # fmt: skip
        return made[source]

    def _run(
        self,
        order: BakeOrder,
        template: Template,
        sources: Sequence[str],
        *,
        log: Path,
        secrets: Sequence[str],
        progress: Progress,
        claim: Claim,
        init: bool,
        path: Callable[[Path], Path],
    ) -> dict[str, Artifact]:
        """Run Packer on the template that `path` gives; it may write it into a folder that is gone afterwards."""
        lines = [line for secret in secrets for line in (secret, *secret.splitlines())]
        redact = Redactor([*secrets, *map(escaped, lines)])
        where, copied = _regions(template, sources, order, progress)
        temporary = Temporary(where, copied=copied, claim=claim, progress=progress)

        def show(source: str, text: str, detail: bool) -> None:  # noqa: FBT001 - a callback's plain flag
            progress(Event(subject=source, text=redact(text), detail=detail))
            temporary.hear(source, text)

        heard = Transcript(
            show=show,
            started=lambda container: claim("docker", container),
        )
        with (
            _scratch(claim) as scratch,
            log.open("w", encoding="utf-8") as file,
        ):
            found = path(Path(scratch) / "template")

            def run(argv: list[str]) -> int:
                def hear(line: bytes) -> None:
                    file.write(redact(line.decode(errors="replace")))
                    heard.line(line)

                return process.stream(argv, on_line=hear, cwd=order.project, env={**_environment(), "TMPDIR": scratch})

            try:
                if init and self._at_least(WITH_INIT):
                    run(_init(order))  # a downloader, not a judge: the plugins may be there without a network
                code = run(_build(order, template, sources, found))
            finally:
                temporary.close()
                _remove(heard.containers)
        chosen = [source for source in template.sources if source.name in sources]
        made = {
            one.name: artifacts.made_of(one, heard, order.project, where.get(one.name, ""), progress) for one in chosen
        }
        if code or None in made.values():
            said = redact(_said(heard))
            raise BakeError(f"the bake of {order.name!r} failed: {said}", hint=self._hint(said, log))
        for one in chosen:
            temporary.own(one.name, artifacts.copies_of(one, heard, where.get(one.name, "")))
        return {name: one for name, one in made.items() if one is not None}

    def _hint(self, said: str, log: Path) -> str:
        text = " ".join(said.split())
        if "plugin" in text and ("not installed" in text or "unknown by Packer" in text):
            return "get it by 'packer init TEMPLATE', or for JSON 'packer plugins install github.com/hashicorp/docker'"
        if "required_plugins" in text and not self._at_least(WITH_INIT):
            return (
                f"Packer {self._version} knows no required_plugins: keep it in a file of its own, or use 1.7 or newer"
            )
        if "Output directory" in text and "exists" in text:
            return (
                "a disk that was baked before is there, and nothing is baked over it: remove it, or give "
                "output_directory a name that changes with what is baked"
            )
        if "Error pulling Docker image" in text:
            return "can the registry be reached? an image that is only in this engine needs pull = false in its source"
        return f"all that Packer said is in {log}"

    def _at_least(self, version: tuple[int, int]) -> bool:
        numbers = [int(one) for one in re.findall(r"\d+", self._version)[:2]]
        return tuple(numbers) >= version

    def _plugins(self) -> list[str]:
        """Return the installed plugins with their versions, where Packer brings none of its own."""
        if not self._at_least(WITHOUT_PLUGINS):
            return []
        done = process.run(PROGRAM, "plugins", "installed", env=_environment())
        return sorted(Path(line).name for line in done.stdout.splitlines() if line.strip())


def _template(order: BakeOrder) -> Template:
    """Read the template once, whichever of its sources are asked for."""
    return _read(replace(order, name="", sources=(), excluded=()))


@lru_cache(maxsize=8)
def _read(order: BakeOrder) -> Template:
    """Read the template; where it cannot be read, Packer's own words say why."""
    try:
        return read(order)
    except ConfigError as error:
        if shutil.which(PROGRAM) is None:
            raise
        argv = [PROGRAM, "validate", "-syntax-only", str(order.template)]
        done = process.run(*argv, cwd=order.project, env=_environment())
        said = _first_line(done.stdout + done.stderr) if done.exit_code else ""
        if not said:
            raise
        raise ConfigError(
            f"{order.template} is not valid: {said}", hint=f"'packer validate {order.template}' repeats it"
        ) from error


def _chosen(template: Template, order: BakeOrder) -> list[Block]:
    """Return the sources that the order names, by `only` and `except`; patterns are allowed."""
    known = [source.name for source in template.sources]
    if not known:
        raise ConfigError(f"{order.template} has no source to bake", hint="a build block needs 'sources'")
    for pattern in (*order.sources, *order.excluded):
        if not fnmatch.filter(known, pattern):
            raise ConfigError(f"unknown source {pattern!r} of {order.template.name} (known: {', '.join(known)})")
    chosen = [
        source
        for source in template.sources
        if (not order.sources or any(fnmatch.fnmatch(source.name, one) for one in order.sources))
        and not any(fnmatch.fnmatch(source.name, one) for one in order.excluded)
    ]
    for name in {one.name for one in chosen if [two.name for two in chosen].count(one.name) > 1}:
        raise ConfigError(
            f"{order.template.name} bakes {name!r} twice",
            hint="give its build blocks names, so that they can be told apart",
        )
    if not chosen:
        raise ConfigError(f"'only' and 'except' of {order.name!r} leave no source of {order.template.name}")
    return chosen


@contextmanager
def _scratch(claim: Claim) -> Iterator[str]:
    """Give Packer a folder of its own for temporary files, which goes with it."""
    folder = Path(_short(tempfile.gettempdir())) / f"{SCRATCH}{secrets.token_hex(4)}"
    claim("folder", str(folder))
    folder.mkdir(mode=0o700)
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short(folder: str) -> str:
    """Return the folder, or /tmp where Packer's sockets would get longer names than a socket may have, and crash it."""
    return folder if len(os.fsencode(folder)) <= LONGEST else "/tmp"  # noqa: S108 - a folder of our own is made in it


def _regions(
    template: Template, sources: Sequence[str], order: BakeOrder, progress: Progress
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the region of each source that makes an AMI, and those of its copies.

    Either name is there by which Packer reports a source. Raises ConfigError where a region cannot be known, or is
    another account's than this user's: what is made in an account is leased there first.
    """
    where, copied = dict[str, str](), dict[str, tuple[str, ...]]()
    chosen = [one for one in template.sources if one.name in sources and one.type in amazon.TYPES]
    for one in chosen:
        scope = ingredients.scope_of(template, order)
        region = amazon.region(one, scope)
        if not region:
            raise ConfigError(
                f"source {one.name!r} of {order.template} is baked in a region that cannot be known",
                hint="write its region plainly or as a variable, or set AWS_REGION",
            )
        if why := access.untold(one, scope, region):
            said = f"it must bake in the account that this user's credentials are for, which cannot be told: {why}"
            progress(Event(subject=one.name, text=said))
        for name in (one.name, f"{one.type}.{one.name}"):
            where[name], copied[name] = region, amazon.copied_to(one, scope)
    return where, copied


def _init(order: BakeOrder) -> list[str]:
    return [PROGRAM, "init", "-machine-readable", str(order.template)]


def _build(order: BakeOrder, template: Template, sources: Sequence[str], path: Path) -> list[str]:
    argv = [PROGRAM, "build", "-machine-readable"]
    if len(sources) < len(template.sources):
        argv.append(f"-only={','.join(sources)}")
    argv += [f"-var-file={path}" for path in order.var_files]
    for name, value in order.variables:
        argv += ["-var", f"{name}={value}"]
    return [*argv, str(path)]


def _environment() -> dict[str, str]:
    """Return an environment in which Packer calls nobody and publishes nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HCP_", "PACKER_LOG"))}
    return {**kept, "CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}


def _base_digest(reference: str, pull: bool) -> tuple[str, str]:  # noqa: FBT001 - a callback's plain flag
    """Look a base image up: in its registry where Packer will pull it, else in this engine."""
    with engine.session() as client:
        if pull:
            try:
                found = client.inspect_distribution(reference)
                return str(found["Descriptor"]["digest"]), ""
            except Exception:  # noqa: BLE001 - whatever a registry and the way to it can answer
                return "", f"the registry does not say what the base image {reference!r} is now"
        try:
            return str(client.inspect_image(reference)["Id"]), ""
        except engine.ImageNotFound:
            return "", f"the base image {reference!r} is not there yet"


def _remove(containers: set[str]) -> None:
    """Remove the containers of a bake that are still there, as after a second interrupt."""
    if not containers:
        return
    with engine.session() as client:
        for container in containers:
            try:
                client.remove_container(container, force=True, v=True)
            except engine.APIError:
                continue  # Packer removed it, as it should


def _said(heard: Transcript) -> str:
    """Return why a bake failed, in Packer's words."""
    errors = [_error(source, text, heard) for source, texts in heard.errors.items() for text in texts]
    return "; ".join(dict.fromkeys(errors)) or _relevant(heard.said) or "Packer reported no error"


def _error(source: str, text: str, heard: Transcript) -> str:
    """Return a source's error, with what it complained of last: Packer's own words seldom say why."""
    before = [
        one
        for one in heard.complaints.get(source, [])
        if one and one not in text and not one.startswith("Provisioning step had")
    ]
    return f"{source}: {text}" + (f" (it said: {before[-1][-300:]})" if before else "")


def _first_line(text: str) -> str:
    return " ".join(text.split())[:400]


def _relevant(said: list[str]) -> str:
    """Return the errors that Packer printed outside of any source, without its closing remarks."""
    lines = [" ".join(one.split()) for one in said]
    return "; ".join(dict.fromkeys(one for one in lines if not one.startswith("==>")))[:1000]
