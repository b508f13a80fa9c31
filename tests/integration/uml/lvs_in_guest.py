# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of test_lvs.py: PYTHON lvs_in_guest.py DIRECTORY, with the files of wide.py in it.

keepalived and our own parts, one after the other, program the kernel from the same files; then somebody else changes
it. Prints a JSON object: step -> its answers. What they should be stands in the test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from _lvs_agent.conf import read, settle
from _lvs_agent.health import from_conf as health_conf
from _lvs_agent.health.plan import CheckId, CheckPlan
from _lvs_agent.kernel.ipvs import Ipvs
from _lvs_agent.kernel.ipvs_types import FWD_DROUTE, Destination, Service, ServiceKey
from _lvs_agent.lvs import from_conf, owned, sync_daemon
from _lvs_agent.lvs.desired import Health, Surroundings, decide
from _lvs_agent.lvs.owned import Owned
from _lvs_agent.lvs.plan import FlushOnStop, LvsPlan
from _lvs_agent.lvs.table import Table, VirtualService, virtual_service
from _lvs_agent.lvs.transitions import Kind, Transition, of_stop
from _lvs_agent.lvs.writer import Repaired, Writer
from _lvs_agent.track.from_conf import commands_of

WEB = "192.0.2.2:80"
FOREIGN = ["-A -t 198.51.100.1:80 -s rr", "-a -t 198.51.100.1:80 -r 10.0.0.77:80 -m -w 4"]
BOOT = "this boot"
HANGS_S = 120
LOG = Path("/run/keepalived.log")


def run(*words: str) -> str:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    return done.stdout


def ipvsadm(line: str) -> None:
    said = run("ipvsadm", *line.split())
    if said:
        raise RuntimeError(f"ipvsadm {line}: {said}")


def saved() -> list[str]:
    return sorted(run("ipvsadm", "-Sn").splitlines())


def thresholds() -> list[str]:
    """The real servers that have some, with them."""
    lines = [line.split() for line in run("ipvsadm", "-Ln", "--thresholds").splitlines() if "->" in line]
    return sorted(" ".join(words[1:4]) for words in lines[1:] if words[2:4] != ["0", "0"])


def daemons() -> list[str]:
    return sorted(run("ipvsadm", "-L", "--daemon").splitlines())


def timeouts() -> str:
    return run("ipvsadm", "-L", "--timeout").strip()


def keepalived(conf: Path) -> dict[str, Any]:
    """What keepalived makes of a file, and whether it takes it away at its end."""
    process = start_keepalived(conf)
    end = time.monotonic() + 20
    while "Startup complete" not in LOG.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    found = {"-Sn": saved(), "thresholds": thresholds(), "daemons": daemons(), "timeouts": timeouts()}
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    return {**found, "log": LOG.read_text(), "left": saved()}


def start_keepalived(conf: Path) -> subprocess.Popen[bytes]:
    words = ["keepalived", "-n", "-l", "-f", str(conf), "-p", "/run/k.pid", "-c", "/run/kc.pid", "-r", "/run/kv.pid"]
    with LOG.open("w") as output:
        return subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)


def planned(conf: Path) -> LvsPlan:
    return planned_with_checks(conf)[0]


def planned_with_checks(conf: Path) -> tuple[LvsPlan, list[CheckPlan]]:
    parsed = read.read_file(str(conf))
    errors = [str(one) for one in read.file_problems(parsed) if one.severity == "error"]
    if errors:
        raise RuntimeError("\n".join(errors))
    settled = settle.settle(parsed.configuration)
    checks = health_conf.plans(settled, commands_of(settled))
    return from_conf.plan(settled, checks), checks


def table_of(plan: LvsPlan, now_ns: int = 1) -> Table:
    table: Table = {}
    for one in plan.virtual_servers:
        table.update(decide(one, Surroundings(now_ns)).table)
    return table


