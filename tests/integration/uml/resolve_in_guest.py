# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a guest: PYTHON resolve_in_guest.py; what ipvsadm shows while a real server's name gets other addresses.

The director is a network namespace with the real servers' addresses on its own lo, as NAT from itself would need no
more; the host's resolver reads a file of ours. Prints a JSON object: step -> the real servers of the table.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from guest_daemon import Daemon, Servers, ip, run, saved, wait_until

HERE = Path("/run/world")
HOSTS, NSSWITCH = HERE / "hosts", HERE / "nsswitch.conf"
CONF = """
virtual_server 192.0.2.100 80 {
    delay_loop 0.3
    lb_kind NAT
    lb_algo rr
    protocol TCP
    connect_timeout 1
    retry 1
    delay_before_retry 0.2
    real_server 10.0.0.1 80 {
        @lvs_agent resolve web1.example.org 1
        TCP_CHECK {
        }
    }
    real_server 10.0.0.13 80 {
        TCP_CHECK {
        }
    }
}
"""


class World:
    """The director, and what its resolver is told."""

    def __init__(self) -> None:
        HERE.mkdir(mode=0o755)
        NSSWITCH.write_text("hosts: files\n")
        self.name_is()
        for source, target in ((HOSTS, "/etc/hosts"), (NSSWITCH, "/etc/nsswitch.conf")):
            run("mount", "--bind", str(source), target)
        ip("netns add director")
        ip("-n director link set lo up")
        servers = Servers()
        for last in (11, 12, 13):
            ip(f"-n director address add 10.0.0.{last}/32 dev lo")
            servers.open("director", f"10.0.0.{last}", 80)
        self.daemon = Daemon("director", HERE / "agent", CONF)
        self.fewest = 2

    def name_is(self, *addresses: str) -> None:
        """What the resolver says from now on."""
        HOSTS.write_text("".join(f"{address} web1.example.org\n" for address in addresses))

    def servers(self) -> list[str]:
        """Of the table, each with its weight."""
        found = [line.split() for line in saved("director") if line.startswith("-a")]
        return [f"{words[words.index('-r') + 1]} {words[-1]}" for words in found]

    def when(self, *expected: str) -> list[str]:
        """Once the table has these, or what it has after 15 s; meanwhile it never has fewer than ``fewest``."""

        def there() -> bool:
            now = self.servers()
            self.fewest = min(self.fewest, len(now))
            return now == list(expected)

        try:
            wait_until(there, 15)
        except RuntimeError:
            pass
        return self.servers()


def main() -> None:
    world = World()
    world.name_is("10.0.0.11")
    world.daemon.start()
    world.daemon.wait_ready()
    found: dict[str, Any] = {"first": world.when("10.0.0.11:80 1", "10.0.0.13:80 1")}
    world.fewest = 2
    world.name_is("10.0.0.12")
    found["moved"] = world.when("10.0.0.12:80 1", "10.0.0.13:80 1")
    found["fewest"] = world.fewest
    world.name_is()
    wait_until(lambda: "not resolved" in json.dumps(world.daemon.say("events")), 15, "the name is gone")
    found["unknown"] = world.servers()
    pid = world.daemon.lvs_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: world.daemon.lvs_pid() not in (0, pid) and world.daemon.in_step(), 20, "another LVS process")
    found["killed"] = world.servers()
    found["drain"] = world.daemon.ask("drain", "10.0.0.1:80")[0]
    found["drained"] = world.when("10.0.0.12:80 0", "10.0.0.13:80 1")
    world.name_is("10.0.0.11")
    found["drained, moved"] = world.when("10.0.0.11:80 0", "10.0.0.13:80 1")
    found["status"] = world.daemon.stop()
    found["log"] = world.daemon.log.read_text().splitlines()[-40:]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
