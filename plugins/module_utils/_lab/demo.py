# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: from nothing to a site that outlives a dead real server and the crash of its master, measured."""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from . import lab, probe, remote, wire
from .errors import LabError
from .picture import failover_svg
from .plan import Plan
from .playbook import Run, play

PROBE_S = 9.0
CRASH_AFTER_S = 2.0
_RETURN_TIMEOUT_S = 30.0
_TAKEN_OUT_TIMEOUT_S = 90.0


class Service(NamedTuple):
    """A virtual service as `ipvsadm -Sn` on a director shows it."""

    address: str
    port: int


class Death(NamedTuple):
    """What the death of a real server cost: `seconds` until it was taken out, the client's attempts until then, and
    those of a second afterwards."""

    server: str
    seconds: float
    attempts: list[probe.Attempt]
    afterwards: list[probe.Attempt]


class Failover(NamedTuple):
    """What a crash of the master cost. `silence_s`: from its last advert to the backup's first; `adverts`: Unix
    time and host of each."""

    crashed: str
    new_master: str
    crashed_at_s: float
    silence_s: float
    adverts: list[tuple[float, str]]
    outages: list[probe.Outage]
    attempts: list[probe.Attempt]


class Teller:
    """Progress on standard error: seconds since the start, then what goes on."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - self._started:4.0f} s]   {text}\n")
        sys.stderr.flush()

    def phase(self, text: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - self._started:4.0f} s] ==> {text}\n")
        sys.stderr.flush()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started


def demo(site: str, name: str, as_json: bool) -> int:
    """Boot the lab, build the site twice, show it balancing, crash its master. Leaves the lab up."""
    playbooks = Path("playbooks").resolve()
    inventory = playbooks / "inventories" / site
    if not inventory.is_dir():
        known = ", ".join(sorted(path.name for path in inventory.parent.iterdir()))
        raise LabError(f"no site {site!r} in {inventory.parent}; there are: {known}")
    tell = Teller()
    log = Path("build") / f"demo-{name}.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    os.environ["LAB"] = name

    tell.phase(f"booting a host for every host of {site} (the first time this builds their image: a minute more)")
    booted = play(playbooks / "lab_up.yml", [inventory], log, tell)
    plan = lab.existing_plan(name)
    inventories = [inventory, lab.inventory_path(name)]
    tell.phase("building the site: ansible-playbook site.yml")
    first = play(playbooks / "site.yml", inventories, log, tell)
    tell.phase("building it again: nothing may change")
    second = play(playbooks / "site.yml", inventories, log, tell)
    if any(second.changed.values()):
        raise LabError(f"the second run changed something: {second.changed}; see {log}")

    directors = _group(inventories, "directors")
    client = next(guest.name for guest in plan.guests if guest.host.lab_only)
    tell.phase("waiting for the VIP and its real servers")
    master = _wait_for_master(plan, directors)
    service = _service(plan, master)
    engine = _engine(plan, master)
    tell(f"{master} holds {service.address}, and runs {engine}")
    tell.phase(f"asking {service.address}:{service.port} from {client} for two seconds")
    with remote.Probe(plan, client, service.address, service.port, 2.0) as client_probe:
        calm = client_probe.result()
    server = _real_server(plan, master, service)
    tell.phase(f"cutting the power of {server}, a real server")
    death = kill_server(plan, client, service, master, server)
    tell(f"{master} took it out after {death.seconds:.1f} s")
    lab.boot(plan, plan.guest(server), tell)
    tell.phase(f"cutting the power of {master}, which holds {service.address}")
    failover = crash_master(plan, client, service, master, directors)
    picture = log.with_suffix(".svg")
    picture.write_text(
        failover_svg(failover.crashed_at_s, failover.crashed, failover.adverts, failover.attempts)
    )
    tell(f"drawn in {picture}")
    table = remote.output(plan, failover.new_master, "ipvsadm", "-Ln")
    tell.phase(f"booting {master} again")
    lab.boot(plan, plan.guest(master), tell)
    holder = _wait_for_master(plan, directors, prefer=master)
    facts = _facts(
        site=site, engine=engine, service=service, holder=holder, calm=calm, death=death,
        failover=failover, booted=booted, first=first, second=second, seconds=tell.seconds,
    )  # fmt: skip
    sys.stdout.write(json.dumps(facts, indent=1) + "\n" if as_json else _summary(facts, table, plan))
    return 0


def kill_server(plan: Plan, client: str, service: Service, master: str, server: str) -> Death:
    """Crash a real server while `client` asks the VIP; measure until the master's table no longer has it."""
    with remote.Probe(plan, client, service.address, service.port, 2 * _TAKEN_OUT_TIMEOUT_S) as client_probe:
        lab.crash(plan, plan.guest(server))
        crashed = time.monotonic()
        while server in _pool(plan, master, service):
            if time.monotonic() > crashed + _TAKEN_OUT_TIMEOUT_S:
                raise LabError(f"{master} still has {server}, dead for {_TAKEN_OUT_TIMEOUT_S:.0f} s, in its IPVS table")
            time.sleep(0.1)
        seconds = time.monotonic() - crashed
        attempts = client_probe.finish()
    with remote.Probe(plan, client, service.address, service.port, 1.0) as client_probe:
        return Death(server, seconds, attempts, client_probe.result())


