# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tcpdump says of crafted packets is read as the packets were meant."""

from __future__ import annotations

import io
import socket
import struct
import subprocess

import pytest

from _lab.wire import Advert, ArpClaim, parse_adverts, parse_claims

pytestmark = pytest.mark.host

LVS01, LVS02 = "02:1a:b0:00:00:01", "02:1a:b0:00:01:01"
ALL = "ff:ff:ff:ff:ff:ff"
VIP = "192.0.2.100"
START_S = 1700000000


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip4(text: str) -> bytes:
    return socket.inet_aton(text)


def ip6(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, text)


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def summed(packet: bytes, at: int, pseudo: bytes = b"") -> bytes:
    """The packet with its checksum written at this place."""
    return packet[:at] + struct.pack("!H", checksum(pseudo + packet)) + packet[at + 2 :]


def vrrp2(vrid: int, priority: int, *vips: str) -> bytes:
    head = struct.pack("!BBBBBBH", 0x21, vrid, priority, len(vips), 0, 1, 0)
    return summed(head + b"".join(map(ip4, vips)) + bytes(8), 6)


def vrrp3(vrid: int, priority: int, vips: list[bytes], pseudo: bytes) -> bytes:
    packet = struct.pack("!BBBBHH", 0x31, vrid, priority, len(vips), 10, 0) + b"".join(vips)
    return summed(packet, 6, pseudo + struct.pack("!HH", 112, len(packet)))


def in_ipv4(source: str, payload: bytes, protocol: int = 112, target: str = "224.0.0.18") -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(payload), 7, 0, 255, protocol, 0) + ip4(source) + ip4(target)
    return b"\x08\x00" + summed(head, 10) + payload


def in_ipv6(source: str, payload: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload), 112, 255) + ip6(source) + ip6("ff02::12")
    return b"\x86\xdd" + head + payload


def in_ah(payload: bytes) -> bytes:
    return struct.pack("!BBHII", 112, 4, 0, 0xC0000201, 3) + bytes(range(12)) + payload


def arp(operation: int, sender: tuple[str, str], target: tuple[str, str]) -> bytes:
    pairs = b"".join(mac(hardware) + ip4(address) for hardware, address in (sender, target))
    return b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + pairs


def said(*frames: tuple[str, bytes]) -> list[str]:
    """The lines in which this machine's tcpdump tells of (sender, type and payload), a packet each 10 ms."""
    file = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, (sender, content) in enumerate(frames):
        frame = mac(ALL) + mac(sender) + content
        file += struct.pack("<IIII", START_S, number * 10_000, len(frame), len(frame)) + frame
    argv = ["tcpdump", "-r", "-", "-n", "-tt", "-e", "-v"]
    text = subprocess.run(argv, input=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    lines: list[str] = []
    for line in io.StringIO(text.decode()):
        if line[:1].isspace():
            lines[-1] += line  # as Capture joins them
        else:
            lines.append(line)
    assert len(lines) == len(frames)
    return lines


PSEUDO4 = ip4("192.0.2.1") + ip4("224.0.0.18")
PSEUDO6 = ip6("fe80::1") + ip6("ff02::12") + b"\0\0"


@pytest.mark.parametrize(
    "content, source, version, priority, vips",
    [
        pytest.param(in_ipv4("192.0.2.1", vrrp2(51, 100, VIP)), "192.0.2.1", 2, 100, [VIP], id="version 2"),
        pytest.param(in_ipv4("192.0.2.1", vrrp2(51, 0, VIP)), "192.0.2.1", 2, 0, [VIP], id="leaving"),
        pytest.param(
            in_ipv4("192.0.2.1", vrrp2(51, 100, VIP, "192.0.2.7")), "192.0.2.1", 2, 100, [VIP, "192.0.2.7"],
            id="two addresses",
        ),
        pytest.param(
            in_ipv4("192.0.2.1", vrrp2(51, 100, VIP), target="192.0.2.2"), "192.0.2.1", 2, 100, [VIP], id="unicast"
        ),
        pytest.param(in_ipv4("192.0.2.1", in_ah(vrrp2(51, 100, VIP)), 51), "192.0.2.1", 2, 100, [VIP], id="AH"),
        pytest.param(
            in_ipv4("192.0.2.1", vrrp3(51, 250, [ip4(VIP)], PSEUDO4)), "192.0.2.1", 3, 250, [VIP], id="version 3"
        ),
        pytest.param(
            in_ipv6("fe80::1", vrrp3(51, 240, [ip6("fd00::100")], PSEUDO6)), "fe80::1", 3, 240, ["fd00::100"], id="IPv6"
        ),
    ],
)  # fmt: skip
def test_an_advert(content: bytes, source: str, version: int, priority: int, vips: list[str]) -> None:
    (advert,) = parse_adverts(said((LVS01, content)))
    interval_s = {2: 1.0, 3: 0.1}[version]
    assert advert == Advert(START_S, source, LVS01, version, 51, priority, interval_s, tuple(vips), summed=True)


def test_a_wrong_checksum() -> None:
    content = bytearray(in_ipv4("192.0.2.1", vrrp2(51, 100, VIP)))
    content[-1] ^= 1
    (advert,) = parse_adverts(said((LVS01, bytes(content))))
    assert not advert.summed


def test_adverts_in_order_with_their_times() -> None:
    frames = [(LVS01, in_ipv4("192.0.2.1", vrrp2(51, 100, VIP))), (LVS02, in_ipv4("192.0.2.2", vrrp2(52, 50, VIP)))]
    adverts = parse_adverts(said(*frames, frames[0]))
    assert [(advert.mac, advert.vrid) for advert in adverts] == [(LVS01, 51), (LVS02, 52), (LVS01, 51)]
    assert [round(advert.time_s - START_S, 6) for advert in adverts] == [0, 0.01, 0.02]


@pytest.mark.parametrize(
    "content, gratuitous",
    [
        pytest.param(arp(1, (LVS01, VIP), (ALL, VIP)), True, id="gratuitous request, as keepalived sends"),
        pytest.param(arp(1, (LVS01, VIP), ("00:00:00:00:00:00", VIP)), True, id="gratuitous request, as arping sends"),
        pytest.param(arp(2, (LVS01, VIP), (LVS02, "192.0.2.2")), False, id="reply"),
    ],
)
def test_a_claim(content: bytes, gratuitous: bool) -> None:
    lines = said((LVS01, content))
    assert parse_claims(lines) == [ArpClaim(START_S, VIP, LVS01, gratuitous)]
    assert parse_adverts(lines) == []


def test_what_claims_nothing() -> None:
    question = arp(1, (LVS02, "192.0.2.2"), ("00:00:00:00:00:00", VIP))
    advert = in_ipv4("192.0.2.1", vrrp2(51, 100, VIP))
    assert parse_claims(said((LVS02, question), (LVS01, advert))) == []


def test_other_talk_is_no_advert() -> None:
    assert parse_adverts(["tcpdump: listening on br-lan, link-type EN10MB (Ethernet)\n", "3 packets captured\n"]) == []
