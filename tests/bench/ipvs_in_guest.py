# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of test_ipvs.py: the codec and ipvsadm by turns, seconds of each as JSON on standard output.

Called with the name of a job it does that one, as a process of its own that is timed from outside.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from _lvs_agent.kernel.ipvs import Ipvs
from _lvs_agent.kernel.ipvs_change import AddServer, AddService, Change, EditServer
from _lvs_agent.kernel.ipvs_types import FWD_DROUTE, Destination, Service, ServiceKey
from _lvs_agent.kernel.ipvsadm import service_line

SERVERS = 4000
ROUNDS = 7
KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "192.0.2.1", 80)
SERVICE = Service(KEY, "rr")

#: job -> (the verb of each real server's line, its weight, the file with the lines for `ipvsadm -R`)
PROGRAMS = {"add": ("-a", 1, Path("/mnt/add")), "edit": ("-e", 2, Path("/mnt/edit"))}


def write_lines(job: str) -> None:
    """What `ipvsadm -R` reads."""
    verb, weight, path = PROGRAMS[job]
    lines = [service_line(SERVICE)] if verb == "-a" else []
    for number in range(SERVERS):
        server = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:80"
        lines.append(f"{verb} -t 192.0.2.1:80 -r {server} -g -w {weight}")
    path.write_text("\n".join(lines) + "\n")


def read_changes(job: str) -> list[Change]:
    """The same lines as changes."""
    change = AddServer if job == "add" else EditServer
    changes: list[Change] = [AddService(SERVICE)] if job == "add" else []
    for line in PROGRAMS[job][2].read_text().splitlines():
        words = line.split()
        if words[0] in ("-a", "-e"):
            address, port = words[4].rsplit(":", 1)
            server = Destination(socket.AF_INET, address, int(port), FWD_DROUTE, int(words[7]))
            changes.append(change(KEY, server))
    return changes


def program(job: str) -> float:
    """Seconds from changes to an acknowledged table, the connection included."""
    changes = read_changes(job)
    started = time.perf_counter()
    with Ipvs() as ipvs:
        ipvs.apply(changes)
    return time.perf_counter() - started


def dump() -> float:
    """Seconds from nothing to the table as objects, the connection included."""
    started = time.perf_counter()
    with Ipvs() as ipvs:
        ((_entry, servers),) = ipvs.table().values()
    seconds = time.perf_counter() - started
    if len(servers) != SERVERS:
        raise SystemExit(f"{len(servers)} real servers instead of {SERVERS}")
    return seconds


def list_table() -> None:
    """The columns of `ipvsadm -Ln --stats`, as a process of its own prints them."""
    with Ipvs() as ipvs:
        for entry, servers in ipvs.table().values():
            lines = [f"{entry.service.key} {entry.stats}"]
            for server in servers:
                stats, to = server.stats, server.destination
                lines.append(
                    f"  -> {to.addr}:{to.port} {stats.conns} {stats.inpkts} {stats.outpkts} "
                    f"{stats.inbytes} {stats.outbytes}"
                )
            print("\n".join(lines))


def process(*words: str, stdin: str = "/dev/null") -> float:
    """Seconds a process takes, from its start to its end; its output is thrown away."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
    ]
    started = time.perf_counter()
    child = os.posix_spawn(words[0], words, os.environ, file_actions=actions)
    _pid, status = os.waitpid(child, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(words)}: status {status}")
    return seconds


def measure() -> dict[str, list[float]]:
    """Each figure ROUNDS times, the sides by turns."""
    ipvsadm = "/usr/sbin/ipvsadm"
    own = (sys.executable, "-S", __file__)
    for job in PROGRAMS:
        write_lines(job)
    jobs: dict[str, Callable[[], float]] = {
        "start-up, python": lambda: process(sys.executable, "-S", "-c", "pass"),
        "start-up, python with the codec": lambda: process(sys.executable, "-S", "-c", "import _lvs_agent.kernel.ipvs"),
        "start-up, ipvsadm": lambda: process(ipvsadm, "--set", "0", "0", "0"),
        "add, ipvsadm": lambda: process(ipvsadm, "-R", stdin=str(PROGRAMS["add"][2])),
        "edit, ipvsadm": lambda: process(ipvsadm, "-R", stdin=str(PROGRAMS["edit"][2])),
        "dump, ipvsadm": lambda: process(ipvsadm, "-Ln", "--stats"),
        "flush 1": lambda: process(ipvsadm, "-C"),
        "add, codec in its process": lambda: process(*own, "add"),
        "edit, codec in its process": lambda: process(*own, "edit"),
        "dump, codec in its process": lambda: process(*own, "dump"),
        "flush 2": lambda: process(ipvsadm, "-C"),
        "add, codec": lambda: program("add"),
        "edit, codec": lambda: program("edit"),
        "dump, codec": dump,
        "flush 3": lambda: process(ipvsadm, "-C"),
    }
    measured: dict[str, list[float]] = {name: [] for name in jobs}
    for _round in range(ROUNDS):
        for name, timed in jobs.items():
            measured[name].append(timed())
    return measured


def main() -> None:
    job = sys.argv[1] if len(sys.argv) > 1 else ""
    if job == "dump":
        list_table()
    elif job:
        program(job)
    else:
        print(json.dumps(measure()))


if __name__ == "__main__":
    main()
