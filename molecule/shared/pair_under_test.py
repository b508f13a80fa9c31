# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""Two directors with an engine each: who runs what, and what the agents say of themselves."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from _lab import probe, remote, wire
from as_a_user import INVENTORY, PLAYBOOKS, play
from site_under_test import ADDRESS, ADVERT_INT_S, DIRECTORS, PRIORITY, SETTLED_S, VIP, Site, wait_until

# The engines of lvs01, the master, and of lvs02
PAIRS = (("agent", "agent"), ("agent", "keepalived"), ("keepalived", "agent"))
INSTANCE = "VI_1"
VRID = 51
SITE = PLAYBOOKS / "site.yml"
CONFIGURATION = "/etc/keepalived/keepalived.conf"
UNIT = {"agent": "lvs-agent.service", "keepalived": "keepalived.service"}


class Pair(NamedTuple):
    """The engine of each director, the inventory that says so, and what a client saw while it came true."""

    site: Site
    engines: Mapping[str, str]
    inventory: Path
    seen: list[probe.Attempt]

    @property
    def agents(self) -> list[str]:
        """The directors that run the agent."""
        return [name for name in DIRECTORS if self.engines[name] == "agent"]

    def systemctl(self, director: str, *words: str) -> str:
        """Of the director's engine."""
        return self.site.run(director, "systemctl", *words, UNIT[self.engines[director]])

    def build(self) -> dict[str, int]:
        """Run site.yml on the directors; director -> number of changed tasks."""
        return play(self.inventory, SITE, "--limit", "directors")

    def lvsctl(self, director: str, *words: str) -> Any:
        """What it answers, however healthy it finds the daemon."""
        return json.loads(self.site.run(director, "sh", "-c", f"lvsctl {' '.join(words)} --json || true"))

    def instance(self, director: str) -> dict[str, Any]:
        """All that an agent knows of the site's instance."""
        (one,) = self.lvsctl(director, "vrrp")["instances"]
        return dict(one)

    def events(self, director: str, kind: str) -> list[dict[str, Any]]:
        """An agent's events of this kind, the oldest first."""
        return list(self.lvsctl(director, "events", "--kind", kind, "--number", "500")["events"])

    def agrees(self, director: str) -> None:
        """lvsctl says of the director what ip(8) says there, and who is master as the wire has it."""
        holders = self.site.holders()
        expected = "MASTER" if director in holders else "BACKUP"
        one = self.instance(director)
        assert (one["name"], one["virtual_router_id"], one["interface"]) == (INSTANCE, VRID, "ens33")
        assert (one["state"], one["priority"]) == (expected, PRIORITY[director])
        assert (one["version"], one["advert_int_ms"]) == (2, ADVERT_INT_S * 1000)
        assert [vip.partition("/")[0] for vip in one["vips"]] == [VIP]
        assert one["source"] == ADDRESS[director]
        if expected == "BACKUP":
            assert [one["master"], one["master_priority"]] == [ADDRESS[holders[0]], PRIORITY[holders[0]]]
        (short,) = self.lvsctl(director, "status")["instances"]
        assert {key: short[key] for key in ("name", "state", "vips")} == {
            key: one[key] for key in ("name", "state", "vips")
        }
        assert self.events(director, "transition")[-1]["state"] == expected


def switched(site: Site, engines: Mapping[str, str], directory: Path) -> Pair:
    """The site as it is becomes one with these engines, by its inventory; a client asks the VIP meanwhile."""
    inventory = directory / "inventory"
    shutil.copytree(INVENTORY, inventory)
    for name, engine in engines.items():
        with (inventory / f"host_vars/{name}.yml").open("a") as file:
            file.write(f"\ndirector_engine: {engine}\n")
    pair = Pair(site, engines, inventory, [])
    if site.holders():
        with site.probe(600) as client:
            pair.build()
            pair.seen.extend(client.finish())
    else:
        play(inventory, SITE)
    wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "lvs01 holds the VIP, alone")
    return pair


def reasons(attempts: Sequence[probe.Attempt]) -> str:
    """How many attempts failed, and of what, for a line of figures."""
    failed = Counter(attempt.error for attempt in attempts if attempt.answer is None)
    return ", ".join(f"{count} {error}" for error, count in failed.items()) or "none"


def longest_silence(adverts: Sequence[wire.Advert], director: str, since_s: float) -> float:
    """Seconds between two adverts of the director, the first of them the last before `since_s`."""
    times = [advert.time_s for advert in adverts if advert.source == ADDRESS[director]]
    first = max(index for index, time_s in enumerate(times) if index == 0 or time_s < since_s)
    return max(later - earlier for earlier, later in zip(times[first:], times[first + 1 :]))


@contextmanager
def addresses_watched(site: Site, director: str) -> Iterator[list[str]]:
    """Each change of an address on the director, as `ip monitor` told it, when the block is over."""
    said: list[str] = []
    argv = [*remote.ssh_argv(site.plan, director), "timeout", "60", "ip", "-oneline", "monitor", "address"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as monitor:
        time.sleep(0.5)  # it does not tell when it listens
        try:
            yield said
        finally:
            monitor.terminate()
            said += (monitor.stdout.read() if monitor.stdout else "").splitlines()