class Agent:
    """A writer with its loop."""

    def __init__(self, of_before: str = "") -> None:
        self.record = of_before
        self.repaired: list[Repaired] = []
        self.longest_ns = 0
        mine = owned.parse(of_before, BOOT) if of_before else Owned()
        self.writer = Writer(Ipvs, self._keep, self.repaired.append, mine)

    def _keep(self, mine: Owned) -> None:
        self.record = owned.to_json(mine, BOOT)

    def until(self, done: Callable[[], bool]) -> float:
        """Run the loop until it is so; the seconds that took, without what looking costs on this machine."""
        start = time.monotonic_ns()
        looked_ns = 0
        while True:
            before = time.monotonic_ns()
            if done():
                return (before - start - looked_ns) / 1e9
            now = time.monotonic_ns()
            looked_ns += now - before
            if now - start > HANGS_S * 1e9:
                return -1.0
            if self.writer.deadline_ns() <= now:
                self.writer.handle(now)
                self.longest_ns = max(self.longest_ns, time.monotonic_ns() - now)
            else:
                time.sleep(min(0.01, (self.writer.deadline_ns() - now) / 1e9))

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def in_step(self) -> float:
        return self.until(self.writer.in_step)


def ours(conf: Path) -> dict[str, Any]:
    """What we make of a file, and how many changes a second look needs."""
    plan = planned(conf)
    agent = Agent()
    agent.writer.configure(table_of(plan))
    agent.in_step()
    before = agent.writer.counters.changes
    rounds = agent.writer.counters.rounds
    agent.until(lambda: agent.writer.counters.rounds >= rounds + 2)
    syncing = sync_daemon.SyncDaemons()
    with Ipvs() as ipvs:
        ready = syncing.apply(ipvs, sync_daemon.wanted(plan.sync_daemon, ()))
        first = sync_daemon.set_timeouts(ipvs, plan.timeouts)
        again = sync_daemon.set_timeouts(ipvs, plan.timeouts)
        found: dict[str, Any] = {"-Sn": saved(), "thresholds": thresholds(), "timeouts": timeouts()}
        found["daemons"] = daemons()
        backups = sync_daemon.wanted(plan.sync_daemon, ())
        found["orders to those that run"] = sync_daemon.orders(ipvs.daemons(), backups)
        as_master = syncing.apply(ipvs, sync_daemon.wanted(plan.sync_daemon, ("VI",)))
        found["daemons of a master"] = daemons()
        syncing.apply(ipvs, ())
        found["daemons at the end"] = daemons()
    agent.writer.stop(FlushOnStop.OURS)
    agent.writer.close()
    return {
        **found,
        "left": saved(),
        "more changes": agent.writer.counters.changes - before,
        "drifts": agent.writer.counters.drifts,
        "said": [ready, first, again, as_master],
    }


INTERFERENCE = {
    "a real server deleted": [f"-d -t {WEB} -r 10.0.0.11:80"],
    "a weight changed": [f"-e -t {WEB} -r 10.0.0.11:80 -g -w 77"],
    "thresholds set": [f"-e -t {WEB} -r 10.0.0.11:80 -g -w 1 -x 9 -y 3"],
    "a real server added": [f"-a -t {WEB} -r 10.0.0.66:80 -g -w 1"],
    "a scheduler changed": [f"-E -t {WEB} -s rr"],
    "persistence set": [f"-E -t {WEB} -s sh -b sh-fallback,sh-port -p 99"],
    "a virtual server deleted": [f"-D -t {WEB}"],
    "one replaced by another": [f"-d -t {WEB} -r 10.0.0.11:80", f"-a -t {WEB} -r 10.0.0.67:80 -g -w 1"],
    "everything deleted": ["-C", *FOREIGN],
}


def interfered(agent: Agent) -> dict[str, Any]:
    """For each kind of drift the seconds until it is repaired, and what is told."""
    wanted = saved()
    found: dict[str, Any] = {}
    for name, lines in INTERFERENCE.items():
        agent.run_for(0.3)  # anywhere in a round
        agent.repaired.clear()
        limits = thresholds()
        for line in lines:
            ipvsadm(line)
        changed = (saved(), thresholds()) != (wanted, limits)
        seconds = agent.until(lambda limits=limits: (saved(), thresholds()) == (wanted, limits))  # type: ignore[misc]
        agent.in_step()
        told = [[str(one.key), list(one.lines), one.number] for one in agent.repaired]
        found[name] = {"changed": changed, "seconds": seconds, "told": told[:3], "services": len(told)}
    return found


