# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of test_two_boxes.py: two directors that are their own real servers (DR), and a client.

Each is a network namespace on one bridge. Prints a JSON object: step -> what the client, the wire and the kernel say.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from guest_daemon import Daemon, Servers, ask, ip, ipvsadm, run, saved, wait_until

from _lvs_agent.kernel.errors import KernelError
from _lvs_agent.kernel.ipvs import Ipvs
from _lvs_agent.kernel.netns import inside

HERE = Path("/run/world")
VIP = "10.0.0.100"
BOXES = {"lb1": ("10.0.0.1", 150), "lb2": ("10.0.0.2", 100)}
CONNECTIONS = 1000
# three adverts are more than a daemon takes to start in a guest of a busy machine: a crash moves no VIP
CONF = """
vrrp_instance V4 {{
 interface eth0
 virtual_router_id 51
 priority {priority}
 advert_int 5
 virtual_ipaddress {{
  {vip}/32
 }}
}}
virtual_server {vip} 80 {{
 protocol TCP
 lb_algo rr
 lb_kind DR
 delay_loop 1
{word} real_server 10.0.0.1 80 {{
  TCP_CHECK {{
  }}
 }}
 real_server 10.0.0.2 80 {{
  TCP_CHECK {{
  }}
 }}
}}
"""
WORD = " @lvs_agent lvs_master_only true\n"


def conf(name: str, word: str) -> str:
    return CONF.format(priority=BOXES[name][1], vip=VIP, word=word)


def links() -> None:
    ip("link add br0 type bridge")
    ip("link set br0 up")
    for name, address in {**{name: box[0] for name, box in BOXES.items()}, "client": "10.0.0.9"}.items():
        ip(f"netns add {name}")
        ip(f"link add p-{name} type veth peer name eth0 netns {name}")
        ip(f"link set p-{name} master br0 up")
        for link in ("lo", "eth0"):
            ip(f"-n {name} link set {link} up")
        ip(f"-n {name} address add {address}/24 dev eth0")
    for name in BOXES:
        # as the role real_server leaves it
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.all.arp_announce=2")
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.vs.expire_nodest_conn=1")
        ip(f"-n {name} address add {VIP}/32 dev lo")


class Bounced:
    """Counts packets to the VIP that a director sends: to a real server, or back to the other director."""

    def __init__(self, name: str) -> None:
        said = run("ip", "-n", name, "-o", "link", "show", "dev", "eth0")
        found = re.search(r"link/ether (\S+)", said)
        self._mac = bytes.fromhex(found[1].replace(":", "")) if found else b""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self._socket.bind((f"p-{name}", 0))
        self._socket.settimeout(0.2)
        self.number = 0
        self._ends = False
        self._thread = threading.Thread(target=self._count)
        self._thread.start()

    def _count(self) -> None:
        while not self._ends:
            with suppress(TimeoutError):
                frame = self._socket.recv(2048)
                ours = frame[6:12] == self._mac and frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP
                self.number += ours and frame[30:34] == socket.inet_aton(VIP)

    def close(self) -> int:
        self._ends = True
        self._thread.join()
        self._socket.close()
        return self.number


def connections(number: int) -> dict[str, int]:
    """What became of a client's connections, one after the other."""
    with inside("client"):
        return dict(Counter(ask(VIP, 80)[0] for _each in range(number)))


class Changes:
    """When a director's table had our service and when not, and when its VIP came and went on eth0.

    The table is looked at every ``period_s``, which costs the guest's only processor.
    """

    def __init__(self, name: str, period_s: float = 0.0005) -> None:
        self._period_s = period_s
        words = ["ip", "-n", name, "-ts", "-o", "monitor", "address"]
        self._monitor = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        with inside(name):
            self._kernel = Ipvs()
        self.table: list[tuple[float, bool]] = []
        self._ends = False
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        wait_until(lambda: self.table, 10, "the table")

    def _watch(self) -> None:
        while not self._ends:
            with suppress(KernelError):
                here = bool(self._kernel.services())
                if not self.table or self.table[-1][1] is not here:
                    self.table.append((time.time(), here))
            time.sleep(self._period_s)

    def close(self) -> dict[str, Any]:
        time.sleep(0.5)
        self._ends = True
        self._thread.join()
        self._kernel.close()
        self._monitor.terminate()
        said = self._monitor.communicate(timeout=20)[0]
        vips = []
        for line in said.splitlines():
            when = re.match(r"\[(\S+)\]", line)
            if when and f"inet {VIP}/" in line and "eth0" in line:
                vips.append((datetime.fromisoformat(when[1]).timestamp(), "Deleted" not in line))
        return {"table": self.table, "vip": vips}


