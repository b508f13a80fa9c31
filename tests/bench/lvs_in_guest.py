# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of test_lvs.py: PYTHON lvs_in_guest.py PARTS, some of those in PARTS below, separated by commas.

Each engine in turn runs from the same file, on the same kernel, with nothing else of either beside it. Prints a JSON
object: part -> engine -> figures. The real servers are addresses of 127.0.0.0/8, all of them one nginx.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from advert_log import AdvertLog

OURS, KEEPALIVED = "lvs-agent", "keepalived"
TICK = os.sysconf("SC_CLK_TCK")
PORT, STATUS, MORTAL = 8080, 8081, 8090
INTERVAL, RETRY, PAUSE, TIMEOUT = 2, 1, 1, 1
POOL = 100
WINDOW_S, SETTLE_S = 8, 3
ROUNDS = 2
MOST_S = 60
ADVERT_S = 0.1
RUN = Path("/mnt/run")
FILE = RUN / "keepalived.conf"
NGINX = f"""
daemon off; worker_processes 1; pid {RUN}/nginx; error_log /dev/null crit; user root; worker_rlimit_nofile 20000;
events {{ worker_connections 16384; multi_accept on; }}
http {{
 access_log off;
 client_body_temp_path {RUN}/body; proxy_temp_path {RUN}/proxy; fastcgi_temp_path {RUN}/fastcgi;
 uwsgi_temp_path {RUN}/uwsgi; scgi_temp_path {RUN}/scgi;
 server {{ listen {PORT} backlog=8192; location / {{ return 200 good; }} }}
 server {{ listen {STATUS}; location / {{ stub_status; }} }}
}}
"""
TCP = "TCP_CHECK {{\n   connect_timeout {timeout}\n   retry {retry}\n   delay_before_retry {pause}\n  }}"
HTTP = (
    "HTTP_GET {{\n   url {{\n    path /\n    status_code 200\n   }}\n"
    "   connect_timeout {timeout}\n   retry {retry}\n   delay_before_retry {pause}\n  }}"
)


# ---- configurations


def address(number: int, net: int = 1) -> str:
    return f"127.{net + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def server(where: str, check: str, weight: int) -> str:
    ip, port = where.split(":")
    text = check.format(timeout=TIMEOUT, retry=RETRY, pause=PAUSE)
    return f" real_server {ip} {port} {{\n  weight {weight}\n  {text}\n }}\n"


def configuration(
    servers: list[str],
    check: str = TCP,
    *,
    interval: float = INTERVAL,
    advert: float = 1,
    last: int = 1,
    nic: str = "d0",
) -> str:
    """Pools of 100; ``last`` is the weight of the last real server."""
    text = (
        f"vrrp_instance VI {{\n interface {nic}\n virtual_router_id 7\n version 3\n priority 250\n"
        f" advert_int {advert:g}\n virtual_ipaddress {{\n  192.0.2.1/32\n }}\n}}\n"
    )
    for pool in range(0, len(servers), POOL):
        inside = "".join(
            server(where, check, last if pool + place == len(servers) - 1 else 1)
            for place, where in enumerate(servers[pool : pool + POOL])
        )
        number = pool // POOL + 1
        text += (
            f"virtual_server 198.18.{number >> 8}.{number & 255} 80 {{\n delay_loop {interval:g}\n lb_algo rr\n"
            f" lb_kind NAT\n protocol TCP\n{inside}}}\n"
        )
    return text


# ---- the kernel and its processes


def fields(pid: int) -> list[str]:
    """Of /proc/PID/stat, from its third on; none of a process that has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def family(pid: int) -> list[int]:
    """A process and all below it."""
    parents = {int(one): fields(int(one))[1:2] for one in os.listdir("/proc") if one.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == [str(one)]]
    return found


def cpu_s(pids: list[int]) -> float:
    return sum(int(one) for pid in pids for one in fields(pid)[11:13]) / TICK


def busy_s() -> float:
    """All that the guest's processor did."""
    user, nice, system, _idle, _waiting, irq, softirq = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / TICK


def pss_mb(pids: list[int]) -> list[float]:
    found = []
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        found.append(int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) / 1024)
    return found