def _pool(plan: Plan, director: str, service: Service) -> list[str]:
    """The hosts that serve, as the director's IPVS table has them: those with a weight."""
    hosts = {text.partition("/")[0]: guest.name for guest in plan.guests for nic in guest.host.nics
             for text in nic.addresses}  # fmt: skip
    found = []
    for line in remote.output(plan, director, "ipvsadm", "-Sn").splitlines():
        words = line.split()
        if words[:2] == ["-a", "-t"] and words[2].rpartition(":")[0].strip("[]") == service.address:
            server = words[words.index("-r") + 1].rpartition(":")[0].strip("[]")
            if words[words.index("-w") + 1] != "0" and server in hosts:
                found.append(hosts[server])
    return found


def _real_server(plan: Plan, director: str, service: Service) -> str:
    """One that another one can stand in for."""
    pool = _pool(plan, director, service)
    if len(pool) < 2:
        raise LabError(f"{director} has {len(pool)} real servers for {service.address} that serve; two are needed")
    return pool[0]


def crash_master(plan: Plan, client: str, service: Service, master: str, directors: Sequence[str]) -> Failover:
    """Crash `master` while `client` asks the VIP every 10 ms; measure from the client and from the wire."""
    addresses = {_address(plan, host): host for host in directors}
    with wire.Capture(plan) as capture, remote.Probe(
        plan, client, service.address, service.port, PROBE_S
    ) as client_probe:
        time.sleep(CRASH_AFTER_S)
        crashed_at = time.time()
        lab.crash(plan, plan.guest(master))
        attempts = client_probe.result()
        adverts = capture.adverts
    old = [advert.time_s for advert in adverts if addresses.get(advert.source) == master]
    backups = set(addresses) - {address for address, host in addresses.items() if host == master}
    new = [advert for advert in adverts if advert.source in backups and advert.time_s > crashed_at]
    if not old or not new:
        raise LabError(f"{len(old)} adverts of {master} before its crash and {len(new)} of a backup after it were seen")
    return Failover(
        crashed=master,
        new_master=addresses[new[0].source],
        crashed_at_s=crashed_at,
        silence_s=new[0].time_s - max(old),
        adverts=[(advert.time_s, addresses[advert.source]) for advert in adverts if advert.source in addresses],
        outages=probe.outages(attempts),
        attempts=attempts,
    )


def holders(plan: Plan, directors: Sequence[str], address: str) -> list[str]:
    """The directors that have `address` on one of their interfaces, as ip(8) says."""
    found = []
    for host in directors:
        links = json.loads(remote.output(plan, host, "ip", "-json", "address", "show"))
        if address in {info["local"] for link in links for info in link["addr_info"]}:
            found.append(host)
    return found


def _wait_for_master(plan: Plan, directors: Sequence[str], prefer: str | None = None) -> str:
    """The one director that holds the first service's VIP; `prefer` is given time to take it back."""
    deadline = time.monotonic() + _RETURN_TIMEOUT_S
    held: list[str] = []
    while time.monotonic() < deadline:
        address = _service(plan, directors[0]).address
        held = holders(plan, directors, address)
        if len(held) == 1 and prefer in (None, held[0]):
            return held[0]
        time.sleep(0.5)
    if len(held) == 1:
        return held[0]
    whom = ", ".join(held) or "nobody"
    raise LabError(f"the VIP is held by {whom} after {_RETURN_TIMEOUT_S:.0f} s, not by exactly one director")


