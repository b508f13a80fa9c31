# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that floods a master with forged adverts, and what the master's adverts look like meanwhile.

As a program: forged_adverts.py INTERFACE FRAMES_PER_SECOND SECONDS, with the frames in hexadecimal on standard input.
"""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.integration.netns.conftest import Host
    from tests.integration.netns.wire import Agent, Keepalived

INTERFACE = "eth0"
INTERVAL_S = 0.1
#: the virtual router that is forged, and those beside it
FORGED, OTHERS = 51, range(52, 72)
VIPS = 20
_PRIORITY = 200
_STEP_S = 0.001
_ARP = 0x0806
_SO_RCVBUFFORCE = 33
_ARP_BUFFER_BYTES = 64 << 20


class Found(NamedTuple):
    """Of the flood's time: how late the latest advert of any virtual router was, and what left the master."""

    latest_ms: float
    adverts_of_forged: int
    garps: int
    forged: int


def configuration(more: str = "") -> str:
    """The master's file."""
    blocks = ["global_defs {\n vrrp_cpu_affinity 0\n script_user root\n}\n"]
    for vrid in (FORGED, *OTHERS):
        vips = "\n".join(f"10.1.{vrid}.{number}/24" for number in range(1, VIPS + 1 if vrid == FORGED else 2))
        blocks.append(
            f"vrrp_instance V{vrid} {{\n interface {INTERFACE}\n virtual_router_id {vrid}\n priority {_PRIORITY}\n"
            f" version 3\n advert_int {INTERVAL_S}\n garp_master_delay 0\n garp_lower_prio_delay 0\n"
            f" virtual_ipaddress {{\n {vips}\n }}\n {more if vrid == FORGED else ''}\n}}\n"
        )
    return "".join(blocks)


def frames(seed: int = 1) -> list[bytes]:
    """Adverts of lower masters with 255 VIPs each, and resignations; some with a wrong checksum, some for no VRID."""
    from _lvs_agent.vrrp import ah
    from _lvs_agent.vrrp.instance import SECOND, Instance
    from _lvs_agent.vrrp.transmit import Transmitter

    dice = random.Random(seed)
    found = []
    for number in range(512):
        vips = tuple(bytes((10, 1, dice.randrange(256), last)) for last in range(255))
        vrid = FORGED if number % 8 else 250
        source = bytes((10, 0, 0, dice.randrange(3, 250)))
        instance = Instance("forged", vrid, source, vips, version=3, advert_int=round(INTERVAL_S * SECOND))
        priority = dice.choice((0, 1, 50, 100, 199))
        packet = Transmitter(instance, ah.Sequence()).packets(priority)[0][1]
        if not number % 16:
            packet[-1] ^= 1
        found.append(bytes.fromhex("01005e000012 02000000beef 0800") + bytes(packet))
    return found


@contextmanager
def hosts() -> Iterator[tuple[Host, Host]]:
    """The master's, 10.0.0.1, and the flooding one, on one wire."""
    from tests.integration.netns.conftest import Host, namespace
    from tests.integration.netns.wire import LIBRARY

    tag = uuid.uuid4().hex[:8]
    with namespace(f"lvs-{tag}-a") as a, namespace(f"lvs-{tag}-f") as f:
        master, forger = Host(a, sys.executable, LIBRARY), Host(f, sys.executable, LIBRARY)
        master.run("ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", INTERFACE, "netns", f)
        for host in (master, forger):
            host.run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
            host.run("ip", "link", "set", "lo", "up")
            host.run("ip", "link", "set", INTERFACE, "up")
        master.run("ip", "address", "add", "10.0.0.1/24", "dev", INTERFACE)
        yield master, forger


def flood(engine: type[Agent | Keepalived], file: Path, rate: int, seconds: float) -> Found:
    """Start the engine from the file, wait until it is master, and flood it from the other processor."""
    from advert_log import AdvertLog, by_vrid

    from _lvs_agent.kernel.netns import inside

    with hosts() as (master, forger):
        with inside(forger.name):
            arp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            arp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ARP_BUFFER_BYTES)
            arp.bind((INTERFACE, _ARP))
        log = AdvertLog(forger.name, INTERFACE)
        running = engine(master, file)
        try:
            assert log.wait_for(dict.fromkeys((FORGED, *OTHERS), 1), 0, 30)
            time.sleep(10 * INTERVAL_S)
            _drained(arp)
            place = log.place
            command = (sys.executable, __file__, INTERFACE, str(rate), str(seconds))
            words = forger.command("taskset", "-c", "1", *command)
            text = "\n".join(frame.hex() for frame in frames())
            done = subprocess.run(words, input=text, capture_output=True, text=True, check=True, timeout=seconds + 60)
            garps = _drained(arp)
            time.sleep(2 * INTERVAL_S)
            adverts = by_vrid(log.since(place))
        finally:
            running.close()
            log.close()
            arp.close()
    assert set(adverts) == {FORGED, *OTHERS}
    gaps = [later.at_ns - sooner.at_ns for one in adverts.values() for sooner, later in pairwise(one)]
    return Found(max(gaps) / 1e6 - INTERVAL_S * 1000, len(adverts[FORGED]), garps, int(done.stdout))


def _drained(sock: socket.socket) -> int:
    """How many frames there were."""
    number = 0
    while True:
        try:
            sock.recv(64)
        except BlockingIOError:
            return number
        number += 1


def main() -> None:
    """Send; how many is printed."""
    interface, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    cycle = [bytes.fromhex(line) for line in sys.stdin.read().split()]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((interface, 0))
        begin, sent = time.monotonic(), 0
        while (now := time.monotonic() - begin) < seconds:
            while sent < now * rate:
                sock.send(cycle[sent % len(cycle)])
                sent += 1
            time.sleep(_STEP_S)
    print(sent)


if __name__ == "__main__":
    main()
