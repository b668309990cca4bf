"""Controls on the gallery's unit: that it comes up by itself, and how little its process may do."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control, not_applicable

CAP_SYS_ADMIN = 1 << 21
DANGEROUS = {"bpf", "init_module", "kexec_load", "mount", "open_by_handle_at", "pivot_root", "ptrace", "reboot"}
MAIN_PID = "pid=$(systemctl show --property=MainPID --value photoapp.service) && "


@control("photoapp-starts-at-boot")
def test_a_cold_boot_brings_the_gallery_up(host: Host) -> None:
    """Enabled, running, and not restarted once on the way."""
    shown = host.check_output(
        "systemctl show photoapp.service --property=LoadState,UnitFileState,ActiveState,SubState,NRestarts"
    )

    assert dict(line.split("=", 1) for line in shown.splitlines()) == {
        "LoadState": "loaded",
        "UnitFileState": "enabled",
        "ActiveState": "active",
        "SubState": "running",
        "NRestarts": "0",
    }


@control("photoapp-unprivileged")
def test_the_process_has_an_account_of_its_own_and_no_capability(host: Host) -> None:
    """The kernel's own record of the process says so, whatever the unit asked for."""
    done = host.run(MAIN_PID + "cat /proc/$pid/status && id -u photoapp")
    assert done.rc == 0, "photoapp.service has no running process"
    *lines, account = done.stdout.splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    capabilities = {name: int(value, 16) for name, value in status.items() if name.startswith("Cap")}

    assert account != "0"
    assert set(status["Uid"].split()) == {account}
    assert capabilities == dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0)
    assert status["NoNewPrivs"] == "1"


@control("photoapp-sandboxed")
def test_the_process_lives_in_a_sandbox(host: Host) -> None:
    """The mounts that the process really has: a container may lack the right to make any."""
    done = host.run(MAIN_PID + "sed -n 's/^CapBnd://p' /proc/1/status && cat /proc/$pid/mountinfo")
    assert done.rc == 0, "photoapp.service has no running process"
    rights, *lines = done.stdout.splitlines()
    if not int(rights, 16) & CAP_SYS_ADMIN:
        not_applicable("process 1 has no CAP_SYS_ADMIN in this container, so that no unit can have mounts of its own")
    mounts = {fields[4]: (fields[3], fields[5].split(",")) for fields in map(str.split, lines)}

    assert "ro" in mounts["/"][1], "the system is writable for the gallery"
    assert "-photoapp.service-" in mounts.get("/tmp", ("",))[0], "the gallery shares /tmp with everybody"  # noqa: S108
    assert "/root" in mounts, "the gallery can look into root's home"
    assert "/dev" in mounts, "the gallery has the machine's devices"


@control("photoapp-filtered")
def test_the_system_calls_of_the_process_are_filtered(host: Host) -> None:
    """The unit allows a list without the dangerous calls, and the kernel holds filters that process 1 does not have."""
    done = host.run(
        "systemctl show --property=SystemCallFilter --value photoapp.service && "
        + MAIN_PID
        + "sed -n 's/^Seccomp_filters://p' /proc/1/status /proc/$pid/status"
    )
    assert done.rc == 0, "photoapp.service has no running process"
    allowed, machine, gallery = done.stdout.splitlines()

    assert "accept4" in allowed.split(), "the unit names no system call that it allows"
    assert DANGEROUS.intersection(allowed.split()) == set()
    assert int(gallery) > int(machine)


@control("photoapp-cannot-change-itself")
def test_only_root_can_write_the_code_and_the_photographs(host: Host) -> None:
    """No file of the gallery belongs to, or opens itself to, anybody else."""
    unit = "/etc/systemd/system/photoapp.service"
    found = host.check_output(r"find /opt/photoapp %s \( -not -user root -o -perm /022 \) -not -type l -print", unit)

    assert found.splitlines() == []


@control("photoapp-one-port")
def test_the_account_listens_on_one_port(host: Host) -> None:
    """The kernel's tables list one socket without a peer for the gallery's account."""
    done = host.run(
        MAIN_PID + "id -u photoapp && setpriv --reuid=photoapp --regid=photoapp --clear-groups cat /proc/$pid/environ"
        " | tr '\\0' '\\n' | sed -n 's/^PHOTOAPP_PORT=/port /p'"
        " && cat /proc/$pid/net/tcp /proc/$pid/net/tcp6 /proc/$pid/net/udp /proc/$pid/net/udp6"
    )
    assert done.stdout, done.stderr
    account, *lines = done.stdout.splitlines()
    configured = [line.removeprefix("port ") for line in lines if line.startswith("port ")]
    sockets = [line.split() for line in lines if line.split()[0].endswith(":")]
    # A socket that is bound and has no peer: listening (0A) in TCP, unconnected (07) in UDP.
    ports = {
        int(socket[1].rpartition(":")[2], 16)
        for socket in sockets
        if socket[7] == account and socket[3] in {"0A", "07"}
    }

    assert ports == {int(configured[0]) if configured else 8080}
