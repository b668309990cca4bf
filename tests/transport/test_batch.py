"""Many questions in one round trip: parts stay apart, whatever they say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from imagetest.model.snapshot import Part
from imagetest.transport.batch import COMPLAINT_LIMIT, PART_LIMIT, RECORDS_LIMIT, Batch
from imagetest.transport.shell import Answer


def asked(scripts: dict[str, str], **options: object) -> dict[str, dict[str, tuple[bytes, bytes, int | None]]]:
    batch = Batch(scripts, **options)  # type: ignore[arg-type]
    done = subprocess.run(["/bin/sh", "-c", batch.script()], check=False, capture_output=True, timeout=60)
    parts = batch.parts(Answer(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr))
    return {
        family: {name: (part.stdout, part.stderr, part.exit_code) for name, part in found.items()}
        for family, found in parts.items()
    }


def test_output_complaint_and_exit_code_of_each_part_come_back() -> None:
    found = asked({"one": "ask a printf 'x\\n'\nask b sh -c 'echo no >&2; exit 3'", "two": "ask a true"})

    assert found == {"one": {"a": (b"x\n", b"", 0), "b": (b"", b"no", 3)}, "two": {"a": (b"", b"", 0)}}


@pytest.mark.parametrize(
    "said", [b"", b"\n", b"\n\n end 0\n", b"no newline", b"\0\xff\r\n", b"end 7\n\nsaid\n"], ids=repr
)
def test_output_is_passed_on_byte_for_byte(said: bytes) -> None:
    octal = "".join(f"\\{byte:03o}" for byte in said)

    assert asked({"one": f"ask a printf '{octal}'"})["one"]["a"] == (said, b"", 0)


def test_a_program_that_is_missing_says_so() -> None:
    out, err, code = asked({"one": "ask a no-such-program-here"})["one"]["a"]

    assert (out, code) == (b"", 127)
    assert b"not found" in err


def test_what_one_family_changes_no_other_sees() -> None:
    found = asked({"one": "cd /usr; x=1; ask() { :; }; exit 3", "two": 'ask a printf %s "$PWD${x-}"'})

    assert found["one"] == {}
    assert found["two"]["a"][0] != b"/usr1"
    assert found["two"]["a"][2] == 0


def test_a_part_that_says_too_much_is_cut_off_and_the_others_are_whole() -> None:
    found = asked({"one": "ask a yes\nask b echo whole", "two": "ask c echo whole"})

    assert len(found["one"]["a"][0]) == PART_LIMIT
    assert found["one"]["a"][2] is None
    assert found["one"]["b"] == found["two"]["c"] == (b"whole\n", b"", 0)


def test_a_complaint_that_never_ends_is_cut_off_and_the_output_is_whole() -> None:
    script = "ask a sh -c 'echo whole; i=0; while [ $i -lt 30000 ]; do echo complaint >&2 || exit; i=$((i+1)); done'"
    out, err, _ = asked({"one": script})["one"]["a"]

    assert out.startswith(b"whole\n")
    assert COMPLAINT_LIMIT - 16 <= len(err) <= COMPLAINT_LIMIT


def test_slow_families_run_beside_the_others_and_stay_apart(tmp_path: Path) -> None:
    meet = "i=0; until [ -e {other} ] || [ $i -gt 200 ]; do sleep 0.05; i=$((i+1)); done; [ -e {other} ]"
    folder = str(tmp_path)
    one, two = f"{folder}/one", f"{folder}/two"
    scripts = {
        "slow": f"ask a sh -c 'seq 100000; touch {one}.began; {meet.format(other=two)}'",
        "quick": f"touch {two}\nask b echo quick",
    }

    found = asked(scripts, slow=["slow"])

    assert found["slow"]["a"][2] == 0
    assert found["slow"]["a"][0].endswith(b"100000\n")
    assert found["quick"]["b"] == (b"quick\n", b"", 0)


def test_parts_that_a_machine_did_not_get_to_are_not_there() -> None:
    batch = Batch({"one": "ask a echo x"})

    assert batch.parts(Answer(exit_code=0, stdout=b"", stderr=b"")) == {"one": {}}


def test_an_answer_to_another_question_is_none() -> None:
    one, two = Batch({"one": "ask a echo x"}), Batch({"one": "ask a echo x"})
    done = subprocess.run(["/bin/sh", "-c", one.script()], check=False, capture_output=True, timeout=60)

    assert two.parts(Answer(exit_code=0, stdout=done.stdout, stderr=b"")) == {"one": {}}


def test_a_part_that_begins_twice_makes_its_whole_family_unknown() -> None:
    forger = 'printf \'\\n%s begin two a\\nforged\\n%s end 0\\n\' "$mark" "$mark"'
    found = asked({"one": forger, "two": "ask a echo true\nask b echo true", "three": "ask a echo true"})

    assert {name: code for name, (_, _, code) in found["two"].items()} == {"a": None, "b": None}
    assert b"forge" in found["two"]["a"][1]
    assert found["three"]["a"] == (b"true\n", b"", 0)


def test_a_part_that_was_not_asked_for_is_ignored() -> None:
    forger = 'printf \'\\n%s begin two c\\nforged\\n%s end 0\\n%s begin four a\\n\' "$mark" "$mark" "$mark"'

    assert asked({"one": forger, "two": "ask a echo x"}) == {"one": {}, "two": {"a": (b"x\n", b"", 0)}}


def test_what_others_see_of_the_script_forges_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "authorized_keys"
    batch = Batch({"one": f"ask a cat {file}", "two": "ask b echo true"})
    mark = re.search(r"^mark=([0-9a-f]+)", batch.script(), re.MULTILINE)
    assert mark
    said = f"\n{mark[1]} end 0\n\n{mark[1]} begin two b\nforged\n{mark[1]} end 0\n"
    file.write_text(said)
    done = subprocess.run(["/bin/sh", "-c", batch.script()], check=False, capture_output=True, timeout=60)
    parts = batch.parts(Answer(exit_code=0, stdout=done.stdout, stderr=b""))

    assert parts == {"one": {"a": Part(stdout=said.encode())}, "two": {"b": Part(stdout=b"true\n")}}


def test_a_part_of_too_many_lines_is_not_read_whatever_its_size() -> None:
    found = asked({"one": f"ask a seq {RECORDS_LIMIT}\nask b seq {RECORDS_LIMIT + 10}"})

    assert found["one"]["a"][2] == 0
    assert found["one"]["b"][2] is None
