# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a guest: PYTHON daemon_in_guest.py FIRST.conf SECOND.conf DRAINS.conf; what agent and kernel say, as JSON.

A client, a director and the real servers behind it are a network namespace each.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drain_in_guest  # type: ignore[import-not-found] # both beside this file, in the guest
import run_steps  # type: ignore[import-not-found] # beside this file, in the guest
from guest_daemon import Daemon, Servers, ip, ipvsadm, run, saved, wait_until

from _lvs_agent.kernel.netns import inside

HERE = Path("/run/world")
TOLD = HERE / "told"
VIP = "192.0.2.100"
FOREIGN = "-A -t 198.51.100.1:80 -s rr"


def links() -> None:
    """client eth0 - l0 director l1 - eth0 web."""
    for name, end, prefix in (("client", "l0", "192.0.2"), ("web", "l1", "10.0.0")):
        ip(f"netns add {name}")
        ip(f"-n director link add {end} type veth peer name eth0 netns {name}")
        for space, link, last in (("director", end, 1), (name, "eth0", 10)):
            ip(f"-n {space} address add {prefix}.{last}/24 dev {link}")
            ip(f"-n {space} link set {link} up")
    for last in (11, 12, 13, 14):
        ip(f"-n web address add 10.0.0.{last}/24 dev eth0")
    ip("-n web route add default via 10.0.0.1")
    run("ip", "netns", "exec", "director", "sysctl", "-qw", "net.ipv4.ip_forward=1")


class World:
    """The daemon on its director, and what is asked of both."""

    def __init__(self, first: str, second: str, drains: str) -> None:
        HERE.mkdir(mode=0o755)
        ip("netns add director")
        ip("-n director link set lo up")
        links()
        tell = HERE / "tell"
        tell.write_text(f'#!/bin/sh\necho "$*" >>{TOLD}\n')
        tell.chmod(0o755)
        TOLD.write_text("")
        self.second = second
        self.first, self.drains = first, drains
        self.servers = Servers()
        for last in (11, 12, 13, 14):
            self.servers.open("web", f"10.0.0.{last}", 80)
        self.daemon = Daemon("director", HERE / "agent", first)
        ipvsadm("director", FOREIGN)

    def start(self) -> None:
        self.daemon.start()
        self.daemon.wait_ready()
        wait_until(lambda: self.state() == "MASTER", 30, self.daemon.log.read_text())

    def status(self) -> dict[str, Any]:
        return self.daemon.say("status")

    def state(self) -> str:
        instances = self.status().get("instances") or [{}]
        return str(instances[0].get("state"))

    def table(self) -> list[str]:
        return saved("director")

    def virtual_server(self, port: int) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.daemon.say("servers", service=f"{VIP}:{port}")["virtual_servers"]
        return found[0]

    def server(self, name: str, port: int = 80) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.virtual_server(port)["servers"] if one["server"] == name)
        return found

    def sync(self) -> list[str]:
        return sorted(line.split(" ")[0] for line in ipvsadm("director", "-L --daemon").splitlines() if line)

    def told(self) -> list[str]:
        return sorted(TOLD.read_text().splitlines())

    def killed(self, number: signal.Signals) -> float:
        """The LVS process gets a signal; the seconds until there is another one that is in step."""
        before = self.daemon.lvs_pid()
        start = time.monotonic()
        os.kill(before, number)
        wait_until(lambda: self.daemon.lvs_pid() not in (0, before), 30, self.daemon.log.read_text())
        seconds = time.monotonic() - start
        wait_until(self.daemon.in_step, 20, self.daemon.log.read_text())
        return seconds

    def transitions(self) -> int:
        return len(self.daemon.say("events", kind="transition", number=500)["events"])


def start(world: World) -> dict[str, Any]:
    world.start()
    wait_until(lambda: world.virtual_server(81)["sorry_in_use"], 20, "sorry server")
    wait_until(lambda: world.sync() == ["master"], 10, "sync daemon")
    # scripts run beside the table, and one may end after what it tells of is there
    wait_until(lambda: len(world.told()) == 2, 10, "what the scripts were told")
    # what the process sums up is up to a second old
    wait_until(lambda: world.status()["lvs_process"].get("down") == 1, 10, "the summary")
    events = [one["state"] for one in world.daemon.say("events", kind="quorum")["events"]]
    found = {"events": events, "table": world.table(), "sync": world.sync()}
    return {**found, "told": world.told(), "status": world.status()}


