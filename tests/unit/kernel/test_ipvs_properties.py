# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is packed comes back, and bytes that are no IPVS are malformed: nothing else is ever raised."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.kernel import ipvs_numbers as n
from _lvs_agent.kernel import ipvs_pack, ipvs_parse
from _lvs_agent.kernel.genl import pack_genl, parse_genl
from _lvs_agent.kernel.ipvs_change import AddServer, AddService, EditServer, EditService
from _lvs_agent.kernel.ipvs_types import Daemon, Destination, DestinationEntry, Service, ServiceKey, Stats, Timeouts
from _lvs_agent.kernel.netlink import MalformedMessage, pack_attr, parse_attrs

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
NAMES = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=15)
ADDRESSES = {
    V4: st.binary(min_size=4, max_size=4).map(lambda raw: socket.inet_ntop(V4, raw)),
    V6: st.binary(min_size=16, max_size=16).map(lambda raw: socket.inet_ntop(V6, raw)),
}
FAMILIES = st.sampled_from([V4, V6])
KEYS = st.one_of(
    st.builds(ServiceKey, st.just(V4), st.sampled_from([6, 17, 132]), ADDRESSES[V4], U16),
    st.builds(ServiceKey, st.just(V6), st.sampled_from([6, 17, 132]), ADDRESSES[V6], U16),
    st.builds(ServiceKey, FAMILIES, fwmark=st.integers(1, 0xFFFFFFFF)),
)
NETMASKS = {V4: st.integers(0, 32).map(lambda bits: socket.inet_ntoa(struct.pack("!I", (1 << 32) - (1 << 32 - bits))))}
NETMASKS[V6] = st.integers(1, 128).map(str)
SERVICES = KEYS.flatmap(
    lambda key: st.builds(
        Service,
        st.just(key),
        NAMES,
        U32.map(lambda flags: flags & ~n.SVC_F_HASHED),
        U32,
        NETMASKS[key.af],
        st.just("") | NAMES,
    )
)
DESTINATIONS = FAMILIES.flatmap(
    lambda af: st.builds(Destination, st.just(af), ADDRESSES[af], U16, st.integers(0, 7), U32, U32, U32, U8, U16, U16)
)
STATS = st.builds(Stats, *[U64] * 10)
ENTRIES = st.builds(DestinationEntry, DESTINATIONS, U32, U32, U32, STATS)