class Pair:
    def __init__(self) -> None:
        self.servers = Servers()
        for name in BOXES:
            self.servers.open(name, "0.0.0.0", 80)  # the VIP and its own address
        self.daemons = {name: Daemon(name, HERE / name, conf(name, "")) for name in BOXES}

    def state(self, name: str) -> str:
        instances = self.daemons[name].say("status").get("instances") or [{}]
        return str(instances[0].get("state"))

    def start(self, name: str, state: str) -> None:
        self.daemons[name].start()
        self.daemons[name].wait_ready()
        wait_until(lambda: self.state(name) == state, 30, self.daemons[name].log.read_text())

    def configure(self, word: str) -> None:
        for name, daemon in self.daemons.items():
            daemon.file.write_text(conf(name, word))
            daemon.ask("reload")
            wait_until(daemon.in_step, 20, daemon.log.read_text())

    def traffic(self, number: int) -> dict[str, Any]:
        counting = Bounced("lb2")
        found = connections(number)
        return {"answers": found, "sent back": counting.close(), "tables": self.tables()}

    def tables(self) -> dict[str, int]:
        return {name: len(saved(name)) for name in BOXES}


def killed(pair: Pair) -> dict[str, Any]:
    """What SIGKILL does to the master's table and the backup's, of each process in turn."""
    master, backup = pair.daemons["lb1"], pair.daemons["lb2"]
    found: dict[str, Any] = {}
    # a table that was emptied is not filled again within milliseconds
    watched = {name: Changes(name, 0.01) for name in BOXES}
    for daemon in (master, backup):
        before = daemon.lvs_pid()
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: daemon.lvs_pid() not in (0, before), 30, "the LVS process")  # noqa: B023
        wait_until(daemon.in_step, 20, "its table")
    vrrp = master.say("status")["vrrp_process"]["pid"]
    os.kill(vrrp, signal.SIGKILL)
    wait_until(lambda: (master.say("status").get("vrrp_process") or {}).get("pid") not in (None, vrrp), 30, "VRRP")
    wait_until(lambda: pair.state("lb1") == "MASTER", 30, "MASTER again")
    for name in ("lb1", "lb2"):
        pair.daemons[name].kill()
        pair.daemons[name].start()
        wait_until(lambda: pair.state(name) in ("MASTER", "BACKUP"), 30, "its state")  # noqa: B023
        wait_until(pair.daemons[name].in_step, 20, "its table")
    found["states"] = {name: pair.state(name) for name in BOXES}
    found["changes"] = {name: one.close() for name, one in watched.items()}
    return found


def drift(pair: Pair) -> int:
    """Somebody adds the service to the backup's table: how many lines it has in the end."""
    ipvsadm("lb2", f"-A -t {VIP}:80 -s rr")
    with suppress(RuntimeError):
        wait_until(lambda: not saved("lb2"), 10)
    return pair.tables()["lb2"]


def main() -> None:
    HERE.mkdir(mode=0o755)
    found: dict[str, Any] = {}
    links()
    pair = Pair()
    pair.start("lb1", "MASTER")
    pair.start("lb2", "BACKUP")
    found["both tables"] = pair.traffic(60)
    pair.configure(WORD)
    found["master only"] = pair.traffic(CONNECTIONS)
    found["checks"] = [
        one["state"] for one in pair.daemons["lb2"].say("servers")["virtual_servers"][0]["servers"]
    ]
    found["diff"] = pair.daemons["lb2"].ask("diff")
    found["drift"] = drift(pair)
    found["killed"] = killed(pair)
    # planned: the master stops, its backup takes over, and gives the VIPs back
    watched = {name: Changes(name) for name in BOXES}
    pair.daemons["lb1"].stop()
    wait_until(lambda: pair.state("lb2") == "MASTER", 30, "take-over")
    found["take-over"] = {name: one.close() for name, one in watched.items()}
    found["after take-over"] = {"answers": connections(50), "tables": pair.tables()}
    watched = {name: Changes(name) for name in BOXES}
    pair.start("lb1", "MASTER")
    wait_until(lambda: pair.state("lb2") == "BACKUP", 30, "given back")
    found["given back"] = {name: one.close() for name, one in watched.items()}
    found["after giving back"] = pair.traffic(50)
    for daemon in pair.daemons.values():
        daemon.stop()
    found["stopped"] = pair.tables()
    found["log"] = [line for one in pair.daemons.values() for line in one.log.read_text().splitlines()[-60:]]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
