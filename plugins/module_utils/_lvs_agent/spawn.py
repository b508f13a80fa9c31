# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that starts other programs: scripts of all kinds, and our own helpers.

A program gets no shell, a clean environment, ``/`` as its directory, a session and process group of its own, no open
files but its output, none of our capabilities, and SIGTERM when we die, as with keepalived. Its output is read as far
as it is of use to anybody, its end is noticed whatever it left running, and past its time-out its whole group is
ended.

posix_spawn(3) starts setpriv(1), which becomes the user and then the program: 0.1 ms of our loop, whatever memory we
have. Measured beside it: subprocess with ``user`` forks, 1 ms at 38 MB and 3 ms at 130 MB.
"""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import contextlib
import ctypes
import heapq
import os
import resource
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

SECOND = 1_000_000_000
NEVER = 1 << 63  # a deadline that never comes, as the supervisor's loop has it
GRACE = 2 * SECOND  # between SIGTERM and SIGKILL, as keepalived
_SETPRIV = "/usr/bin/setpriv"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OUTPUT = 4096  # bytes of output that are kept, the last ones
_READ = 65536  # bytes read at once, so that one that floods does not keep the others waiting
_MOST_LEFT_BEHIND = 64  # pipes kept for what programs that ended left running
_PR_CAP_AMBIENT = 47  # linux/prctl.h
_PR_CAP_AMBIENT_IS_SET, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 1, 2, 4
_LAST_CAPABILITY = 63
_TO_BECOME_OTHERS = (6, 7)  # CAP_SETGID and CAP_SETUID of capabilities(7)
# Python ignores some, and what is ignored stays so in a new program; 32 and 33 are the C library's own
_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


@dataclass(frozen=True)
class Command:
    """A program with its arguments, and whom it runs as. ``program`` is the path that was found safe.

    ``groups``: with all groups of the user. ``privileged``: False takes away even what root has, for helpers of ours.
    """

    argv: tuple[str, ...]
    program: str
    uid: int
    gid: int
    user: str = ""
    home: str = "/"
    groups: bool = False
    privileged: bool = True

    def __str__(self) -> str:
        """The words, for people."""
        return " ".join(self.argv)


@dataclass(frozen=True)
class Finished:
    """How a program ended: its exit ``status``, or the negative number of the signal that ended it.

    ``asked``: we told it to end, when ``timed_out`` for its time was over. ``output`` is the end of what it wrote,
    ``lost`` the number of bytes before that. Times are CLOCK_MONOTONIC.
    """

    status: int
    asked: bool
    timed_out: bool
    output: str
    lost: int
    started_ns: int
    ended_ns: int

    @property
    def ok(self) -> bool:
        """It succeeded, and in time."""
        return self.status == 0 and not self.timed_out

    def __str__(self) -> str:
        """In words."""
        if self.timed_out:
            return f"did not end within {(self.ended_ns - self.started_ns) / SECOND:.1f} s"
        if self.status < 0:
            return f"was ended by {_signal_name(-self.status)}"
        return f"ended with exit status {self.status}"


@dataclass
class Child:
    """A program that runs."""

    pid: int
    command: Command
    started_ns: int
    on_end: Callable[[Finished], None] = field(repr=False)
    on_timeout: Callable[[], None] | None = field(repr=False)
    pidfd: int = -1
    pipe: int = -1
    output: bytearray = field(default_factory=bytearray, repr=False)
    lost: int = 0
    timed_out: bool = False
    asked: int = 0  # signals sent so far


_UNKNOWN = Command((), "", -1, -1)


class Spawner:
    """All programs that run; a source of the supervisor's loop. Nobody else may wait for any child, whatever it is."""

    def __init__(self, umask: int = 0o022, environment: Mapping[str, str] | None = None) -> None:
        self.umask = umask
        self._environment = dict(environment or {})
        self._epoll = select.epoll()
        self._ends: dict[int, Child] = {}
        self._pipes: dict[int, Child] = {}
        self._left: dict[int, None] = {}
        self._due: list[tuple[int, int, Child]] = []
        self._number = count()
        self._ambient = _ambient_capabilities()
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # checks may raise it for themselves
        _keep_what_we_inherited()
        for pid in _left_running():
            self._watch(Child(pid, _UNKNOWN, 0, _nobody, None))

    def fileno(self) -> int:
        """To be watched for reading."""
        return self._epoll.fileno()

    def deadline_ns(self) -> int:
        """When ``handle`` is to be called at the latest."""
        while self._due and self._due[0][2].pidfd < 0:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else NEVER

    def running(self) -> int:
        """How many programs run."""
        return len(self._ends)

    def start(
        self,
        command: Command,
        now: int,
        timeout_ns: int,
        on_end: Callable[[Finished], None],
        *,
        on_timeout: Callable[[], None] | None = None,
        stdin: bytes = b"",
    ) -> Child:
        """Start a program; 0 for no time-out. ``on_end`` is called by ``handle``, ``on_timeout`` before it.

        A program that cannot be executed ends with status 126 or 127, and setpriv(1)'s words for output. Raises
        OSError when not even that can be started.
        """
        with contextlib.ExitStack() as close:
            reading, writing = os.pipe()
            close.callback(os.close, writing)
            undo = close.enter_context(contextlib.ExitStack())
            undo.callback(os.close, reading)
            source = close.enter_context(_input(stdin))
            with self._surroundings(command):
                pid = os.posix_spawn(
                    _SETPRIV,
                    _arguments(command),
                    {"PATH": _PATH, "HOME": command.home, "USER": command.user, "LOGNAME": command.user}
                    | self._environment,
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, source, 0),
                        (os.POSIX_SPAWN_DUP2, writing, 1),
                        (os.POSIX_SPAWN_DUP2, writing, 2),
                    ],
                    setsid=True,
                    setsigmask=[],
                    setsigdef=_SIGNALS,
                )
            undo.pop_all()
        os.set_blocking(reading, False)
        child = Child(pid, command, now, on_end, on_timeout, pipe=reading)
        self._watch(child)
        self._pipes[reading] = child
        self._epoll.register(reading, select.EPOLLIN)
        if timeout_ns:
            self._at(now + timeout_ns, child)
        return child

    def stop(self, child: Child, now: int) -> None:
        """SIGTERM to its group now, SIGKILL when that did not help."""
        if child.pidfd >= 0 and not child.asked:
            child.asked = 1
            _signal_group(child.pid, signal.SIGTERM)
            self._at(now + GRACE, child)

    def stop_all(self, now: int) -> None:
        """Stop everything that runs; their ends are told by ``handle`` as ever."""
        for child in list(self._ends.values()):
            self.stop(child, now)

    def handle(self, now_ns: int) -> None:
        """Read output, tell of ends, end what is late; whatever there is to do without waiting."""
        # output before ends, so that the last words of a program are with its end
        ready = [number for number, _event in self._epoll.poll(0)]
        for number in ready:
            if number in self._pipes:
                self._read(number)
            elif number in self._left:
                self._drain(number)
        for number in ready:
            if number in self._ends:
                self._end(self._ends[number], now_ns)
        while self._due and self._due[0][0] <= now_ns:
            self._late(heapq.heappop(self._due)[2], now_ns)

    def close(self) -> None:
        """End everything at once."""
        for child in list(self._ends.values()):
            _signal_group(child.pid, signal.SIGKILL)
            child.on_end, child.on_timeout = _nobody, None
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            self._end(child, child.started_ns)
        for number in list(self._left):
            self._forget(number)
        self._epoll.close()

    @contextlib.contextmanager
    def _surroundings(self, command: Command) -> Iterator[None]:
        """What a new program inherits and posix_spawn(3) cannot set: directory, umask, limit, ambient capabilities.

        Of these setpriv(1) gets what it needs to become another user; it passes none on.
        """
        here = os.open(".", os.O_PATH | os.O_DIRECTORY)
        umask = os.umask(self.umask)
        files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            if files != self._files:
                # select(2) in a program that sees a high one breaks; what is open already stays so
                resource.setrlimit(resource.RLIMIT_NOFILE, (self._files, most))
            os.chdir("/")
            if self._ambient:
                _prctl(_PR_CAP_AMBIENT_CLEAR_ALL)
                for capability in _TO_BECOME_OTHERS if _is_another(command) else ():
                    _prctl(_PR_CAP_AMBIENT_RAISE, capability)
            yield
        finally:
            if files != self._files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
            os.umask(umask)
            os.fchdir(here)
            os.close(here)
            for capability in self._ambient:
                _prctl(_PR_CAP_AMBIENT_RAISE, capability)

    def _watch(self, child: Child) -> None:
        child.pidfd = os.pidfd_open(child.pid)
        self._ends[child.pidfd] = child
        self._epoll.register(child.pidfd, select.EPOLLIN)

    def _at(self, when: int, child: Child) -> None:
        heapq.heappush(self._due, (when, next(self._number), child))

    def _late(self, child: Child, now: int) -> None:
        """Its time is over, or the time after a signal."""
        if child.pidfd < 0:
            return
        if child.asked == 0:
            child.timed_out = True
            self.stop(child, now)
            if child.on_timeout is not None:
                child.on_timeout()
            return
        # what not even SIGKILL ends hangs in the kernel: no use in asking often
        child.asked += 1
        _signal_group(child.pid, signal.SIGKILL)
        self._at(now + 5 * GRACE, child)

    def _read(self, number: int) -> bool:
        """Take some of the output; whether there may be more."""
        child = self._pipes[number]
        try:
            data = os.read(number, _READ)
        except BlockingIOError:
            return False
        if not data:
            self._close_pipe(child)
            return False
        child.output += data
        too_much = len(child.output) - _OUTPUT
        if too_much > 0:
            child.lost += too_much
            del child.output[:too_much]
        return True

    def _end(self, child: Child, now: int) -> None:
        if child.pipe >= 0:
            self._read(child.pipe)
        if child.asked:
            # its number stays taken until we have waited for it, so this meets nobody else
            _signal_group(child.pid, signal.SIGKILL)
        status = _wait(child.pid)
        self._epoll.unregister(child.pidfd)
        os.close(child.pidfd)
        del self._ends[child.pidfd]
        child.pidfd = -1
        if child.pipe >= 0:
            self._leave(child.pipe)
            child.pipe = -1
        output = child.output.decode("utf-8", "replace")
        child.on_end(Finished(status, bool(child.asked), child.timed_out, output, child.lost, child.started_ns, now))

    def _close_pipe(self, child: Child) -> None:
        del self._pipes[child.pipe]
        self._epoll.unregister(child.pipe)
        os.close(child.pipe)
        child.pipe = -1

    def _leave(self, number: int) -> None:
        """Keep the pipe for what the program left running, which closing it would end when it next writes."""
        del self._pipes[number]
        self._left[number] = None
        if len(self._left) > _MOST_LEFT_BEHIND:
            self._forget(next(iter(self._left)))

    def _drain(self, number: int) -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(number, _READ):
                self._forget(number)

    def _forget(self, number: int) -> None:
        del self._left[number]
        self._epoll.unregister(number)
        os.close(number)


