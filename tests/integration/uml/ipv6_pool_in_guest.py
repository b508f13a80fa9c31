# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of test_ipv6_pool.py: two directors, two real servers that hold the VIPs (DR), and a client.

Each is a network namespace on one bridge. PYTHON ipv6_pool_in_guest.py NUMBER NUMBER [LINE]: the client's connections
through lb1 and through lb2, and a line for the VRRP instance. Prints a JSON object: step -> what the client, the wire
and the kernel say.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guest_daemon import Daemon, Keepalived, Servers, ask, ip, run, saved, wait_until

from _lvs_agent.kernel.netns import inside

HERE = Path("/run/world")
NET = "2001:db8::"
DIRECTORS = {"lb1": (1, 150), "lb2": (2, 100)}
#: and what holds the VIPs there
WEBS = {"web1": (11, "lo"), "web2": (12, "dummy0")}
CLIENT = 9
#: as virtual_ipaddress has them; the site lets the host's own packets come from the last one
VIPS = (f"{NET}100/64", f"{NET}101/64", f"{NET}102", f"{NET}103/64 preferred_lft forever")
#: seconds in which every server is checked three times at least
ROUNDS_S = 3.5
CONF = """
vrrp_instance V6 {{
 interface eth0
 virtual_router_id 51
 priority {priority}
 version 3
 {line}
 virtual_ipaddress {{
  fe80::100/64
{vips} }}
}}
{services}"""
SERVICE = """virtual_server {vip} 80 {{
 protocol TCP
 lb_algo rr
 lb_kind DR
 delay_loop 1
{servers}}}
"""
SERVER = """ real_server {address} 80 {{
  TCP_CHECK {{
   connect_timeout 1
   retry 1
   delay_before_retry 1
  }}
 }}
"""


def addresses() -> list[str]:
    """The VIPs, each alone."""
    return [re.split("[/ ]", vip)[0] for vip in VIPS]


def conf(name: str, line: str) -> str:
    servers = "".join(SERVER.format(address=f"{NET}{number}") for number, _holder in WEBS.values())
    return CONF.format(
        priority=DIRECTORS[name][1],
        line=line,
        vips="".join(f"  {vip}\n" for vip in VIPS),
        services="".join(SERVICE.format(vip=vip, servers=servers) for vip in addresses()),
    )


def links() -> None:
    ip("link add br0 type bridge")
    ip("link set br0 up")
    numbers = {name: number for name, (number, _rest) in {**DIRECTORS, **WEBS}.items()}
    for name, number in {**numbers, "client": CLIENT}.items():
        ip(f"netns add {name}")
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        ip(f"link add p-{name} type veth peer name eth0 netns {name}")
        ip(f"link set p-{name} master br0 up")
        for link in ("lo", "eth0"):
            ip(f"-n {name} link set {link} up")
        ip(f"-n {name} address add {NET}{number}/64 dev eth0 nodad")
    for name, (_number, holder) in WEBS.items():
        if holder != "lo":
            ip(f"-n {name} link add {holder} type dummy")
            ip(f"-n {name} link set {holder} up")
        for vip in addresses():
            ip(f"-n {name} address add {vip}/128 dev {holder} nodad")


