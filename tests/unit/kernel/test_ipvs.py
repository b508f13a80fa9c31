# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPVS attributes against bytes laid out by hand from linux/ip_vs.h and ip_vs_genl_fill_* of the kernel."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.kernel import ipvs, ipvs_pack, ipvs_parse, netlink
from _lvs_agent.kernel.genl import FamilyNotFound
from _lvs_agent.kernel.ipvs_types import (
    FWD_DROUTE,
    FWD_TUNNEL,
    SVC_F_PERSISTENT,
    TUN_GUE,
    Daemon,
    Destination,
    Info,
    Service,
    ServiceKey,
    Stats,
    Timeouts,
)

VIP = bytes([192, 168, 1, 100])


def attr(kind: int, payload: bytes) -> bytes:
    """An attribute by linux/netlink.h, without the code under test."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(kind: int, content: bytes) -> bytes:
    """A generic netlink payload with one nested attribute, as the kernel's listings have."""
    return b"\x01\x01\0\0" + attr(kind, content)


def stats64(first: int) -> bytes:
    """STATS64 with consecutive numbers, and the padding some architectures need before 64-bit values."""
    return b"".join(attr(11, b"") + attr(kind, struct.pack("=Q", first + kind)) for kind in range(1, 11))


def stats32(first: int) -> bytes:
    formats = {4: "=Q", 5: "=Q"}
    return b"".join(attr(kind, struct.pack(formats.get(kind, "=I"), first + kind)) for kind in range(1, 11))


def test_service_key_layout() -> None:
    packed = ipvs_pack.pack_service_key(ServiceKey(socket.AF_INET, 6, "192.168.1.100", 80))
    inner = (
        attr(1, struct.pack("=H", 2)) + attr(2, struct.pack("=H", 6)) + attr(3, VIP + bytes(12)) + attr(4, b"\x00\x50")
    )
    assert packed == attr(0x8001, inner)


def test_firewall_mark_key_layout() -> None:
    packed = ipvs_pack.pack_service_key(ServiceKey(socket.AF_INET6, fwmark=7))
    assert packed == attr(0x8001, attr(1, struct.pack("=H", 10)) + attr(5, struct.pack("=I", 7)))


def service_bytes(identity: bytes, netmask: bytes, stats: bytes, flags: int = 3) -> bytes:
    return message(
        1,
        identity
        + attr(6, b"wlc\0")
        + attr(7, struct.pack("=II", flags, 0xFFFFFFFF))
        + attr(8, struct.pack("=I", 300))
        + attr(9, netmask)
        + stats,
    )


def test_service() -> None:
    identity = (
        attr(1, struct.pack("=H", 2)) + attr(2, struct.pack("=H", 6)) + attr(3, VIP + bytes(12)) + attr(4, b"\x1f\x90")
    )
    entry = ipvs_parse.parse_service(
        service_bytes(identity, bytes([255, 255, 255, 0]), attr(10, stats32(100)) + attr(12, stats64(1 << 40)))
    )
    # Flag 2 is the kernel's own "hashed".
    assert entry.service == Service(
        ServiceKey(socket.AF_INET, 6, "192.168.1.100", 8080), "wlc", SVC_F_PERSISTENT, 300, "255.255.255.0"
    )
    assert entry.stats == Stats(*((1 << 40) + kind for kind in range(1, 11)))


def test_firewall_mark_service_of_ipv6_on_a_kernel_before_4_1() -> None:
    identity = attr(1, struct.pack("=H", 10)) + attr(5, struct.pack("=I", 9))
    entry = ipvs_parse.parse_service(
        service_bytes(identity, struct.pack("=I", 64), attr(11, b"sip\0") + attr(10, stats32(100)), flags=6)
    )
    assert entry.service == Service(ServiceKey(socket.AF_INET6, fwmark=9), "wlc", 4, 300, "64", "sip")
    assert entry.stats == Stats(*range(101, 111))


DESTINATION = (
    attr(2, b"\x00\x50")
    + attr(3, struct.pack("=I", 3 | 0x100))
    + attr(4, struct.pack("=I", 100))
    + attr(5, struct.pack("=I", 2000))
    + attr(6, struct.pack("=I", 1000))
    + attr(7, struct.pack("=I", 11))
    + attr(8, struct.pack("=I", 12))
    + attr(9, struct.pack("=I", 13))
)


def test_destination() -> None:
    entry = ipvs_parse.parse_destination(
        message(2, attr(1, bytes([192, 168, 1, 129]) + bytes(12)) + DESTINATION + attr(10, stats32(0))), socket.AF_INET
    )
    assert entry.destination == Destination(socket.AF_INET, "192.168.1.129", 80, FWD_DROUTE, 100, 2000, 1000)
    assert (entry.active_conns, entry.inact_conns, entry.persist_conns) == (11, 12, 13)
    assert entry.stats == Stats(*range(1, 11))


