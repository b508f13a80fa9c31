# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcpdump reads what we build, checks its checksums, and has nothing to complain about."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import replace

import pytest

from _lvs_agent.vrrp import ah
from _lvs_agent.vrrp.instance import SECOND, Instance, Peer, auth_data
from _lvs_agent.vrrp.ip import PROTO_VRRP
from _lvs_agent.vrrp.packet import AUTH_AH, AUTH_PASS
from _lvs_agent.vrrp.transmit import Transmitter
from tests.unit.vrrp.captured import packed

pytestmark = pytest.mark.host

# pcap-savefile(5): the file's header, for raw IP packets (LINKTYPE_RAW), and one packet's
_FILE = struct.Struct("=IHHiIII")
_PACKET = struct.Struct("=IIII")
_LINKTYPE_RAW = 101


def savefile(packets: list[bytes]) -> bytes:
    """A capture file of IP packets, one a second."""
    parts = [_FILE.pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, _LINKTYPE_RAW)]
    for second, packet in enumerate(packets):
        parts += [_PACKET.pack(second, 0, len(packet), len(packet)), packet]
    return b"".join(parts)


def dissected(instance: Instance, priorities: tuple[int, ...] = (100, 100, 0)) -> str:
    """What tcpdump says of some adverts, in one line each."""
    transmitter = Transmitter(instance, ah.Sequence())
    packets = []
    for priority in priorities:
        for destination, packet in transmitter.packets(priority):
            header = b""
            if len(destination) == 16:
                # the kernel's part: traffic class 0xc0, hop limit 255
                header = struct.pack("!IHBB", 0x6C000000, len(packet), PROTO_VRRP, 255) + instance.source + destination
            packets.append(header + bytes(packet))
    run = subprocess.run(
        ["tcpdump", "-nvvv", "-r", "-"], input=savefile(packets), capture_output=True, timeout=30, check=True
    )
    lines = run.stdout.decode().replace("\n    ", " ").splitlines()
    assert len(lines) == len(packets)
    return "\n".join(lines)


IPV4 = Instance("VI", 51, packed("192.0.2.1"), (packed("192.0.2.100"), packed("192.0.2.101")))
IPV6 = Instance("VI", 51, packed("fe80::1"), (packed("fe80::64"), packed("2001:db8::64")), version=3)
PEERS = (Peer(packed("192.0.2.2")), Peer(packed("192.0.2.3")))


@pytest.mark.parametrize(
    "instance, said",
    [
        (IPV4, "192.0.2.1 > 224.0.0.18: VRRPv2, Advertisement, vrid 51, prio 100, authtype none, intvl 1s, length 24"),
        (replace(IPV4, advert_int=255 * SECOND), "intvl 255s"),
        (replace(IPV4, auth_type=AUTH_PASS, auth_data=auth_data("secret")), 'authtype simple, intvl 1s, length 24'),
        (replace(IPV4, auth_type=AUTH_AH, auth_data=auth_data("secret")), "authtype ah"),
        (replace(IPV4, version=3, advert_int=SECOND // 10), "VRRPv3, Advertisement, vrid 51, prio 100, intvl 10cs"),
        (replace(IPV4, version=3, advert_int=SECOND * 4095 // 100), "intvl 4095cs"),
        (replace(IPV4, unicast_peers=PEERS), "192.0.2.1 > 192.0.2.3: VRRPv2"),
        (replace(IPV4, version=3, unicast_peers=PEERS), "192.0.2.1 > 192.0.2.3: VRRPv3"),
        (replace(IPV4, addresses=()), "length 16"),
        (replace(IPV4, version=3, addresses=(packed("192.0.2.100"),) * 255), "addrs(255)"),
        (IPV6, "fe80::1 > ff02::12: VRRPv3, Advertisement, vrid 51, prio 100, intvl 100cs, length 40"),
        (replace(IPV6, unicast_peers=(Peer(packed("2001:db8::2")),)), "fe80::1 > 2001:db8::2: VRRPv3"),
    ],
)
def test_tcpdump_has_no_complaint(instance: Instance, said: str) -> None:
    lines = dissected(instance)
    assert said in lines
    assert "prio 0" in lines
    for complaint in ("bad", "ttl 2", "[|", "invalid", "truncated", "unknown"):
        assert complaint not in lines.replace("(tos 0xc0, ttl 255,", "")


def test_tcpdump_does_complain() -> None:
    """Else the test above would prove nothing."""
    packet = bytearray(Transmitter(replace(IPV4, version=3), ah.Sequence()).packets(100)[0][1])
    packet[22] ^= 1
    run = subprocess.run(
        ["tcpdump", "-nvvv", "-r", "-"], input=savefile([bytes(packet)]), capture_output=True, timeout=30, check=True
    )
    assert b"bad vrrp cksum" in run.stdout