def weights() -> dict[str, int]:
    """Real server -> weight, as the kernel says."""
    lines = [line.split() for line in Path("/proc/net/ip_vs").read_text().splitlines()[3:]]
    return {words[1]: int(words[3]) for words in lines if words[0] == "->"}


def place(where: str) -> str:
    """As the kernel writes it."""
    ip, port = where.split(":")
    return f"{socket.inet_aton(ip).hex().upper()}:{int(port):04X}"


def accepted() -> int:
    """Connections that nginx has taken."""
    with urllib.request.urlopen(f"http://127.0.0.1:{STATUS}/", timeout=20) as answer:
        return int(answer.read().split(b"\n")[2].split()[0])


def wait_until(true: Callable[[], bool], what: str, seconds: float, step: float = 0.1) -> float:
    """How long it took, in seconds."""
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(step)
    return time.monotonic() - begun


class Engine:
    """One that runs from FILE."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        FILE.write_text(text)
        here = RUN / name
        subprocess.run(["rm", "-rf", here], check=True)
        here.mkdir()
        if name == OURS:
            main = "import sys; from _lvs_agent.cli import main; sys.exit(main())"
            words = ["/usr/bin/python3", "-c", main, "run", "-f", str(FILE), "-i", "x"]
            words += ["--runtime-dir", str(here), "--history-dir", str(here)]
        else:
            # -G: there is no syslog here, and the console is slow
            words = ["keepalived", "-n", "-G", "-f", str(FILE), "-p", str(here / "p")]
            words += ["-c", str(here / "c"), "-r", str(here / "v")]
        self._log = RUN / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)

    def has(self, servers: int, seconds: float = 60) -> float:
        """Until the kernel's table has so many; how long that took."""
        there = wait_until(
            lambda: self.process.poll() is not None or len(weights()) == servers,
            f"{servers} servers of {self.name}",
            seconds,
            0.25,
        )
        if self.process.poll() is not None:
            raise OSError(f"{self.name} ended")
        return there

    def pids(self) -> list[int]:
        return family(self.process.pid)

    def end(self) -> None:
        pids = self.pids()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        subprocess.run(["ipvsadm", "-C"], check=True)

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-1500:]


def engines(text: str, servers: int, limit_s: float = 60) -> Iterator[tuple[str, Engine]]:
    """Each in turn, when its table is there."""
    for name in (OURS, KEEPALIVED):
        engine = Engine(name, text)
        try:
            engine.has(servers, limit_s)
            yield name, engine
        except (OSError, TimeoutError):
            print(engine.said(), file=sys.stderr)
            raise
        finally:
            engine.end()


# ---- figures


def checks(number: int, check: str) -> dict[str, Any]:
    """Checks in a span of Unix time, CPU by the guest's own ticks, and the memory of all processes.

    The guest's ticks count what its host's other work takes from it: who wants CPU time measures it there.
    """
    found: dict[str, Any] = {OURS: [], KEEPALIVED: []}
    text = configuration([f"{address(one)}:{PORT}" for one in range(number)], check)
    for _round in range(ROUNDS):
        for name, engine in engines(text, number):
            time.sleep(SETTLE_S)
            listener, ours = family(NGINX_PID), engine.pids()
            before = busy_s(), cpu_s(listener), cpu_s(ours), accepted(), time.time()
            time.sleep(WINDOW_S)
            after = busy_s(), cpu_s(listener), cpu_s(ours), accepted(), time.time()
            busy, nginx, own, count, seconds = (two - one for one, two in zip(before, after))
            found[name].append(
                {
                    "window": [before[-1], after[-1]],
                    "checks": count,
                    "by the guest's clock, us": (busy - nginx) / count * 1e6,
                    "of its processes, us": own / count * 1e6,
                    "of the listener, us": nginx / count * 1e6,
                    "checks a second": count / seconds,
                    "busy": busy / seconds,
                    "PSS, MB": pss_mb(ours),
                    "in service": sum(weights().values()),
                }
            )
    return found


