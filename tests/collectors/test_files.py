"""Files, their rights, and what another collector tells of them."""

from __future__ import annotations

import struct
import time

import pytest

from imagetest.collectors import capabilities
from imagetest.collectors.elsewhere import TABLE, responsible
from imagetest.collectors.files import FilesCollector
from imagetest.model.codec import decode_snapshot, encode_snapshot
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part, Snapshot
from imagetest.policy.drift import compare
from imagetest.policy.wording import words
from tests.collectors.conftest import Boots
from tests.collectors.recorded import OK, part, recorded, zeros
from tests.dockyard import Dockyard
from tests.drivers.images import INIT, server
from tests.nouns import NOW
from tests.test_architecture import ROOT

SUM = "f" * 64
HOSTS = f"1 0 8:1 /var/lib/docker/containers/{'a' * 64}/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"


def read(*found: str, sums: str = "", only: str = "all", **instead: Part) -> Family:
    listed = b"".join(zeros(*(one.split(" -> ") if " -> " in one else (one, ""))) for one in found)
    parts = {
        "asked": part(f"{only}\n"), "mounts": OK, "roots": part(listed), "sums": part(sums), "certificates": OK,
        "rights": OK, "capabilities": part("perl\n"), "scope": part("/etc\n/opt\n"), "homes": part("/root\n"),
    }  # fmt: skip
    return FilesCollector().read(parts | instead)


def test_a_recorded_debian_tells_its_files() -> None:
    found = FilesCollector().read(recorded("files"))

    assert found.gaps == ()
    assert found.facts["/etc/ssh/moduli"]["content"].startswith("573928 bytes, sha256 ")
    assert found.facts["/usr/bin/passwd"] == {
        "rights": "set-uid", "type": "file", "mode": "4755", "owner": "root", "group": "root",
    }  # fmt: skip
    assert "content" not in found.facts["/etc/ssh/sshd_config"]


def test_a_file_has_type_mode_owner_and_content_in_one() -> None:
    found = read("f 644 root adm 12 /opt/x", "d 2755 root root 4096 /opt/d", "l 777 a b 1 /opt/l -> x",
                 sums=f"{SUM}  /opt/x\n")  # fmt: skip

    assert found.facts == {
        "/opt/x": {
            "type": "file", "mode": "0644", "owner": "root", "group": "adm", "content": f"12 bytes, sha256 {SUM}",
        },
        "/opt/d": {"type": "directory", "mode": "2755", "owner": "root", "group": "root"},
        "/opt/l": {"type": "link", "owner": "a", "group": "b", "target": "x"},
    }  # fmt: skip
    assert found.gaps == ()


def test_busybox_tells_the_same_in_hexadecimal_digits() -> None:
    found = read("81a4 root root 12 /opt/x", "a1ff root root 1 /opt/l -> x", sums=f"{SUM}  /opt/x\n").facts

    assert (found["/opt/x"]["type"], found["/opt/x"]["mode"], found["/opt/l"]["type"]) == ("file", "0644", "link")


def test_a_file_that_was_not_read_is_a_gap_of_its_content() -> None:
    denied = part(stderr="sha256sum: /opt/x: Permission denied", code=1)
    listed = zeros("f 600 root root 12 /opt/x", "")
    parts = {"roots": part(listed), "asked": part("all"), "mounts": OK, "rights": OK, "certificates": OK}
    parts |= {"capabilities": part("perl\n"), "scope": OK, "homes": OK}

    for sums, reason in ((OK, "it could not be read"), (denied, "Permission denied")):
        found = FilesCollector().read(parts | {"sums": sums})
        assert found.gaps == (Gap(key="/opt/x", attribute="content", reason=reason),)


def test_a_file_that_vanishes_while_it_is_read_is_no_gap() -> None:
    gone = part(stderr="find: '/opt/x': No such file or directory", code=1)

    assert read(roots=gone).gaps == ()


def test_a_closed_folder_is_a_gap_for_all_below_it_and_told_once() -> None:
    closed = part(stderr="find: '/root': Permission denied", code=1)

    assert read(roots=closed, rights=closed).gaps == (Gap(key="/root/", reason="Permission denied"),)


def test_a_walk_that_failed_is_a_gap_for_everything() -> None:
    broken = part(stderr="find: unknown predicate", code=1)

    assert Gap(reason="find: unknown predicate") in read(roots=broken).gaps


def test_so_many_refusals_that_they_were_cut_off_are_a_gap_for_everything() -> None:
    many = part(stderr="find: '/a': Permission denied\n" * 3000, code=1)

    assert Gap(reason="more of it was refused than can be told") in read(roots=many).gaps


