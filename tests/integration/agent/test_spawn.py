# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real programs, friendly and hostile, started by the daemon's one place for that."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_loop import run_until

from _lvs_agent.script_commands import Commands, RefusedCommand
from _lvs_agent.spawn import Command, Finished, Spawner

pytestmark = pytest.mark.root

SECOND = 1_000_000_000
NOBODY = 65534


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    one = Spawner()
    yield one
    one.close()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can enter; pytest keeps its own closed to them."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def script(place: Path) -> Callable[..., str]:
    """Writes a script that anybody may run, and nobody may change."""

    def write(text: str, name: str = "script") -> str:
        path = place / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return write


def command(path: str, *arguments: str, uid: int = NOBODY) -> Command:
    return Command((path, *arguments), path, uid, uid, "nobody", "/nonexistent")


def run(spawner: Spawner, what: Command, timeout: float = 5, **more: Any) -> Finished:
    ended: list[Finished] = []
    spawner.start(what, time.monotonic_ns(), int(timeout * SECOND), ended.append, **more)
    run_until([spawner], lambda: ended, 15)
    return ended[0]


def test_what_a_script_finds(spawner: Spawner, script: Callable[..., str]) -> None:
    secret = os.open("/etc/shadow", os.O_RDONLY)
    path = script(
        'id -u; id -G; pwd; umask; env | sort | cut -d= -f1 | tr "\\n" " "; echo; ls /proc/self/fd | wc -w;'
        ' grep -E "Cap(Prm|Eff|Amb)" /proc/self/status; echo "$1"; ps -o pgid=,sid= $$; echo $$; cat; exit 3'
    )
    before = os.getcwd()
    end = run(spawner, command(path, "a 'b $(id)"), stdin=b"in")
    os.close(secret)
    assert end.status == 3
    lines = end.output.splitlines()
    assert lines[:4] == [str(NOBODY), str(NOBODY), "/", "0022"]
    assert lines[4].split() == ["HOME", "LOGNAME", "PATH", "PWD", "USER"]
    assert lines[5] == "4"  # 0, 1, 2, and the directory that ls reads
    assert [line.split()[1] for line in lines[6:9]] == ["0" * 16] * 3
    assert lines[9] == "a 'b $(id)"
    assert lines[10].split() == [lines[11], lines[11]]
    assert lines[12] == "in"
    assert os.getcwd() == before


def test_files_that_a_script_may_open(spawner: Spawner, script: Callable[..., str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 10, hard))  # as checks do for themselves
    try:
        end = run(spawner, command(script("ulimit -Sn; ulimit -Hn")))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft - 10, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert end.output.split() == [str(soft), str(hard) if hard != resource.RLIM_INFINITY else "unlimited"]


def test_a_command_that_is_not_there(spawner: Spawner) -> None:
    end = run(spawner, command("/nowhere/script"))
    assert end.status == 127
    assert "/nowhere/script" in end.output


