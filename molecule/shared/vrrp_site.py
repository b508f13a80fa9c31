# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""A site of VRRP alone, asked from outside: who has the VIP, who answers a client, and the site built anew."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from _lab import demo, probe, remote
from _lab.plan import Plan
from as_a_user import PLAYBOOKS, play
from site_under_test import wait_until

SITE = PLAYBOOKS / "site.yml"
UNIT = {"agent": "lvs-agent.service", "keepalived": "keepalived.service"}
# What two busy processors add: a start of Python for a check, one for a script, scheduling.
SLOW_S = 3.0
SETTLED_S = 30.0
ADVERT_INT_S = 1.0


def skew_s(priority: int) -> float:
    """RFC 3768, 6.1."""
    return (256 - priority) / 256


def master_down_s(priority: int) -> float:
    """RFC 3768, 6.1, with adverts every second."""
    return 3 * ADVERT_INT_S + skew_s(priority)


def unserved_s(attempts: Sequence[probe.Attempt]) -> float:
    """Seconds from the first attempt that failed to the first one behind which all were answered; 0 for none."""
    outages = probe.outages(attempts)
    return outages[-1].end_s - outages[0].start_s if outages else 0.0


class VrrpSite(NamedTuple):
    """``inventory``: its directory's name; ``directors`` the one with the higher priority first."""

    plan: Plan
    inventory: str
    directors: Sequence[str]
    vip: str
    port: int

    def run(self, host: str, *argv: str) -> str:
        return remote.output(self.plan, host, *argv)

    def holders(self) -> list[str]:
        """The directors that have the VIP, as ip(8) says."""
        return demo.holders(self.plan, self.directors, self.vip)

    def mac(self, host: str, nic: str = "eth0") -> str:
        return next(port.mac for port in self.plan.guest(host).ports if port.nic == nic)

    def probe(self, duration_s: float) -> remote.Probe:
        """A connection to the VIP every 20 ms from the client."""
        return remote.Probe(self.plan, "client", self.vip, self.port, duration_s, interval_s=0.02)

    def answers(self) -> dict[str, int]:
        """Who answers the client in a second, by name; a lost attempt is "nobody"."""
        with self.probe(1.0) as client:
            attempts = client.result()
        lost = sum(attempt.answer is None for attempt in attempts)
        return {**probe.answers(attempts), **({"nobody": lost} if lost else {})}

    def wait_for_holder(self, host: str) -> float:
        """Until it alone has the VIP; the seconds that took."""
        return wait_until(lambda: self.holders() == [host], SETTLED_S, f"{host} has the VIP")

    def build(self, engine: str, inventory: Path | None = None) -> dict[str, int]:
        """Run site.yml; host -> number of changed tasks."""
        path = inventory or PLAYBOOKS / "inventories" / self.inventory
        return play(path, SITE, "-e", f"director_engine={engine}")

    def variant(self, directory: Path, instance: Mapping[str, Any], script: Mapping[str, Any] | None = None) -> Path:
        """A copy of the inventory whose only instance, and whose tracked script, have these words too."""
        inventory = directory / "inventory"
        shutil.copytree(PLAYBOOKS / "inventories" / self.inventory, inventory)
        path = inventory / "group_vars/directors.yml"
        words = yaml.safe_load(path.read_text(encoding="utf-8"))
        (one,) = words["director_vrrp_instances"]
        one.update(instance)
        for each in words["director_vrrp_scripts"]:
            if each["name"] in one["track_script"]:
                each.update(script or {})
        path.write_text(yaml.safe_dump(words), encoding="utf-8")
        if one.get("nopreempt"):
            for name in self.directors:
                own = inventory / f"host_vars/{name}.yml"
                own.write_text(own.read_text(encoding="utf-8").replace("state: MASTER", "state: BACKUP"))
        return inventory