def attr(kind: int, payload: bytes) -> bytes:
    """An attribute by linux/netlink.h, without the code under test."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def counters(stats: Stats, form: str, padded: bool) -> bytes:
    """The nests STATS and STATS64 as ip_vs_genl_fill_stats and its 64-bit twin write them."""
    pad = attr(n.STATS_PAD, b"") if padded else b""
    wide = ("=Q",) * 10
    narrow = ("=I", "=I", "=I", "=Q", "=Q", "=I", "=I", "=I", "=I", "=I")
    nests = []
    for kind, formats in ((n.DEST_STATS, narrow), (n.DEST_STATS64, wide)):
        content = b""
        for position, (value, each) in enumerate(zip(stats, formats)):
            # The first 64-bit counter of STATS64 is at an even place already.
            before = pad if each == "=Q" and not (kind == n.DEST_STATS64 and position == 0) else b""
            content += before + attr(position + 1, struct.pack(each, value & (1 << 8 * struct.calcsize(each)) - 1))
        nests.append(attr(kind, content))
    return {"both": nests[0] + nests[1], "narrow": nests[0], "wide": nests[1]}[form]


def listed(entry: DestinationEntry, padded: bool) -> bytes:
    """A real server as ip_vs_genl_fill_dest writes it."""
    server = entry.destination
    u32 = struct.Struct("=I").pack
    content = (
        attr(n.DEST_ADDR, socket.inet_pton(server.af, server.addr).ljust(16, b"\0"))
        + attr(n.DEST_PORT, struct.pack("!H", server.port))
        + attr(n.DEST_FWD_METHOD, u32(server.fwd_method))
        + attr(n.DEST_WEIGHT, u32(server.weight))
        + attr(n.DEST_TUN_TYPE, bytes([server.tun_type]))
        + attr(n.DEST_TUN_PORT, struct.pack("!H", server.tun_port))
        + attr(n.DEST_TUN_FLAGS, struct.pack("=H", server.tun_flags))
        + attr(n.DEST_U_THRESH, u32(server.u_thresh))
        + attr(n.DEST_L_THRESH, u32(server.l_thresh))
        + attr(n.DEST_ACTIVE_CONNS, u32(entry.active_conns))
        + attr(n.DEST_INACT_CONNS, u32(entry.inact_conns))
        + attr(n.DEST_PERSIST_CONNS, u32(entry.persist_conns))
        + attr(n.DEST_ADDR_FAMILY, struct.pack("=H", server.af))
        + counters(entry.stats, "both", padded)
    )
    return b"\x05\x01\0\0" + attr(n.CMD_ATTR_DEST, content)


@given(SERVICES, STATS, st.sampled_from([AddService, EditService]))
def test_services_come_back(service: Service, stats: Stats, change: Callable[[Service], Any]) -> None:
    (payload,) = ipvs_pack.pack_changes([change(service)])
    content = parse_genl(payload)[n.CMD_ATTR_SERVICE] + attr(n.SVC_STATS64, counters(stats, "wide", padded=False)[4:])
    entry = ipvs_parse.parse_service(payload[:4] + attr(n.CMD_ATTR_SERVICE, content))
    assert (entry.service, entry.stats) == (service, stats)


@given(st.lists(st.tuples(KEYS, DESTINATIONS, st.sampled_from([AddServer, EditServer])), max_size=4))
def test_servers_come_back(servers: list[tuple[ServiceKey, Destination, Any]]) -> None:
    payloads = ipvs_pack.pack_changes([change(key, server) for key, server, change in servers])
    for payload, (key, server, change) in zip(payloads, servers):
        assert payload[0] == (n.CMD_NEW_DEST if change is AddServer else n.CMD_SET_DEST)
        assert payload[4:].startswith(ipvs_pack.pack_service_key(key))
        state = [pack_attr(kind, bytes(4)) for kind in range(n.DEST_ACTIVE_CONNS, n.DEST_PERSIST_CONNS + 1)]
        content = parse_genl(payload)[n.CMD_ATTR_DEST] + b"".join(state) + counters(Stats(*[0] * 10), "both", False)
        entry = ipvs_parse.parse_destination(payload[:4] + attr(n.CMD_ATTR_DEST, content), key.af)
        assert entry.destination == server


@given(ENTRIES, st.booleans())
def test_a_listed_server_is_read_at_once(entry: DestinationEntry, padded: bool) -> None:
    payload = listed(entry, padded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipvs_parse, "_general_destination", None)
        assert ipvs_parse.parse_destination(payload, V4) == entry
    assert ipvs_parse._general_destination(payload, V4) == entry


@given(ENTRIES, st.booleans(), st.data())
def test_one_changed_byte_never_makes_the_two_ways_of_reading_differ(
    entry: DestinationEntry, padded: bool, data: st.DataObject
) -> None:
    payload = bytearray(listed(entry, padded))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(U8)

    def outcome(parse: Callable[[bytes, int], DestinationEntry]) -> Any:
        try:
            return parse(bytes(payload), V4)
        except MalformedMessage:
            return "malformed"

    assert outcome(ipvs_parse.parse_destination) == outcome(ipvs_parse._general_destination)


GROUPS = st.just("") | FAMILIES.flatmap(ADDRESSES.__getitem__)


@given(st.builds(Daemon, st.sampled_from([1, 2]), NAMES, U32, U16, GROUPS, U16, U8))
def test_daemons_come_back(daemon: Daemon) -> None:
    assert ipvs_parse.parse_daemon(pack_genl(n.CMD_NEW_DAEMON, 1, [ipvs_pack.pack_daemon(daemon)])) == daemon


@given(U32, U32, U32)
def test_timeouts_come_back(tcp: int, tcp_fin: int, udp: int) -> None:
    timeouts = Timeouts(tcp, tcp_fin, udp)
    assert ipvs_parse.parse_timeouts(pack_genl(n.CMD_SET_CONFIG, 1, ipvs_pack.pack_timeouts(timeouts))) == timeouts


PARSERS: list[tuple[Callable[[bytes], Any], int]] = [
    (ipvs_parse.parse_service, n.CMD_ATTR_SERVICE),
    (lambda payload: ipvs_parse.parse_destination(payload, V4), n.CMD_ATTR_DEST),
    (ipvs_parse.parse_daemon, n.CMD_ATTR_DAEMON),
    (ipvs_parse.parse_timeouts, 0),
    (ipvs_parse.parse_info, 0),
]
ATTRS = st.lists(st.tuples(st.integers(0, 16), st.binary(max_size=20)), max_size=20).map(
    lambda attrs: b"".join(pack_attr(*each) for each in attrs)
)


@pytest.mark.parametrize("parse,nest", PARSERS)
@given(data=st.data())
def test_any_bytes_are_read_or_malformed(parse: Callable[[bytes], Any], nest: int, data: st.DataObject) -> None:
    content = data.draw(st.binary(max_size=120) | ATTRS)
    payload = content if nest == 0 else b"\x05\x01\0\0" + attr(nest, content)
    for candidate in (payload, content, b"\x05\x01\0\0" + content):
        with contextlib.suppress(MalformedMessage):
            parse(candidate)


@given(ENTRIES, st.booleans(), st.data())
def test_a_cut_listing_is_read_or_malformed(entry: DestinationEntry, padded: bool, data: st.DataObject) -> None:
    payload = listed(entry, padded)
    cut = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(MalformedMessage):
        ipvs_parse.parse_destination(payload[:cut], V4)


@given(ENTRIES, st.booleans())
def test_without_wide_counters_the_narrow_ones_count(entry: DestinationEntry, padded: bool) -> None:
    content = parse_genl(listed(entry, padded))[n.CMD_ATTR_DEST]
    old = content[: -len(counters(entry.stats, "wide", padded))]
    assert n.DEST_STATS64 not in parse_attrs(old)
    stats = ipvs_parse.parse_destination(b"\x05\x01\0\0" + attr(n.CMD_ATTR_DEST, old), V4).stats
    assert stats.conns == entry.stats.conns & 0xFFFFFFFF
    assert stats.inbytes == entry.stats.inbytes