def drift(conf: Path) -> dict[str, Any]:
    """Somebody else changes our entries, and has some of its own."""
    for line in FOREIGN:
        ipvsadm(line)
    plan = planned(conf)
    agent = Agent()
    agent.writer.configure(table_of(plan))
    agent.in_step()
    found: dict[str, Any] = {"interference": interfered(agent), "drifts": agent.writer.counters.drifts}

    # a reload without a virtual server and without a real server
    less = table_of(plan)
    gone = next(key for key in less if (key.addr, key.port) == ("192.0.2.2", 80))
    del less[gone]
    agent.writer.configure(less)
    agent.in_step()
    found["reload"] = {"gone": [line for line in saved() if WEB in line], "foreign": set(FOREIGN) <= set(saved())}
    agent.writer.configure(table_of(plan))
    agent.in_step()

    # the process dies; the next one has a configuration without it
    agent.writer.close()
    before = saved()
    second = Agent(agent.record)
    second.writer.configure(less)
    second.in_step()
    found["crash"] = {"gone": sorted(set(before) - set(saved())), "more": sorted(set(saved()) - set(before))}
    stranger = Agent()
    stranger.writer.configure({})
    stranger.in_step()
    stranger.writer.close()
    found["stranger"] = len(saved())
    found["still there"] = len(saved())

    # the daemon's end
    second.writer.stop(FlushOnStop.NOTHING)
    found["stop"] = len(saved())
    third = Agent(second.record)
    third.writer.stop(FlushOnStop.OURS)
    found["stop, VS"] = saved()
    third.writer.stop(FlushOnStop.EVERYTHING)
    found["stop, all"] = saved()
    third.writer.close()
    second.writer.close()
    return found


def told(conf: Path) -> dict[str, list[str]]:
    """What is told of real servers and quorums from the start to the end, each check having run: by whom, the lines."""
    fifo, log = Path("/run/fifo"), Path("/run/told")
    ours, at_the_end = told_by_us(conf)
    os.mkfifo(fifo)
    log.write_text("")
    # it stays open for keepalived's coming and going
    with log.open("a") as output, subprocess.Popen(["cat", str(fifo)], stdout=output) as reader, fifo.open("w"):
        process = start_keepalived(conf)
        before, quiet, end = "", 0, time.monotonic() + 120
        # as much as we tell, and nothing more for a while
        while quiet < 25 and time.monotonic() < end:
            time.sleep(0.1)
            text = log.read_text()
            quiet = quiet + 1 if text == before and text.count("\n") >= len(ours) else 0
            before = text
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        time.sleep(0.2)
        reader.kill()
    fifo.unlink()
    return {"keepalived": log.read_text().splitlines(), "ours": [*ours, *at_the_end]}


def told_by_us(conf: Path) -> tuple[list[str], list[str]]:
    """The lines of the start and of each check, and those of the end."""
    plan, checks = planned_with_checks(conf)
    lines: list[str] = []
    at_the_end: list[str] = []
    for one in plan.virtual_servers:
        health: dict[CheckId, Health] = {}
        decision = decide(one, Surroundings(1, health, init_notifies=plan.init_notifies))
        lines += lines_of(decision.transitions)
        for server in one.servers:
            results = {check.id: Health("false" not in str(check.check)) for check in checks}
            health.update({check: results[check] for check in server.checks})
            decision = decide(one, Surroundings(1, health, init_notifies=plan.init_notifies), decision.state)
            lines += lines_of(decision.transitions)
        at_the_end += lines_of(of_stop({one.name: one}, {one.name: decision.state}))
    return lines, at_the_end


def lines_of(transitions: Iterable[Transition]) -> list[str]:
    return [line_of(one) for one in transitions if one.kind not in (Kind.SORRY_BEGINS, Kind.SORRY_ENDS)]


def line_of(transition: Transition) -> str:
    """As keepalived's FIFO has it."""
    service = f"[192.0.2.1]:tcp:{transition.service.rpartition(':')[2]}"
    state = "UP" if transition.kind in (Kind.SERVER_UP, Kind.QUORUM_UP) else "DOWN"
    if not transition.server:
        return f"VS {service} {state}"
    addr, _sign, port = transition.server.partition(":")
    return f"RS [{addr}]:tcp:{port} {service} {state}"


def one_service(addr: str, servers: int, sched_name: str = "rr") -> VirtualService:
    key = ServiceKey(2, 6, addr, 80)
    return virtual_service(
        Service(key, sched_name),
        [Destination(2, f"10.{9 + n // 65536}.{n // 256 % 256}.{n % 256}", 80, FWD_DROUTE, 1) for n in range(servers)],
    )