def drain(world: World) -> dict[str, Any]:
    """With a connection that is open all the time."""
    daemon = world.daemon
    with inside("client"):
        client = socket.create_connection((VIP, 80), 10)
    client.sendall(b"hello")
    name = next(one["server"] for one in world.virtual_server(80)["servers"] if one["active"])
    found: dict[str, Any] = {"echo": client.recv(100).decode()}
    found["in time"] = daemon.ask("drain", name, "--timeout", "2")
    found["server"] = world.server(name)
    weights = {}

    def weight(after: str) -> None:
        line = next(one for one in world.table() if f"-a -t {VIP}:80 -r {name} " in one)
        weights[after] = line.rsplit(" ", 1)[1]

    weight("the drain")
    found["reload"] = daemon.ask("reload")[0]
    weight("a reload")
    world.killed(signal.SIGKILL)
    weight("a kill")
    daemon.stop()
    weight("the daemon's end")
    world.start()
    weight("its next start")
    client.sendall(b"again")
    found["echo after it all"] = client.recv(100).decode()
    waiting = daemon.start_asking("drain", name, "--timeout", "60")
    time.sleep(2)
    found["waits"] = waiting.poll() is None
    client.close()
    output, errors = waiting.communicate(timeout=300)
    found["waited"] = [waiting.returncode, json.loads(output) if output else errors]
    found["undrain"] = daemon.ask("undrain", name)
    wait_until(daemon.in_step, 10, "undrain")
    weight("the undrain")
    found["last"] = daemon.ask("drain", "10.0.0.12:80", "--service", f"{VIP}:82")
    found["unknown"] = daemon.ask("drain", "10.0.0.21:80")
    found["not drained"] = daemon.ask("undrain", "10.0.0.12:80")
    return {**found, "weights": weights}


def death(world: World) -> dict[str, Any]:
    told, table, since = world.told(), world.table(), world.transitions()
    found: dict[str, Any] = {"seconds": world.killed(signal.SIGKILL)}
    found["table"] = [table, world.table()]
    found["down"] = world.server("10.0.0.11:81", 81)["state"]
    found["sorry"] = world.virtual_server(81)["sorry_in_use"]
    time.sleep(3)
    found["told"] = [told, world.told()]
    found["status"] = world.status()
    found["stopped"] = world.killed(signal.SIGSTOP)
    found["stopped: table"] = [table, world.table()]
    found["causes"] = [one["cause"] for one in world.daemon.say("events", kind="process_died")["events"]]
    found["transitions"] = [since, world.transitions()]
    return found


def reload(world: World) -> dict[str, Any]:
    daemon = world.daemon
    found: dict[str, Any] = {"nothing to do": daemon.ask("diff")}
    before, told = world.table(), world.told()
    daemon.file.write_text(world.second)
    found["diff"] = daemon.ask("diff")
    found["diff changed"] = [before, world.table()]
    found["reload"] = daemon.ask("reload")
    wait_until(daemon.in_step, 10, "reload")
    found["table"] = [before, world.table()]
    found["after"] = daemon.ask("diff")
    found["servers"] = [world.virtual_server(80), world.virtual_server(81)]
    wait_until(lambda: len(world.told()) > len(told), 10, "what the scripts were told")
    time.sleep(1)
    found["told"] = [told, world.told()]
    return found