def last_line(output: str) -> str:
    """The last line of what a program wrote, to be put behind a sentence about its end; "" without one."""
    lines = output.strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""


def _arguments(command: Command) -> list[str]:
    """setpriv(1)'s command line."""
    words = [_SETPRIV, "--pdeathsig=TERM", "--inh-caps=-all", "--ambient-caps=-all"]
    if _is_another(command):
        words += [f"--reuid={command.uid}", f"--regid={command.gid}"]
        words.append("--init-groups" if command.groups else "--clear-groups")
    if not command.privileged:
        words += ["--no-new-privs", *(["--bounding-set=-all"] if os.geteuid() == 0 else [])]
    return [*words, "--", command.program, *command.argv[1:]]


def _is_another(command: Command) -> bool:
    """Whether its user or groups may be others than ours."""
    return os.geteuid() == 0 or (command.uid, command.gid) != (os.geteuid(), os.getegid())


@contextlib.contextmanager
def _input(data: bytes) -> Iterator[int]:
    """A file with these bytes, for a program's standard input."""
    number = os.memfd_create("input") if data else os.open(os.devnull, os.O_RDONLY)
    try:
        if data:
            os.write(number, data)
            os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)


def _signal_group(pid: int, number: int) -> None:
    # it ended just now, or is another user's and we have no CAP_KILL
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _wait(pid: int) -> int:
    """The exit status of a program that has ended, negative for a signal."""
    try:
        _pid, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return -signal.SIGKILL  # somebody else waited for it: nobody knows how it ended
    return os.waitstatus_to_exitcode(status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _keep_what_we_inherited() -> None:
    """Files that our own parent left open are not for scripts; Python sees to those we opened."""
    for number in [int(name) for name in os.listdir("/proc/self/fd")]:
        if number > 2:
            # the one that listdir had is closed by now
            with contextlib.suppress(OSError):
                os.set_inheritable(number, False)


def _left_running() -> list[int]:
    """Programs that were started before this process became another program by exec: children with own sessions."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [pid for pid in map(int, file.read().split()) if os.getsid(pid) == pid]
    return []


def _ambient_capabilities() -> list[int]:
    """Those a program would keep through exec (capabilities(7))."""
    return [one for one in range(_LAST_CAPABILITY + 1) if _prctl(_PR_CAP_AMBIENT_IS_SET, one) == 1]


def _prctl(operation: int, capability: int = 0) -> int:
    return int(_LIBC.prctl(_PR_CAP_AMBIENT, operation, capability, 0, 0))


def _nobody(_finished: Finished) -> None:
    """Nobody wants to know."""


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