def test_destination_of_the_other_family_in_a_tunnel() -> None:
    entry = ipvs_parse.parse_destination(
        message(
            2,
            attr(1, socket.inet_pton(socket.AF_INET6, "2001:db8::1"))
            + DESTINATION.replace(struct.pack("=I", 0x103), struct.pack("=I", 2))
            + attr(11, struct.pack("=H", 10))
            + attr(12, stats64(0))
            + attr(13, b"\x01")
            + attr(14, b"\x15\xe0")
            + attr(15, struct.pack("=H", 1)),
        ),
        socket.AF_INET,
    )
    assert entry.destination == Destination(
        socket.AF_INET6, "2001:db8::1", 80, FWD_TUNNEL, 100, 2000, 1000, TUN_GUE, 5600, 1
    )


def test_daemon() -> None:
    old = attr(1, struct.pack("=I", 1)) + attr(2, b"eth0\0") + attr(3, struct.pack("=I", 51))
    assert ipvs_parse.parse_daemon(message(3, old)) == Daemon(1, "eth0", 51)
    new = (
        attr(4, struct.pack("=H", 1472))
        + attr(5, bytes([224, 0, 0, 81]))
        + attr(7, struct.pack("=H", 8848))
        + attr(8, b"\x01")
    )
    assert ipvs_parse.parse_daemon(message(3, old + new)) == Daemon(1, "eth0", 51, 1472, "224.0.0.81", 8848, 1)
    group6 = attr(6, socket.inet_pton(socket.AF_INET6, "ff02::51"))
    assert ipvs_parse.parse_daemon(message(3, old + group6)).mcast_group == "ff02::51"


def test_timeouts_and_info() -> None:
    seconds = b"\x0c\x01\0\0" + b"".join(
        attr(kind, struct.pack("=I", value)) for kind, value in ((4, 900), (5, 120), (6, 300))
    )
    assert ipvs_parse.parse_timeouts(seconds) == Timeouts(900, 120, 300)
    info = b"\x0e\x01\0\0" + attr(1, struct.pack("=I", 0x010201)) + attr(2, struct.pack("=I", 4096))
    assert ipvs_parse.parse_info(info) == Info((1, 2, 1), 4096)


@given(
    st.one_of(
        st.builds(
            ServiceKey,
            st.just(socket.AF_INET),
            st.sampled_from([6, 17, 132]),
            st.ip_addresses(v=4).map(str),
            st.integers(0, 65535),
        ),
        st.builds(
            ServiceKey,
            st.just(socket.AF_INET6),
            st.sampled_from([6, 17, 132]),
            st.binary(min_size=16, max_size=16).map(lambda raw: socket.inet_ntop(socket.AF_INET6, raw)),
            st.integers(0, 65535),
        ),
        st.builds(
            ServiceKey,
            st.sampled_from([socket.AF_INET, socket.AF_INET6]),
            fwmark=st.integers(1, 0xFFFFFFFF),
        ),
    )
)
def test_keys_come_back_from_a_listing(key: ServiceKey) -> None:
    identity = netlink.parse_attrs(ipvs_pack.pack_service_key(key))[1]
    assert ipvs_parse.parse_service(service_bytes(identity, bytes(4), attr(12, stats64(0)))).service.key == key


def test_without_ip_vs_the_error_says_modprobe(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_family(name: str, _timeout_s: float) -> Any:
        raise FamilyNotFound(2, name, "load it")

    monkeypatch.setattr(ipvs, "GenlConnection", no_family)
    with pytest.raises(ipvs.IpvsUnavailable, match="modprobe ip_vs"):
        ipvs.Ipvs()


def test_destinations_are_asked_for_by_service(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, list[bytes]]] = []

    class Connection:
        def dump(self, command: int, attrs: Any, subject: str, parse: Any) -> list[Any]:
            assert subject == "real servers of virtual service tcp 192.168.1.100:80"
            asked.append((command, list(attrs)))
            return [parse(message(2, attr(1, bytes(16)) + DESTINATION + attr(12, stats64(0))))]

    monkeypatch.setattr(ipvs, "GenlConnection", lambda _name, _timeout_s: Connection())
    key = ServiceKey(socket.AF_INET, 6, "192.168.1.100", 80)
    (entry,) = ipvs.Ipvs().destinations(key)
    assert entry.destination.port == 80
    assert asked == [(8, [ipvs_pack.pack_service_key(key)])]