def backup(world: World) -> dict[str, Any]:
    """The director's link goes down and comes back: it is no master for that time."""
    found: dict[str, Any] = {"master": [world.sync(), world.virtual_server(81)["suspended"]]}
    ip("-n director link set l0 down")
    wait_until(lambda: world.state() == "FAULT", 10, "FAULT")
    wait_until(lambda: world.sync() != ["master"], 10, "sync daemon")
    time.sleep(3)
    suspended = world.virtual_server(81)
    found["fault"] = [world.sync(), suspended["suspended"]]
    found["age"] = suspended["servers"][0]["checks"][0]["age_seconds"]
    found["not suspended"] = [world.virtual_server(80)["suspended"], world.server("10.0.0.12:80")["checks"][0]]
    ip("-n director link set l0 up")
    wait_until(lambda: world.state() == "MASTER", 20, "MASTER")
    wait_until(lambda: world.sync() == ["master"], 10, "sync daemon")
    found["master again"] = [world.sync(), world.virtual_server(81)["suspended"]]
    return found


def module(name: str, *, check: bool = False, **args: Any) -> Any:
    words = {"socket": str(HERE / "agent/runtime/control.sock"), "_ansible_check_mode": check, **args}
    return run_steps.run_module(name, words, 0)


def modules(world: World) -> dict[str, Any]:
    name = "10.0.0.12:80"
    found: dict[str, Any] = {}
    found["info"] = module("director_info", gather=["status", "vrrp", "servers", "events", "diff"], events=5)
    before = world.table()
    found["check"] = module("director_control", check=True, state="drained", server=name, service=f"{VIP}:80")
    found["check changed"] = [before, world.table()]
    found["drained"] = module("director_control", state="drained", server=name, service=f"{VIP}:80", wait=True)
    found["drained: table"] = world.table()
    found["drained again"] = module("director_control", state="drained", server=name, service=f"{VIP}:80")
    found["last"] = module("director_control", state="drained", server=name, service=f"{VIP}:82")
    found["last: check"] = module(
        "director_control", check=True, state="drained", server=name, service=f"{VIP}:82"
    )
    found["unknown"] = module("director_control", state="drained", server="10.0.0.21:80")
    found["serving: check"] = module("director_control", check=True, state="serving", server=name, service=f"{VIP}:80")
    found["serving"] = module("director_control", state="serving", server=name, service=f"{VIP}:80")
    found["serving again"] = module("director_control", state="serving", server=name, service=f"{VIP}:80")
    wait_until(world.daemon.in_step, 10, "serving")
    found["serving: table"] = [before, world.table()]
    found["handed_over: check"] = module("director_control", check=True, state="handed_over")
    found["handed_over"] = module("director_control", state="handed_over", timeout=20)
    found["released"] = module("director_control", state="released")
    found["released again"] = module("director_control", state="released")
    found["instance"] = module("director_control", state="released", instance="VII")
    found["no daemon"] = run_steps.run_module("director_info", {"socket": "/run/nobody.sock"}, 0)
    return found


def end(world: World) -> dict[str, Any]:
    daemon = world.daemon
    before = world.table()
    found: dict[str, Any] = {"status": daemon.stop(), "stays": [before, world.table()], "sync": world.sync()}
    flushing = world.second.replace("global_defs {", "global_defs {\n    lvs_flush_on_stop VS")
    daemon.file.write_text(flushing)
    daemon.start()
    daemon.wait_ready()
    daemon.stop()
    found["VS"] = world.table()
    daemon.file.write_text(flushing.replace("on_stop VS", "on_stop"))
    daemon.start()
    daemon.wait_ready()
    found["again"] = [before, world.table()]
    daemon.stop()
    found["everything"] = world.table()
    return found


def drains(world: World) -> dict[str, Any]:
    """Another daemon on the same network."""
    found: dict[str, Any] = drain_in_guest.steps(world.drains)
    return found


STEPS: tuple[Callable[[World], dict[str, Any]], ...] = (start, drain, death, reload, backup, modules, end, drains)


def main() -> None:
    world = World(*(Path(path).read_text() for path in sys.argv[1:4]))
    found: dict[str, Any] = {}
    begin = time.monotonic()
    for step in STEPS:
        try:
            found[step.__name__] = step(world)
        except (RuntimeError, KeyError, StopIteration, OSError) as error:
            found["failed"] = f"{step.__name__}: {type(error).__name__}: {error}"
            world.daemon.kill()
            break
        found.setdefault("seconds", {})[step.__name__] = time.monotonic() - begin
    found["log"] = world.daemon.log.read_text()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