def memory() -> dict[str, Any]:
    """PSS of each process at 100 servers, MB."""
    found: dict[str, Any] = {}
    for name, engine in engines(configuration([f"{address(one)}:{PORT}" for one in range(100)]), 100):
        time.sleep(SETTLE_S)
        found[name] = pss_mb(engine.pids())
    return found


def detection() -> dict[str, Any]:
    """Seconds from the fault to the real server's absence from the kernel's table: ten that refuse, ten silent."""
    dead = [f"{address(one, 9)}:{MORTAL}" for one in range(1, 11)]
    silent = [f"{address(one, 10)}:{PORT}" for one in range(1, 11)]
    rule = "INPUT -d 127.10.0.0/16 -j DROP"
    found: dict[str, Any] = {}
    text = configuration([*dead, *silent])
    listener = socket.create_server(("0.0.0.0", MORTAL), backlog=4096)
    for name, engine in engines(text, 20):
        time.sleep(SETTLE_S)
        if sum(weights().values()) != 20:
            raise ValueError(f"not all in service: {engine.said()}")
        subprocess.run(["iptables-legacy", "-I", *rule.split()], check=True)
        listener.close()
        begun, gone = time.monotonic(), dict[str, float]()
        while len(gone) < 20 and time.monotonic() - begun < 15:
            there = weights()
            for where in (*dead, *silent):
                if there.get(place(where), 0) == 0:
                    gone.setdefault(where, time.monotonic() - begun)
            time.sleep(0.01)
        found[name] = {"dead": [gone.get(one, 99) for one in dead], "silent": [gone.get(one, 99) for one in silent]}
        subprocess.run(["iptables-legacy", "-D", *rule.split()], check=True)
        listener = socket.create_server(("0.0.0.0", MORTAL), backlog=4096)
    listener.close()
    return found


def reload(number: int, limit_s: float) -> dict[str, Any]:
    """One weight changed among so many: seconds until the kernel has it, and the latest advert."""
    servers = [f"{address(one)}:{PORT}" for one in range(number)]
    found: dict[str, Any] = {}
    log = AdvertLog("wire", "d1")
    for name, engine in engines(configuration(servers, interval=60, advert=ADVERT_S), number, limit_s):
        time.sleep(SETTLE_S)
        before = log.place
        time.sleep(5)
        quiet = latest_ms(log, before)
        FILE.write_text(configuration(servers, interval=60, advert=ADVERT_S, last=7))
        first = log.place
        engine.process.send_signal(signal.SIGHUP)
        took = wait_until(lambda: weights()[place(servers[-1])] == 7, "reload", limit_s)
        time.sleep(1)
        found[name] = {
            "seconds": took,
            "latest advert, ms": latest_ms(log, first),
            "latest advert without, ms": quiet,
            "servers": len(weights()),
            "PSS, MB": pss_mb(engine.pids()),
        }
    log.close()
    return found


def latest_ms(log: AdvertLog, since: int) -> float:
    """The most that an advert came after its interval; one that is missing now counts, too."""
    times = [one.at_ns for one in log.since(since)]
    return max(two - one for one, two in pairwise([*times, time.time_ns()])) / 1e6 - ADVERT_S * 1000


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "100 servers": memory,
    "TCP, 1000": lambda: checks(1000, TCP),
    "TCP, 4000": lambda: checks(4000, TCP),
    "HTTP, 1000": lambda: checks(1000, HTTP),
    "detection": detection,
    "reload": lambda: reload(4000, MOST_S),
}
NGINX_PID = 0


def main() -> None:
    global NGINX_PID  # noqa: PLW0603 - one for all
    RUN.mkdir()
    (RUN / "nginx.conf").write_text(NGINX)
    with subprocess.Popen(["nginx", "-p", str(RUN), "-c", str(RUN / "nginx.conf")]) as nginx:
        NGINX_PID = nginx.pid
        found = {}
        try:
            time.sleep(1)
            for name in sys.argv[1].split(";"):
                begun = time.monotonic()
                found[name] = {**PARTS[name](), "seconds": time.monotonic() - begun}
                print(f"{name}: {json.dumps(found[name])}", flush=True)
        finally:
            nginx.terminate()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