def test_a_name_with_a_line_break_has_its_content() -> None:
    found = read("f 644 root root 1 /opt/a\nb", sums=f"\\{SUM}  /opt/a\\nb\n")

    assert found.facts[r"/opt/a\x0ab"]["content"] == f"1 bytes, sha256 {SUM}"


def test_the_content_that_another_collector_tells_is_left_to_it() -> None:
    assert "content" not in read("f 644 root root 1 /etc/passwd").facts["/etc/passwd"]
    assert "content" not in read("f 600 root root 1 /root/.ssh/authorized_keys").facts["/root/.ssh/authorized_keys"]
    assert read("f 644 root root 1 /etc/cron.d/x").facts == {}
    assert read("f 666 root root 1 /etc/cron.d/x").facts["/etc/cron.d/x"]["mode"] == "0666"
    assert read("f 644 root root 1 /etc/ssl/x.pem", certificates=part(zeros("/etc/ssl/x.pem"))).facts == {}


def test_a_key_where_no_account_has_its_home_is_compared_by_content() -> None:
    file = "/opt/app/.ssh/authorized_keys"
    found = read(f"f 600 root root 1 {file}", sums=f"{SUM}  {file}\n")

    assert found.facts[file]["content"] == f"1 bytes, sha256 {SUM}"
    assert found.gaps == ()


def test_owners_with_blanks_in_their_names_are_told() -> None:
    found = read("f 644 ann domain users 1 /opt/x y", sums=f"{SUM}  /opt/x y\n").facts

    assert (found["/opt/x y"]["owner"], found["/opt/x y"]["group"]) == ("ann", "domain users")


def test_what_cannot_be_understood_of_a_file_is_a_gap() -> None:
    assert [one.key for one in read("f rw- root root 1 /opt/x").gaps] == [""]


@pytest.mark.parametrize(
    ("place", "kind", "keys"),
    [
        ("/opt", "tmpfs", ["/opt/"]),
        ("/opt/a\\040b", "nfs4", ["/opt/a b/"]),
        ("/etc", "overlay", ["/etc/"]),
        ("/opt/data", "ext4", []),
        ("/", "overlay", []),
        ("/option", "tmpfs", []),
        ("/home", "nfs", []),
        ("/run/lock", "tmpfs", []),
    ],
)
def test_a_folder_on_no_disk_of_the_machine_is_a_gap(place: str, kind: str, keys: list[str]) -> None:
    found = read(mounts=part(f"1 0 0:1 / {place} rw - {kind} x rw\n"))

    assert [one.key for one in found.gaps] == keys
    assert read(mounts=part(f"1 0 0:1 / {place} rw - {kind} x rw\n"), excluded=part("/opt\n/etc\n")).gaps == ()


@pytest.mark.docker
def test_the_whole_machine_may_be_the_scope(dockyard: Dockyard, boots: Boots) -> None:
    with boots(dockyard.build(*INIT)) as up:
        up.run("mkdir -p /var/x/.ssh /srv/x; echo key >/var/x/.ssh/authorized_keys; mount -t tmpfs x /srv/x")
        found = up.snapshot("files", "certificates", "keys", roots=("/",))
        files, certificates = found.family("files"), found.family("certificates")

    assert files is not None
    assert certificates is not None
    assert (certificates.gaps, "sha256" in files.facts["/var/x/.ssh/authorized_keys"]["content"]) == ((), True)
    assert "content" not in files.facts["/root/.ssh/authorized_keys"]
    assert {one.key for one in files.gaps} == {"/srv/x/"}


def test_a_collector_that_was_not_asked_tells_nothing() -> None:
    found = read("f 644 root root 1 /etc/cron.d/x", only="files\nkernel", sums=f"{SUM}  /etc/cron.d/x\n")

    assert found.facts["/etc/cron.d/x"]["content"] == f"1 bytes, sha256 {SUM}"


def test_every_collector_of_the_table_is_one() -> None:
    for one in TABLE:
        assert (ROOT / "collectors" / f"{one.collector}.py").is_file()
    assert responsible("/etc/shadow", {"accounts"})
    assert not responsible("/etc/shadow", {"groups"})
    assert not responsible("/etc/sudoers.d/x.bak", {"sudo"})