def others() -> dict[str, Any]:
    """keep_other_servers: what somebody else added stays, what is no longer wanted goes."""
    virtual = one_service("192.0.2.90", 3)
    key = virtual.service.key
    agent = Agent()
    agent.writer.configure({key: virtual}, [key])
    agent.in_step()
    ipvsadm("-a -t 192.0.2.90:80 -r 10.99.0.1:80 -g -w 5")
    ipvsadm("-d -t 192.0.2.90:80 -r 10.9.0.1:80")
    seconds = agent.until(lambda: "-a -t 192.0.2.90:80 -r 10.9.0.1:80 -g -w 1" in saved())
    agent.writer.update({key: one_service("192.0.2.90", 2)})
    agent.in_step()
    after = saved()
    agent.writer.close()
    again = Agent(agent.record)
    again.writer.configure({key: one_service("192.0.2.90", 1)}, [key])
    again.in_step()
    found = {"seconds": seconds, "after": after, "restarted": saved()}
    again.writer.stop(FlushOnStop.OURS)
    again.writer.close()
    return found


def refused() -> dict[str, Any]:
    """A scheduler that this kernel does not have keeps nobody else waiting."""
    bad, good = one_service("192.0.2.91", 2, "nosuch"), one_service("192.0.2.92", 2)
    agent = Agent()
    agent.writer.configure({bad.service.key: bad, good.service.key: good})
    seconds = agent.until(lambda: len(saved()) == 3)
    agent.until(lambda: agent.writer.counters.refused >= 3)
    mended = one_service("192.0.2.91", 2)
    agent.writer.configure({mended.service.key: mended, good.service.key: good})
    found = {"seconds": seconds, "refused": agent.writer.counters.refused}
    found["mended"] = agent.until(lambda: len(saved()) == 6)
    agent.writer.stop(FlushOnStop.OURS)
    agent.writer.close()
    return found


def big(services: int, servers: int) -> dict[str, Any]:
    """A table of many real servers: what a turn costs, and how long a round takes."""
    table = {}
    for number in range(services):
        virtual = one_service(f"192.0.3.{number + 1}", servers)
        table[virtual.service.key] = virtual
    agent = Agent()
    agent.writer.configure(table)
    written = agent.in_step()
    rounds = agent.writer.counters.rounds
    agent.until(lambda: agent.writer.counters.rounds >= rounds + 2)
    agent.longest_ns = 0
    cpu = time.process_time()
    start = time.monotonic()
    agent.until(lambda: agent.writer.counters.rounds >= rounds + 4)
    share = (time.process_time() - cpu) / (time.monotonic() - start)
    key = next(iter(table))
    with Ipvs() as ipvs:
        begin = time.perf_counter()
        for _time in range(3):
            ipvs.digest(key)
        middle = time.perf_counter()
        for _time in range(3):
            ipvs.destinations(key)
        end = time.perf_counter()
    last = f"192.0.3.{services}:80"
    ipvsadm(f"-d -t {last} -r 10.9.0.1:80")
    gone = f"-a -t {last} -r 10.9.0.1:80 -g -w 1"
    seconds = agent.until(lambda: agent.writer.counters.drifts > 0)
    found = {
        "lines": len(saved()),
        "back": gone in saved(),
        "written": written,
        "seconds": seconds,
        "round": agent.writer.round_ns() / 1e9,
        "last round": agent.writer.counters.last_round_ns / 1e9,
        "longest turn": agent.longest_ns / 1e9,
        "share of a processor": share,
        "digest": (middle - begin) / 3 / servers,
        "destinations": (end - middle) / 3 / servers,
    }
    agent.writer.stop(FlushOnStop.OURS)
    agent.writer.close()
    return found


def main() -> None:
    directory = Path(sys.argv[1])
    found: dict[str, Any] = {}
    for name in ("wide", "sync", "both"):
        conf = directory / f"{name}.conf"
        found[name] = {"keepalived": keepalived(conf), "ours": ours(conf)}
    for name in ("told", "init"):
        found[name] = told(directory / f"{name}.conf")
    found["drift"] = drift(directory / "wide.conf")
    found["others"] = others()
    found["refused"] = refused()
    found["big"] = big(20, 400)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