class Checks:
    """tcpdump at a director's port while the block runs: where what it sends to the real servers' own addresses
    comes from."""

    def __init__(self, name: str) -> None:
        own = " or ".join(f"dst host {NET}{number}" for number, _holder in WEBS.values())
        words = ["tcpdump", "-Z", "root", "-n", "-t", "-l", "--immediate-mode", "-Q", "in", "-i", f"p-{name}"]
        self._process = subprocess.Popen(
            [*words, f"ip6 and tcp and ({own})"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for line in self._process.stderr or ():
            if "listening on" in line:
                break

    def close(self) -> list[str]:
        self._process.terminate()
        said = self._process.communicate(timeout=20)[0]
        return sorted(set(re.findall(r"^IP6 (\S+)\.\d+ > ", said, re.MULTILINE)))


def pools() -> dict[str, dict[str, int]]:
    """Of each director's table: real server -> of how many virtual services with a weight."""
    found = {}
    for name in DIRECTORS:
        lines = [line.split() for line in saved(name) if line.startswith("-a ") and not line.endswith(" -w 0")]
        found[name] = dict(Counter(words[words.index("-r") + 1] for words in lines))
    return found


def vips_of(name: str) -> dict[str, list[Any]]:
    """VIP -> its interface, prefix length and whether it is deprecated, as ip(8) has them."""
    shown = json.loads(run("ip", "-n", name, "-6", "-j", "address", "show"))
    return {
        info["local"]: [link["ifname"], info["prefixlen"], bool(info.get("deprecated"))]
        for link in shown
        for info in link.get("addr_info", ())
        if info.get("local") in addresses()
    }


def served(number: int) -> dict[str, dict[str, int]]:
    """A client's connections, one VIP after the other: VIP -> real server, or the error -> how many."""
    found: dict[str, Counter[str]] = {vip: Counter() for vip in addresses()}
    with inside("client"):
        for each in range(number):
            vip = addresses()[each % len(VIPS)]
            status, server = ask(vip, 80)
            found[vip][server if status == "200" else status] += 1
    return {vip: dict(counted) for vip, counted in found.items()}


def watched(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``act`` finds, and where the directors' health checks came from meanwhile."""
    captures = {name: Checks(name) for name in DIRECTORS}
    start = time.monotonic()
    found = act()
    time.sleep(max(0.0, start + ROUNDS_S - time.monotonic()))
    return {**found, "pools": pools(), "checks from": {name: one.close() for name, one in captures.items()}}


def serving(master: str, number: int) -> dict[str, Any]:
    """The pool while a director is master."""

    def act() -> dict[str, Any]:
        return {"served": served(number), "vips": {name: vips_of(name) for name in DIRECTORS}}

    route = json.loads(run("ip", "-n", master, "-6", "-j", "route", "get", f"{NET}{WEBS['web1'][0]}"))
    return {**watched(act), "kernel's source": route[0]["prefsrc"]}


def holds(name: str) -> Callable[[], bool]:
    return lambda: set(vips_of(name)) == set(addresses())


def with_keepalived(line: str, backup: Daemon) -> dict[str, Any]:
    """lb1 by keepalived, which takes over from lb2: what becomes of its pool, and why."""
    keepalived = Keepalived("lb1", HERE / "theirs", conf("lb1", line))
    keepalived.start()
    wait_until(holds("lb1"), 30, keepalived.log.read_text())
    backup.stop()

    def act() -> dict[str, Any]:
        end = time.monotonic() + 15
        while pools()["lb1"] and time.monotonic() < end:
            time.sleep(0.2)
        return {"vips": {"lb1": vips_of("lb1")}}

    found = watched(act)
    keepalived.stop()
    return found


def main() -> None:
    numbers, line = dict(zip(DIRECTORS, map(int, sys.argv[1:]))), " ".join(sys.argv[3:])
    HERE.mkdir(mode=0o755)
    found: dict[str, Any] = {}
    links()
    servers = Servers()
    for name in WEBS:
        servers.open(name, "::", 80)
    daemons = {name: Daemon(name, HERE / name, conf(name, line)) for name in DIRECTORS}
    for name in ("lb1", "lb2"):
        daemons[name].start()
        daemons[name].wait_ready()
        wait_until(holds("lb1"), 30, daemons[name].log.read_text())
    found["lb1"] = serving("lb1", numbers["lb1"])
    daemons["lb1"].stop()
    wait_until(holds("lb2"), 30, daemons["lb2"].log.read_text())
    found["lb2"] = serving("lb2", numbers["lb2"])
    found["keepalived"] = with_keepalived(line, daemons["lb2"])
    found["log"] = [line for one in daemons.values() for line in one.log.read_text().splitlines()[-60:]]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