def test_one_that_never_ends(spawner: Spawner, script: Callable[..., str]) -> None:
    child = f"sleep 1000.{os.getpid()}"  # of nobody else on this machine
    path = script(f"trap '' TERM; {child} & echo begun; while :; do sleep 1; done")
    told: list[tuple[float, int]] = []
    begun = time.monotonic()
    end = run(spawner, command(path), 0.5, on_timeout=lambda: told.append((time.monotonic(), spawner.running())))
    assert (end.status, end.timed_out, end.output) == (-signal.SIGKILL, True, "begun\n")
    # told at its timeout, not at its end
    assert (told[0][0] - begun >= 0.5, told[0][1]) == (True, 1)
    assert (end.ended_ns - end.started_ns) / SECOND >= 2.5
    # with its whole group
    left = subprocess.run(["pgrep", "-r", "R,S,D", "-f", child], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_one_that_leaves_something_running(spawner: Spawner, script: Callable[..., str], place: Path) -> None:
    mark = place / "mark"
    mark.touch()
    mark.chmod(0o666)
    path = script(f"(sleep 3; echo later; echo done >{mark}) & echo $!")
    end = run(spawner, command(path))
    assert mark.read_text() == ""  # that did not wait for it
    assert end.ok
    # nothing ended what it left, though nobody reads what it writes
    run_until([spawner], mark.read_text, 10)


def test_one_that_floods(spawner: Spawner, script: Callable[..., str]) -> None:
    end = run(spawner, command(script("yes | head -c 20000000; echo the end")), 30)
    assert end.output.endswith("the end\n")
    assert len(end.output) == 4096
    assert end.lost + 4096 == 20_000_000 + len("the end\n")


def test_one_that_dies_by_a_signal(spawner: Spawner, script: Callable[..., str]) -> None:
    end = run(spawner, command(script("kill -SEGV $$")))
    assert end.status == -signal.SIGSEGV
    assert str(end) == "was ended by SIGSEGV"


def test_no_zombie_and_no_file_is_left(spawner: Spawner, script: Callable[..., str]) -> None:
    path = script("exit 0")
    gc.collect()  # what other tests left
    before = set(os.listdir("/proc/self/fd"))
    ended: list[Finished] = []
    pids = [spawner.start(command(path), time.monotonic_ns(), 0, ended.append).pid for _each in range(100)]
    run_until([spawner], lambda: len(ended) == 100, 60)
    assert all(end.ok for end in ended)
    assert set(os.listdir("/proc/self/fd")) <= before
    # of these: the process that runs the tests may have other children
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_the_death_of_the_daemon_is_theirs(script: Callable[..., str], place: Path) -> None:
    pid_file = place / "pid"
    pid_file.touch()
    pid_file.chmod(0o666)
    path = script(f"echo $$ >{pid_file}; exec sleep 1000")
    parent = os.fork()
    if not parent:
        Spawner().start(command(path), time.monotonic_ns(), 0, print)
        time.sleep(1000)
    run_until([], pid_file.read_text, 5)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    run_until([], lambda: not Path(f"/proc/{pid_file.read_text().strip()}/fd").exists(), 5)


@pytest.mark.parametrize(
    "mode, secure, user, reason",
    [
        (0o777, True, "nobody", "is writable by everybody (mode 0777)"),
        (0o777, False, "root", "is writable by everybody (mode 0777)"),
        (0o700, True, "nobody", "may not run"),
        (0o755, True, "nobody", None),
        (0o755, True, "root", None),
    ],
)
def test_script_security(script: Callable[..., str], mode: int, secure: bool, user: str, reason: str | None) -> None:
    path = script("true")
    os.chmod(path, mode)
    commands = Commands(user, secure)
    if reason is None:
        assert commands.command(f"{path} 'a b'").argv == (path, "a b")
        return
    with pytest.raises(RefusedCommand) as refused:
        commands.command(path)
    assert path in str(refused.value)
    assert reason in str(refused.value)


def test_a_directory_on_the_way(script: Callable[..., str]) -> None:
    path = script("true")
    directory = Path(path).parent
    directory.chmod(0o777)
    with pytest.raises(RefusedCommand, match=rf"{directory} is writable by everybody \(mode 0777\)"):
        Commands("nobody").command(path)
    # sticky: others can add files, and not exchange ours
    directory.chmod(0o1777)
    Commands("nobody").command(path)
    link = directory / "link"
    link.symlink_to(path)
    assert Commands("nobody").command(str(link)).program == path
    os.chown(path, NOBODY, NOBODY)
    Commands("root", False).command(path)
    with pytest.raises(RefusedCommand, match=f"it runs as root, and {path} belongs to user {NOBODY}"):
        Commands("root", True).command(path)


UNPRIVILEGED = """
import sys, time
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[2])
from agent_loop import run_until
from _lvs_agent.script_commands import Commands, RefusedCommand
from _lvs_agent.spawn import Spawner
spawner, ended = Spawner(), []
try:
    command = Commands(sys.argv[3]).command("/bin/cat /proc/self/status")
except RefusedCommand as refused:
    print(refused)
    raise SystemExit
spawner.start(command, time.monotonic_ns(), 10**10, ended.append)
run_until([spawner], lambda: ended)
print(ended[0].output)
print("ours", *[line.split()[1] for line in open("/proc/self/status") if line.startswith("CapAmb")])
"""


@pytest.mark.parametrize(
    "user, capabilities, expected",
    [
        ("daemon", "+net_admin", "Uid:\t1\t1\t1\t1"),
        ("bin", "+net_admin,+kill,+setuid,+setgid", "Uid:\t2\t2\t2\t2"),
        ("bin", "+net_admin", "give its unit CAP_KILL, CAP_SETGID, CAP_SETUID"),
    ],
)
def test_a_daemon_that_is_not_root(user: str, capabilities: str, expected: str, place: Path) -> None:
    root = Path(__file__).parents[3]
    copy = place / "library"
    shutil.copytree(root / "plugins/module_utils/_lvs_agent", copy / "_lvs_agent")
    shutil.copy(root / "tests/support/agent_loop.py", copy)
    said = subprocess.run(
        [
            "setpriv",
            "--reuid=1",
            "--regid=1",
            "--clear-groups",
            f"--inh-caps={capabilities}",
            f"--ambient-caps={capabilities}",
            "/usr/bin/python3",
            "-I",
            "-c",
            UNPRIVILEGED,
            copy,
            copy,
            user,
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert expected in said
    if "Uid" in expected:
        held = {line.split()[0]: line.split()[1] for line in said.splitlines() if line.startswith(("Cap", "ours"))}
        assert {held[name] for name in ("CapInh:", "CapPrm:", "CapEff:", "CapAmb:")} == {"0" * 16}
        assert int(held["ours"], 16) & 1 << 12  # ours is still CAP_NET_ADMIN


def test_what_an_exchanged_program_left_running_is_no_zombie_for_ever(spawner: Spawner) -> None:
    ended: list[Finished] = []
    first = spawner.start(command("/bin/sleep", "0.5"), time.monotonic_ns(), 0, ended.append)
    # as after exec: the same process, and another Spawner that knows nothing
    successor = Spawner()
    run_until([successor], lambda: successor.running() == 0)
    assert not Path(f"/proc/{first.pid}").exists()
    successor.close()
    run_until([spawner], lambda: ended)
