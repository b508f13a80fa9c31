# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of test_via_vip.py: PYTHON via_vip_in_guest.py 4|6, with addresses of that family.

The guest is a director with the whole daemon; two real servers are network namespaces with the VIP on lo, by DR. Prints
a JSON object: step -> what `lvsctl servers` says of each server's two checks, and what the kernel has.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _lvs_agent.control import client

FAMILY = int(sys.argv[1])
NET, WHOLE = ("10.0.0.", 24) if FAMILY == 4 else ("2001:db8::", 64)
ACCEPTS = "1" if FAMILY == 4 else "0"
# as a director has its VIP: no source of its own packets (RFC 6724), which the longer prefix would make it
UNPREFERRED = "" if FAMILY == 4 else "preferred_lft 0"
VIP, ALONE = f"{NET}100", 32 if FAMILY == 4 else 128
SERVERS = (2, 3)
DIRECTORY = Path("/run/agent")
SERVER = """
import socket, sys
family = socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET
listening = socket.create_server(("", 80), family=family)
while True:
    listening.accept()[0].close()
"""
SERVICE = """
virtual_server {vip} 80 {{
 protocol TCP
 lb_kind DR
 delay_loop 0.3
 warmup 0
 connect_timeout 1
 retry 1
 delay_before_retry 0.2
{servers}}}
"""
REAL = """ real_server {net}{number} 80 {{
  inhibit_on_failure
  TCP_CHECK {{
  }}
  TCP_CHECK {{
{via}  }}
 }}
"""


def run(line: str) -> str:
    done = subprocess.run(line.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{line}: {done.stdout}")
    return done.stdout


def configure(via: str = "   @lvs_agent check_via_vip\n") -> None:
    servers = "".join(REAL.format(net=NET, number=number, via=via) for number in SERVERS)
    (DIRECTORY / "keepalived.conf").write_text(SERVICE.format(vip=VIP, servers=servers))


def accept_local() -> str:
    return run("sysctl -n net.ipv4.conf.eth0.accept_local").strip()


def ups() -> dict[str, list[Any]]:
    """Of each server what its two checks say: of its own address, and through the VIP."""
    try:
        answer = client.ask(str(DIRECTORY / "control.sock"), "servers", {}, 10)
    except Exception as error:  # noqa: BLE001 - not there yet, or no more
        return {"error": [str(error)]}
    found = answer["virtual_servers"][0]["servers"] if answer["virtual_servers"] else []
    return {one["server"]: [check["up"] for check in one["checks"]] for one in found}


def when(condition: Callable[[dict[str, list[Any]]], bool]) -> dict[str, Any]:
    """Once it is so, or after 20 s what is so then; and a second later, whether it has stayed."""
    end = time.monotonic() + 20
    while not condition(ups()) and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1.5)
    return {"ups": ups(), "accept_local": accept_local()}


def all_up(found: dict[str, list[Any]]) -> bool:
    return set(found) == {name(2), name(3)} and all(one == [True, True] for one in found.values())


def name(number: int) -> str:
    """Of a real server, as the daemon says it."""
    return f"{NET}{number}:80" if FAMILY == 4 else f"[{NET}{number}]:80"


def vip_of(number: int, verb: str) -> None:
    run(f"ip -n r{number} address {verb} {VIP}/{ALONE} dev lo")


def site() -> list[subprocess.Popen[bytes]]:
    """The real servers' programs."""
    programs = []
    run("ip link add eth0 type bridge")
    run("ip link set eth0 up")
    run("sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
    run(f"ip address add {NET}1/{WHOLE} dev eth0")
    for number in SERVERS:
        run(f"ip netns add r{number}")
        run(f"ip link add p{number} type veth peer name eth0 netns r{number}")
        run(f"ip link set p{number} master eth0 up")
        for name in ("lo", "eth0"):
            run(f"ip -n r{number} link set {name} up")
        run(f"ip netns exec r{number} sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
        run(f"ip netns exec r{number} sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
        run(f"ip -n r{number} address add {NET}{number}/{WHOLE} dev eth0")
        vip_of(number, "add")
        words = ["ip", "netns", "exec", f"r{number}", sys.executable, "-c", SERVER, str(FAMILY)]
        programs.append(subprocess.Popen(words))
    return programs


def start() -> subprocess.Popen[bytes]:
    words = [sys.executable, "-W", "error", "-m", "_lvs_agent.cli", "run", "-f", str(DIRECTORY / "keepalived.conf")]
    where = ["--runtime-dir", str(DIRECTORY), "--history-dir", str(DIRECTORY)]
    with (DIRECTORY / "log").open("ab") as log:
        return subprocess.Popen([*words, *where], stdout=log, stderr=log)


def without() -> dict[str, Any]:
    """Once nothing is left of such checks, or after 20 s."""
    end = time.monotonic() + 20
    while (accept_local() != "0" or "FWM" in run("ipvsadm -Ln")) and time.monotonic() < end:
        time.sleep(0.1)
    return {"accept_local": accept_local(), "table": sorted(run("ipvsadm -Sn").splitlines())}


def main() -> None:
    found: dict[str, Any] = {}
    programs = site()
    DIRECTORY.mkdir(mode=0o755)
    configure()
    daemon = start()
    found["backup"] = when(all_up)
    found["table"] = sorted(run("ipvsadm -Sn").splitlines())
    vip_of(2, "delete")
    found["backup, lost"] = when(lambda now: now[name(2)] == [True, False])
    vip_of(2, "add")
    when(all_up)
    for strict in (0, 1):
        run(f"sysctl -q -w net.ipv4.conf.eth0.rp_filter={strict}")
        run(f"ip address add {VIP}/{ALONE} dev eth0 {UNPREFERRED}")
        found[f"master {strict}"] = when(all_up)
        vip_of(3, "delete")
        found[f"master {strict}, lost"] = when(lambda now: now[name(3)] == [True, False])
        vip_of(3, "add")
        found[f"master {strict}, again"] = when(all_up)
        run(f"ip address delete {VIP}/{ALONE} dev eth0")
    # a reload without such checks takes all of it back
    configure("")
    daemon.send_signal(signal.SIGHUP)
    found["without"] = without()
    configure()
    daemon.send_signal(signal.SIGHUP)
    found["with"] = when(lambda now: all_up(now) and accept_local() == ACCEPTS)
    # after a crash the next one knows what was set
    pid = client.ask(str(DIRECTORY / "control.sock"), "status", {}, 10)["pid"]
    found["killed"] = {"pid": pid == daemon.pid}
    daemon.kill()
    daemon.wait(20)
    time.sleep(1)
    configure("")
    daemon = start()
    found["killed"].update(without())
    configure()
    daemon.send_signal(signal.SIGHUP)
    when(lambda now: all_up(now) and accept_local() == ACCEPTS)
    daemon.terminate()
    daemon.wait(20)
    found["stopped"] = accept_local()
    for program in programs:
        program.kill()
        program.wait(20)
    found["log"] = (DIRECTORY / "log").read_text().splitlines()[-60:]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