def _service(plan: Plan, director: str) -> Service:
    """The first TCP service with real servers in the director's IPVS table."""
    deadline = time.monotonic() + _RETURN_TIMEOUT_S
    while time.monotonic() < deadline:
        for line in remote.output(plan, director, "ipvsadm", "-Sn").splitlines():
            words = line.split()
            if words[:2] == ["-a", "-t"]:
                address, _colon, port = words[2].rpartition(":")
                return Service(address.strip("[]"), int(port))
        time.sleep(0.5)
    raise LabError(f"{director} has no virtual service with real servers in its IPVS table")


def _engine(plan: Plan, director: str) -> str:
    """The unit of those that run keepalived.conf that is active there, and what it says its version is."""
    running = remote.output(
        plan, director, "sh", "-c", "systemctl is-active --quiet lvs-agent && lvsctl --version || keepalived -v 2>&1"
    )
    words = running.splitlines()[0].split()
    return f"lvs-agent {words[1]}" if words[0] == "lvsctl" else " ".join(words[:2])


def _group(inventories: Sequence[Path], group: str) -> list[str]:
    argv = ["ansible-inventory", *(word for path in inventories for word in ("-i", str(path))), "--list"]
    process = subprocess.run(argv, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise LabError(f"ansible-inventory ended with {process.returncode}: {process.stderr.strip()}")
    listing: dict[str, Any] = json.loads(process.stdout)
    return list(listing.get(group, {}).get("hosts", ()))


def _address(plan: Plan, host: str) -> str:
    return next(text for nic in plan.guest(host).host.nics for text in nic.addresses).partition("/")[0]


def _facts(
    *, site: str, engine: str, service: Service, holder: str, calm: list[probe.Attempt], death: Death,
    failover: Failover, booted: Run, first: Run, second: Run, seconds: float,
) -> dict[str, Any]:  # fmt: skip
    return {
        "site": site,
        "engine": engine,
        "vip": f"{service.address}:{service.port}",
        "master": holder,
        "requests_per_server": probe.answers(calm),
        "dead_server": death.server,
        "dead_server_out_s": round(death.seconds, 1),
        "dead_server_client_attempts": len(death.attempts),
        "dead_server_client_failed": _failed(death.attempts),
        "requests_per_server_afterwards": probe.answers(death.afterwards),
        "failed_afterwards": _failed(death.afterwards),
        "crashed": failover.crashed,
        "took_over": failover.new_master,
        "silence_on_the_wire_ms": round(failover.silence_s * 1000),
        "client_outages_ms": [round(outage.length_s * 1000) for outage in failover.outages],
        "client_attempts": len(failover.attempts),
        "client_failed": _failed(failover.attempts),
        "lab_up_s": round(booted.seconds, 1),
        "site_first_run_s": round(first.seconds, 1),
        "site_second_run_s": round(second.seconds, 1),
        "demo_s": round(seconds),
    }


def _failed(attempts: Sequence[probe.Attempt]) -> int:
    return sum(attempt.answer is None for attempt in attempts)


def _served(answers: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in answers.items())


def _summary(facts: dict[str, Any], table: str, plan: Plan) -> str:
    unserved = f"{facts['dead_server_client_failed']} of {facts['dead_server_client_attempts']}"
    outage = ", ".join(f"{length} ms" for length in facts["client_outages_ms"]) or "none"
    failed = f"{facts['client_failed']} of {facts['client_attempts']}"
    return f"""
The site {facts["site"]} is up in the lab {plan.name}. VIP {facts["vip"]}, master {facts["master"]}.
Its directors run {facts["engine"]}.

The IPVS table of {facts["took_over"]} after it took over:
{table}
Requests per server in calm      {_served(facts["requests_per_server"])}
Power cut of {facts["dead_server"]:<18}  taken out after {facts["dead_server_out_s"]} s
  failed until then              {unserved} requests, one every 10 ms
  afterwards, in one second      {_served(facts["requests_per_server_afterwards"])}; {facts["failed_afterwards"]} failed
Crash of {facts["crashed"]:<22}  {facts["took_over"]} took over
  outage as the client saw it    {outage} ({failed} requests, one every 10 ms)
  silence on the wire            {facts["silence_on_the_wire_ms"]} ms from the last advert to the next master's first
Lab up                           {facts["lab_up_s"]} s
site.yml, first run              {facts["site_first_run_s"]} s
site.yml, second run             {facts["site_second_run_s"]} s, nothing changed
All of it                        {facts["demo_s"]} s

Go on:  make lab-status | make lab-ssh HOST={facts["master"]} | make lab-crash HOST={facts["master"]} | make demo-down
"""
