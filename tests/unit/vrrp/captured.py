# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keepalived 2.2.7 sent on a veth pair, with the configuration it sent it for: see keepalived-2.2.7/.

Each NAME.hex holds IP packets, one in a line: the first adverts of a master with NAME.conf, and its last, priority 0.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import NamedTuple

from _lvs_agent.vrrp.instance import SECOND, Instance, Peer, auth_data
from _lvs_agent.vrrp.packet import AUTH_AH, AUTH_NONE, AUTH_PASS

DIRECTORY = Path(__file__).with_name("keepalived-2.2.7")
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.conf"))
_AUTH_TYPES = {"": AUTH_NONE, "PASS": AUTH_PASS, "AH": AUTH_AH}


class Capture(NamedTuple):
    instance: Instance
    packets: list[bytes]


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def load(name: str) -> Capture:
    """The packets, and the instance as the file describes it."""
    conf = (DIRECTORY / f"{name}.conf").read_text()
    packets = [bytes.fromhex(line) for line in (DIRECTORY / f"{name}.hex").read_text().split()]
    first = packets[0]
    instance = Instance(
        name,
        int(_word(conf, "virtual_router_id")),
        first[8:24] if is_ipv6(first) else first[12:16],
        tuple(packed(vip.partition("/")[0]) for vip in _block(conf, "virtual_ipaddress")),
        version=int(_word(conf, "version")),
        priority=int(_word(conf, "priority")),
        advert_int=round(float(_word(conf, "advert_int")) * SECOND),
        unicast_peers=tuple(Peer(packed(peer)) for peer in _block(conf, "unicast_peer")),
        auth_type=_AUTH_TYPES[_word(conf, "auth_type")],
        auth_data=auth_data(_word(conf, "auth_pass")),
    )
    return Capture(instance, packets)


def is_ipv6(packet: bytes) -> bool:
    return packet[0] >> 4 == 6


def _word(conf: str, keyword: str) -> str:
    found = re.search(rf"^\s*{keyword} (\S+)$", conf, re.MULTILINE)
    return found[1] if found else ""


def _block(conf: str, keyword: str) -> list[str]:
    found = re.search(rf"{keyword} {{(.*?)}}", conf, re.DOTALL)
    return found[1].split() if found else []
