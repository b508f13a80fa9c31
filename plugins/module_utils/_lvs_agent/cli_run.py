# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the daemon as keepalived.conf says: VRRP, health checks, IPVS; in the foreground, logging to standard error.

Signals: SIGHUP reads the configuration again, one with errors is not taken; SIGTERM and SIGINT hand over to another
director and end, a second one does not wait for it.

Exit status: 0, ended as asked; 1, it cannot run here: another one does, or a directory cannot be written; 2, wrong
usage; 5, errors in the configuration at the start (as keepalived and `lvs-agent check` have it).
"""

from __future__ import annotations

import gc
import grp
import logging
import os
import sys
from typing import TYPE_CHECKING

from .conf.script import Component, open_to_all
from .control.protocol import SOCKET
from .kernel.errors import KernelError
from .supervisor import log

if TYPE_CHECKING:
    import argparse

    from .supervisor.channel import Channel
    from .supervisor.part import Part

NAME = "run"
HELP = "run the daemon"

GOOD = 0
FAILED = 1
USAGE = 2
BAD = 5
_FILE = "/etc/keepalived/keepalived.conf"
_RUNTIME = "/run/lvs-agent"
_HISTORY = "/var/lib/lvs-agent"
_SOCKET = os.path.basename(SOCKET)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lvs-agent run``."""
    parser.add_argument("-f", "--file", default=_FILE, help="the configuration; %(default)s")
    parser.add_argument(
        "-i",
        "--config-id",
        metavar="NAME",
        default=_config_id(),
        help="who the lines @NAME are for, as in keepalived; the first part of this machine's name by default",
    )
    parser.add_argument("--check-only", action="store_true", help="read the configuration as it would be run, and end")
    parser.add_argument(
        "--runtime-dir", metavar="DIR", default=_RUNTIME, help="for what survives the daemon, not the host; %(default)s"
    )
    parser.add_argument("--history-dir", metavar="DIR", default=_HISTORY, help="for the events; %(default)s")
    parser.add_argument("--no-history", action="store_true", help="keep the events in memory only")
    parser.add_argument("--socket", metavar="PATH", help=f"the control socket; {_SOCKET} in --runtime-dir")
    parser.add_argument("--socket-group", metavar="GROUP", help="who may use it; the daemon's own group by default")
    parser.add_argument("--pid-file", metavar="PATH", default="", help="write the process number there")
    parser.add_argument("--debug", action="store_true", help="log more")


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal comes, return the exit status."""
    log.set_up(logging.DEBUG if arguments.debug else logging.INFO)
    if arguments.check_only:
        return _check(arguments)
    try:
        group = grp.getgrnam(arguments.socket_group).gr_gid if arguments.socket_group else -1
    except KeyError:
        sys.stderr.write(f"lvs-agent run: there is no group {arguments.socket_group}\n")
        return USAGE
    try:
        return _daemon(arguments, group)
    except KernelError as error:
        logging.getLogger(__name__).critical("%s", error)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        logging.getLogger(__name__).critical("lvs-agent cannot run: %s", what)
    return FAILED


def _daemon(arguments: argparse.Namespace, group: int) -> int:
    """Be the daemon; the exit status. Raises OSError, KernelError."""
    runtime_dir = os.path.abspath(arguments.runtime_dir)
    environment = dict(os.environ)
    os.makedirs(runtime_dir, mode=0o755, exist_ok=True)
    open_to = open_to_all(Component(runtime_dir, os.stat(runtime_dir).st_mode))
    if open_to:
        logging.getLogger(__name__).critical("lvs-agent cannot run: %s; take that permission away", open_to)
        return FAILED
    # a VRRP process that goes on waits for nothing that only the others need, nor for looks at what was imported
    gc.disable()
    from .supervisor import head_start
    from .vrrp import process

    history_dir = None if arguments.no_history else os.path.abspath(arguments.history_dir)
    start = head_start.begin(runtime_dir, environment, process.run, history_dir)

    from .supervisor.balancing import OWNED, Balancing
    from .supervisor.scripting import Scripting
    from .supervisor.state_file import boot_id
    from .supervisor.supervisor import Options, Supervisor

    options = Options(
        file=os.path.abspath(arguments.file),
        config_id=arguments.config_id,
        runtime_dir=runtime_dir,
        history_dir=history_dir,
        socket=arguments.socket or os.path.join(runtime_dir, _SOCKET),
        group=group,
        pid_file=arguments.pid_file,
    )

    def balance(channel: Channel) -> int:
        # imported there: only that process needs it
        from .supervisor import lvs_process
        from .supervisor.lvs_files import LvsFiles

        return lvs_process.run(channel, LvsFiles(options.runtime_dir, options.history_dir, boot_id()))

    def parts(supervisor: Supervisor) -> list[Part]:
        scripting = Scripting(supervisor.track, supervisor.record)
        balancing = Balancing(
            supervisor.loop,
            balance,
            scripting.balanced,
            supervisor.record,
            keep=[supervisor.lock],
            left=lambda: os.path.exists(os.path.join(options.runtime_dir, OWNED)),
            states=supervisor.states_before,
        )
        supervisor.operator.balancing = balancing
        return [balancing, scripting]

    gc.enable()
    return Supervisor(options, start, process.run, environment, parts=parts).run()


def _config_id() -> str:
    """Who the lines @NAME are for, as in keepalived: the first part of this machine's name."""
    return os.uname().nodename.partition(".")[0]


def _check(arguments: argparse.Namespace) -> int:
    """Read only, and say all that is wrong."""
    from .supervisor import reader

    result = reader.bounded(lambda: reader.read(arguments.file, arguments.config_id))
    result = result or reader.too_large(arguments.file)
    for line in (*result.warnings, *result.errors):
        sys.stderr.write(f"{line}\n")
    return GOOD if result.settings is not None else BAD
