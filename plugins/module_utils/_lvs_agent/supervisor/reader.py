# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the configuration, in a process of its own.

A large file takes a second to read and to check. Meanwhile the supervisor must hear the VRRP process, run scripts and
answer its control socket; and it stays small, which a VRRP process forked from it does too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import operator
import os
import pickle
import stat
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from .host_scripts import HostScript
from .job import Job
from .process import limit_data

if TYPE_CHECKING:
    from ..notify.fifo import FifoPlan
    from ..notify.mail import MailPlan
    from ..script_commands import Commands
    from ..track.plans import TrackPlans
    from ..vrrp.plan import Plan

_T = TypeVar("_T")
LIMIT_NS = 60_000_000_000
NAME = "lvs-agent-read"
_UMASK = 0o022
_QUIET_NS = 100_000_000  # since a file was changed last
_MOST_READINGS = 30
_MEMORY = 1 << 30  # bytes; 50,000 real servers with their checks need a third of it
_HOST_SCRIPT_SECONDS = 10  # keepalived's


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that a file says, for each part of the daemon; ``lvs`` is b"" or what lvs_settings.pack made."""

    plan: Plan
    tracks: TrackPlans
    commands: Commands
    mail: MailPlan | None
    fifos: tuple[FifoPlan, ...]
    umask: int
    startup: HostScript | None = None
    shutdown: HostScript | None = None
    states_on_reload: bool = False
    lvs: bytes = b""

    @property
    def is_empty(self) -> bool:
        """Nothing is served with these: no virtual router, no virtual server."""
        return not (self.plan.instances or self.lvs)


@dataclasses.dataclass(frozen=True)
class Result:
    """What reading came to. ``settings`` is None when there are errors; all findings are lines for people."""

    settings: Settings | None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read(path: str, config_id: str) -> Result:
    """Read and check a file with all it includes, here and now."""
    return _read(path, config_id)[0]


def read_steady(path: str, config_id: str) -> Result:
    """The same when nobody is writing the file, or one that it includes, any more: waits for that, up to 3 s.

    An editor, or a shell's ``>``, empties a file before it fills it, and half a file may look like a whole one.
    """
    former: dict[str, tuple[int, ...] | None] = {}
    for _try in range(_MOST_READINGS):
        begun_ns = time.time_ns()
        result, files = _read(path, config_id)
        now = {name: _fingerprint(name) for name in {path, *files}}
        newest_ns = max((max(one[-2:]) for one in now.values() if one is not None), default=0)
        # after the same twice the clock was set back
        if newest_ns <= begun_ns - _QUIET_NS or now == former:
            return result
        former = now
        time.sleep(_QUIET_NS / 1e9)
    return Result(None, (f"{path}: it changes while it is read; reload when it is written",), result.warnings)


def _fingerprint(path: str) -> tuple[int, ...] | None:
    """What changes with a file, the times of its content and of its inode (inode(7)) last; None without one."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(path: str, config_id: str) -> tuple[Result, list[str]]:
    """What reading came to, and which files were read."""
    # what only reading needs: imported in the process that reads
    from ..conf import read as conf_read
    from ..conf import settle
    from ..conf.problem import ERROR, ConfigurationError

    parsed = conf_read.read_file(path, ids=[config_id])
    problems = conf_read.file_problems(parsed)
    errors = [str(problem) for problem in problems if problem.severity == ERROR]
    warnings = tuple(str(problem) for problem in problems if problem.severity != ERROR)
    settings = None
    if not errors:
        try:
            settings, more = _settings(settle.settle(parsed.configuration))
            warnings += tuple(more)
        except ConfigurationError as error:
            errors = [str(parsed.places.with_position(problem)) for problem in error.problems]
    return Result(settings, tuple(errors), warnings), parsed.files


def _settings(configuration: dict[str, Any]) -> tuple[Settings, list[str]]:
    """What a settled configuration says, and what is wrong with its scripts on this host; pure but for looking there.

    Raises ConfigurationError.
    """
    from ..conf import model
    from ..notify import from_conf as notify_conf
    from ..track import from_conf as track_conf
    from ..vrrp import from_conf as vrrp_conf

    plan = vrrp_conf.plan(configuration)
    commands = track_conf.commands_of(configuration)
    tracks = track_conf.plans(configuration, plan, commands)
    fifos, problems = notify_conf.fifos(configuration, commands)
    problems += [f"vrrp_script {script.name} is down: {script.refused}" for script in tracks.scripts if script.refused]
    mail = notify_conf.mail(configuration, os.uname().nodename)
    problems += notify_conf.mail_problems(mail)
    said = configuration["global_defs"]
    startup, shutdown = (_host_script(said, word, commands, problems) for word in ("startup_script", "shutdown_script"))
    umask = _umask(said.get("umask"))
    lvs, more = _lvs(configuration, commands, umask, plan)
    problems += more
    settings = Settings(
        plan,
        tracks,
        commands,
        mail,
        tuple(fifos),
        umask,
        startup,
        shutdown,
        model.is_on(said.get("fifo_write_vrrp_states_on_reload")),
        lvs,
    )
    return settings, problems