def test_what_docker_mounts_over_a_file_is_normalised_and_what_somebody_else_does_is_not() -> None:
    text = f"{SUM}  /etc/hosts\n"

    assert read("f 644 root root 9 /etc/hosts", sums=text, mounts=part(HOSTS)).facts["/etc/hosts"]["content"] == (
        "<docker-injected>"
    )
    assert read("f 644 root root 9 /etc/hosts", sums=text).facts["/etc/hosts"]["content"] == f"9 bytes, sha256 {SUM}"


# -- capabilities


def attribute(*words: int) -> str:
    return struct.pack(f"<{len(words)}I", *words).hex()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((0x02000001, 1 << 13, 0, 0, 0), "net_raw=ep"),
        ((0x02000000, 1 << 13, 0, 0, 0), "net_raw=p"),
        ((0x02000001, 1 << 10 | 1 << 7, 1 << 7, 0, 0), "net_bind_service=ep, setuid=eip"),
        ((0x03000001, 0, 0, 1 << 7, 0, 1000), "bpf=ep"),
        ((0x02000000, 0, 0, 0, 0), "none"),
        ((0x02000001,), "unreadable"),
    ],
)
def test_an_attribute_is_decoded(words: tuple[int, ...], told: str) -> None:
    record = f"{attribute(*words)} /usr/bin/x".encode() + b"\0"

    assert dict(capabilities.from_attribute(record)) == {b"/usr/bin/x": told}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/usr/bin/x cap_net_raw=ep", "net_raw=ep"),
        ("/usr/bin/x = cap_net_raw+ep", "net_raw=ep"),
        ("/usr/bin/x cap_setuid,cap_net_bind_service=ep", "net_bind_service=ep, setuid=ep"),
        ("/usr/bin/x cap_setuid=eip cap_net_raw+p", "net_raw=p, setuid=eip"),
    ],
)
def test_getcap_tells_the_same(line: str, told: str) -> None:
    assert dict(capabilities.from_getcap(f"{line}\n".encode())) == {b"/usr/bin/x": told}


def test_capabilities_are_attributes_of_their_file() -> None:
    record = f"{attribute(0x02000001, 1 << 13, 0, 0, 0)} /usr/bin/x".encode() + b"\0"
    found = read(capabilities=part(b"perl\n" + record))

    assert found.facts == {"/usr/bin/x": {"capabilities": "net_raw=ep"}}


# -- on a machine


def test_a_scope_is_quoted() -> None:
    assert "'/a b'" in FilesCollector().script(Scope(roots=("/a b",)))
    assert "-path '/x;y'" in FilesCollector().script(Scope(excluded=("/x;y",)))


@pytest.mark.docker
def test_what_is_listed_has_no_digest_until_it_changes(dockyard: Dockyard, boots: Boots) -> None:
    with boots(dockyard.build(*server())) as up:
        up.run("mkdir -p /srv/out; echo old >/srv/old; echo out >/srv/out/x; sleep 1.1")
        since = float(up.run("date +%s.%N"))
        time.sleep(0.1)
        up.run("echo new >/srv/new; chmod 600 /srv/old; echo more >>/etc/issue")
        up.run("mkdir /var/lib/docker; touch /var/lib/docker/x")
        found = up.snapshot("files", roots=(), listed=("/",), changed_since=since, excluded=("/srv/out",))
        files = found.family("files")

    assert files is not None
    assert files.gaps == ()
    assert files.facts["/bin/true" if "/bin/true" in files.facts else "/usr/bin/true"]["content"].endswith(" bytes")
    assert "sha256" in files.facts["/srv/new"]["content"]
    assert files.facts["/srv/old"]["mode"] == "0600"
    assert "sha256" in files.facts["/etc/issue"]["content"]
    assert "/srv/out" not in files.facts
    assert not [key for key in files.facts if key.startswith(("/proc/", "/sys/", "/dev/", "/run/", "/srv/out/"))]
    assert "/var/lib/docker/x" not in files.facts


def test_a_file_that_gets_a_set_uid_bit_is_not_said_to_be_new() -> None:
    def snapshot(rights: Part) -> Snapshot:
        return Snapshot(subject="web", taken=NOW, families=(read(rights=rights),))

    one, two = snapshot(OK), snapshot(part(zeros("f 6755 root root 9 /usr/bin/tar", "")))
    one, two = (decode_snapshot(encode_snapshot(each), origin="a file") for each in (one, two))
    (there,), (back,) = (compare(*pair, now=NOW).differences for pair in ((one, two), (two, one)))

    said = "(group root, mode 6755, owner root, rights set-uid and set-gid, type file)"
    assert words(there) == f"file /usr/bin/tar: more rights than its caller's were added {said}"
    assert words(back) == f"file /usr/bin/tar: more rights than its caller's are gone {said}"
