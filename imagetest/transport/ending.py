"""End a command that nobody waits for any more, where it runs: an SSH server without a terminal lets it run on."""

from __future__ import annotations

from contextlib import suppress

import paramiko

PATIENCE_SECONDS = 5.0
"""How long the far side may take to end what is to be ended."""

SCRIPT = r"""
all=" @PID@ " more=yes
kill -STOP @PID@ 2>/dev/null || exit 1
while [ "$more" ]; do
    more=
    for one in /proc/[0-9]*; do
        pid=${one#/proc/} parent=
        case $all in *" $pid "*) continue ;; esac
        while read -r key value; do
            [ "$key" = PPid: ] && parent=$value && break
        done 2>/dev/null <"$one/status"
        case $all in *" ${parent:-none} "*) kill -STOP "$pid" 2>/dev/null; all="$all$pid " more=yes ;; esac
    done
done
kill -KILL $all 2>/dev/null
exit 0
"""
"""Stops a process and all that come from it, until no new one is found, so that none can start another unseen; then
kills them. What a command has put under the care of process 1 is not found: it is a service now."""


def end(transport: paramiko.Transport, pid: int, *, start: str) -> bool:
    """Kill a shell and whatever it started, by another shell that `start` starts; say whether it was there to kill."""
    with suppress(paramiko.SSHException, EOFError, OSError):
        channel = transport.open_session(timeout=PATIENCE_SECONDS)
        try:
            channel.settimeout(PATIENCE_SECONDS)
            channel.exec_command(start)
            channel.sendall(SCRIPT.replace("@PID@", str(pid)).encode())
            channel.shutdown_write()
            return channel.status_event.wait(PATIENCE_SECONDS) and channel.recv_exit_status() == 0
        finally:
            channel.close()
    return False