def _lvs(
    configuration: dict[str, Any], commands: Commands, umask: int, vrrp: Plan
) -> tuple[bytes, list[str]]:
    """What the LVS process is to do, b"" for nothing, and which of its programs it cannot run."""
    from ..health import from_conf as health_conf
    from ..health.plan import MiscCheck
    from ..lvs import from_conf as lvs_conf
    from ..lvs import sorry, via_vip
    from ..lvs.plan import LvsPlan
    from . import lvs_settings, scheduling

    checks = (*health_conf.plans(configuration, commands), *sorry.checks(configuration, commands))
    plan = lvs_conf.plan(configuration, checks)
    plan = dataclasses.replace(plan, probes=tuple(via_vip.table(plan.virtual_servers, checks).values()))
    refused = [one for one in checks if isinstance(one.check, MiscCheck) and one.check.refused]
    problems = [f"{one.id} fails: {one.check.refused}" for one in refused if isinstance(one.check, MiscCheck)]
    if plan == LvsPlan():
        return b"", problems
    how = scheduling.from_conf(configuration["global_defs"])
    vips = frozenset(one.address for instance in vrrp.instances for one in (*instance.vips, *instance.excluded))
    return lvs_settings.pack(lvs_settings.LvsSettings(plan, checks, umask, how, vips)), problems


def _host_script(said: dict[str, Any], word: str, commands: Commands, problems: list[str]) -> HostScript | None:
    from ..conf import model
    from ..script_commands import RefusedCommand

    line = str(said.get(word) or "")
    if not line:
        return None
    try:
        commands.command(line)
    except RefusedCommand as refused:
        problems.append(f"{word} is not run: {refused}")
    return HostScript(word, line, model.whole(said.get(f"{word}_timeout")) or _HOST_SCRIPT_SECONDS)


def _umask(said: Any) -> int:
    """keepalived's ``umask``: a number as in C, or names of stat(2)'s bits with | between them."""
    from ..conf import numbers

    text = str(said).replace("|", " ") if said is not None else ""
    number = numbers.c_number(text)
    if number is not None:
        return number & 0o777
    bits = [int(getattr(stat, f"S_{name}", 0)) for name in text.split()]
    return functools.reduce(operator.or_, bits, 0) or _UMASK


def bounded(read: Callable[[], _T]) -> _T | None:
    """What ``read`` gives, None when that needs more memory than reading may. The limit is this process's for good."""
    limit_data(_MEMORY)
    with contextlib.suppress(MemoryError):
        return read()
    # the handler, whose traceback held all that was read, is left
    return None


def too_large(path: str) -> Result:
    """The result for who got None."""
    return Result(None, (f"{path}: reading it needs more than {_MEMORY >> 20} MiB of memory; make it smaller",))


def _tried(path: str, config_id: str) -> Result:
    """What comes of reading, whatever happens. Raises MemoryError."""
    try:
        return read_steady(path, config_id)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - told as a finding
        trace = traceback.format_exc()
        return Result(None, (f"{path}: reading it failed; this is a bug, please report it", *trace.splitlines()))


def read_apart(path: str, config_id: str, deadline_ns: int, done: Callable[[Result], None]) -> Job:
    """The same, in a process of its own; ``done`` is told. Raises OSError when none can be started."""

    def work(descriptor: int) -> int:
        gc.disable()  # what is read has no cycles, and this process ends soon
        content = bounded(lambda: pickle.dumps(_tried(path, config_id), pickle.HIGHEST_PROTOCOL))
        if content is None:
            content = pickle.dumps(too_large(path), pickle.HIGHEST_PROTOCOL)
        with open(descriptor, "wb") as file:
            file.write(content)
        return os.EX_OK

    def ended(output: bytes, wrong: str) -> None:
        if wrong:
            done(Result(None, (f"{path}: the process that reads it did not finish: {wrong}",)))
        else:
            done(pickle.loads(output))  # noqa: S301 - from our own child

    return Job(NAME, work, deadline_ns, ended)
