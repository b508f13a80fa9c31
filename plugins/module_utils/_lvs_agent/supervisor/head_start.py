# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon finds when it starts; and when the one before it was killed a moment ago, a VRRP process at once.

That process goes on with the configuration that was in force, before the supervisor is even imported: a backup waits
for three adverts, and no longer. Only what this needs is imported here.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from ..vrrp.messages import Configure
from . import files, process, upgrade
from .channel import KEPT, pair
from .in_force import InForce, Taken
from .owned import Owned
from .sequence_file import NAME as SEQUENCES
from .sequence_file import SequenceFile
from .state_file import StateFile, boot_id, resumes

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence
    from typing import Protocol

    from ..vrrp.messages import Resume, ToVrrp
    from .channel import Channel
    from .process import Process
    from .state_file import Saved

    class Entry(Protocol):
        """The VRRP process's main function, as vrrp/process.py has it."""

        def __call__(self, channel: Channel, adverts: int, first: Sequence[ToVrrp] = ...) -> int:
            """Be it; the exit status."""


#: The VRRP process's name for ps(1).
NAME = "lvs-agent-vrrp"
_ADVERTS = "adverts"
_SECOND = 1_000_000_000
_LOCK_PATIENCE_NS = 3 * _SECOND
# One that was killed longer ago is started like any other: with what its configuration file says.
_A_MOMENT_NS = 60 * _SECOND


class Running(NamedTuple):
    """A VRRP process that is at work already, with ``taken.plan``."""

    process: Process
    channel: Channel
    taken: Taken
    resumes: tuple[Resume, ...]


class Start(NamedTuple):
    """What was found. ``lock`` and ``adverts`` are descriptors, ``saved`` is None unless it is of this boot."""

    inherited: upgrade.Inherited | None
    lock: int
    adverts: int
    file: StateFile
    saved: Saved | None
    in_force: InForce
    running: Running | None
    sequences: SequenceFile

    def forget(self) -> None:
        """A planned end: nothing is to go on."""
        self.file.remove()
        self.in_force.remove()
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(os.path.dirname(self.file.path), _ADVERTS))


def begin(
    runtime_dir: str, environment: MutableMapping[str, str], entry: Entry, state_dir: str | None = None
) -> Start:
    """Find out, and start the VRRP process if it may go on. Raises files.Locked, OSError.

    ``state_dir`` outlives a boot, None: there is none.
    """
    boot = boot_id()
    inherited = upgrade.inherited(environment)
    path = os.path.join(runtime_dir, "lock")
    lock = files.lock(path, _LOCK_PATIENCE_NS) if inherited is None else inherited.lock
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    adverts = os.open(os.path.join(runtime_dir, _ADVERTS), flags, 0o600)
    file = StateFile(os.path.join(runtime_dir, "state.json"), boot)
    saved = file.read()
    if saved is not None and saved.boot_id != boot:
        saved = None
    in_force = InForce(runtime_dir, boot)
    sequences = SequenceFile(os.path.join(state_dir or runtime_dir, SEQUENCES))
    running = None
    if inherited is None and saved is not None and 0 <= time.monotonic_ns() - saved.alive_ns < _A_MOMENT_NS:
        taken = in_force.take()
        if taken is not None:
            running = _go_on(saved, _First(taken, Owned(file), sequences), entry, (lock, adverts))
    return Start(inherited, lock, adverts, file, saved, in_force, running, sequences)


class _First(NamedTuple):
    """What the first configuration is made of."""

    taken: Taken
    owned: Owned
    sequences: SequenceFile


def _go_on(saved: Saved, first_of: _First, entry: Entry, keep: tuple[int, int]) -> Running | None:
    """Fork the process, with the lock and the record of adverts; None when that cannot be."""
    adverts = keep[1]
    taken, owned, sequences = first_of
    masters = resumes(saved.states, saved.alive_ns, adverts)
    borrowed, former = owned.borrowed, owned.former
    configure = Configure(taken.plan, masters, owned.leftovers(taken.plan), borrowed, sequences.heard(), former)
    first: tuple[ToVrrp, ...] = (*saved.results, configure)
    ours, theirs = pair(KEPT)
    try:
        started = process.fork(NAME, lambda: entry(theirs, adverts, first), [theirs.fileno(), *keep])
    except OSError:
        ours.close()
        return None
    finally:
        theirs.close()
    return Running(started, ours, taken, masters)
