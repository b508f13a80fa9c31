# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPVS messages laid out by hand from linux/ip_vs.h and ip_vs_genl_fill_*, and the connection's errors."""

from __future__ import annotations

import errno
import re
import socket
import struct
from dataclasses import replace
from typing import Any

import pytest

from _lvs_agent.kernel import ipvs, ipvs_pack, ipvs_parse
from _lvs_agent.kernel.genl import FamilyNotFound
from _lvs_agent.kernel.ipvs_change import (
    AddServer,
    AddService,
    Change,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    ZeroService,
)
from _lvs_agent.kernel.ipvs_types import (
    FWD_DROUTE,
    FWD_TUNNEL,
    STATE_MASTER,
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
from _lvs_agent.kernel.netlink import NetlinkError, Refusal

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


def test_without_ip_vs_the_error_says_modprobe(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_family(name: str, _timeout_s: float) -> Any:
        raise FamilyNotFound(2, name, "load it")

    monkeypatch.setattr(ipvs, "GenlConnection", no_family)
    with pytest.raises(ipvs.IpvsUnavailable, match="modprobe ip_vs"):
        ipvs.Ipvs()


KEY = ServiceKey(socket.AF_INET, 6, "192.168.1.100", 80)
SERVICE = Service(KEY, "rr")


def real_server(last: int, weight: int = 1) -> Destination:
    return Destination(socket.AF_INET, f"192.168.1.{last}", 80, FWD_DROUTE, weight)


class Connection:
    """A kernel that answers as it was told to; ``asked`` is what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[int, Any] = {}
        self.refused: list[Refusal] = []
        self.current = True
        self.asked: list[Any] = []

    def dump(self, command: int, attrs: Any, subject: str, parse: Any) -> list[Any]:
        self.asked.append((command, list(attrs), subject))
        answer = self.answers[command]
        if isinstance(answer, Exception):
            raise answer
        return [parse(payload) for payload in answer]

    request = dump

    def batch(self, payloads: list[bytes], _subject: str) -> list[Refusal]:
        self.asked.append(payloads)
        return self.refused

    def is_current(self) -> bool:
        return self.current


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Connection:
    connection = Connection()
    monkeypatch.setattr(ipvs, "GenlConnection", lambda _name, _timeout_s: connection)
    return connection


def test_destinations_are_asked_for_by_service(kernel: Connection) -> None:
    kernel.answers[8] = [message(2, attr(1, bytes(16)) + DESTINATION + attr(12, stats64(0)))]
    (entry,) = ipvs.Ipvs().destinations(KEY)
    assert entry.destination.port == 80
    assert kernel.asked == [
        (8, [ipvs_pack.pack_service_key(KEY)], "real servers of virtual service tcp 192.168.1.100:80")
    ]


def test_changes_go_out_together_in_their_order(kernel: Connection) -> None:
    changes: list[Change] = [AddService(SERVICE), AddServer(KEY, real_server(1)), DeleteService(KEY)]
    ipvs.Ipvs().apply(changes)
    (payloads,) = kernel.asked
    assert [payload[0] for payload in payloads] == [1, 5, 3]


@pytest.mark.parametrize(
    "change,code,advice",
    [
        (AddService(SERVICE), errno.EEXIST, "there already"),
        (AddService(Service(KEY, "wrx")), errno.ENOENT, "no scheduler wrx; did you mean wrr"),
        (
            AddService(Service(KEY, "wlc", pe_name="sip")),
            errno.ENOENT,
            "`modprobe ip_vs_wlc` and `modprobe ip_vs_pe_sip`",
        ),
        (EditService(SERVICE), errno.ESRCH, "read the table again"),
        (DeleteService(KEY), errno.ESRCH, "no such virtual service"),
        (ZeroService(KEY), errno.EPERM, "CAP_NET_ADMIN"),
        (AddServer(KEY, real_server(1)), errno.EEXIST, "has this real server already"),
        (EditServer(KEY, real_server(1)), errno.ENOENT, "no such real server"),
        (DeleteServer(KEY, real_server(1).key), errno.ENOENT, "no such real server"),
        (AddServer(KEY, real_server(1)), errno.ERANGE, "2147483647"),
        (AddServer(KEY, real_server(1)), errno.EINVAL, "unicast"),
        (EditServer(KEY, replace(real_server(1), u_thresh=1 << 31)), errno.EINVAL, "threshold is above 2147483647:"),
        (
            AddServer(KEY, replace(real_server(1), fwd_method=FWD_TUNNEL, tun_type=TUN_GUE)),
            errno.EINVAL,
            "needs a port",
        ),
        (AddServer(KEY, Destination(socket.AF_INET6, "fd00::1", 80, FWD_DROUTE, 1)), errno.EINVAL, "tunnel only"),
        (AddServer(KEY, Destination(socket.AF_INET6, "fd00::1", 80, FWD_TUNNEL, 1)), errno.EINVAL, "daemons"),
        (AddService(Service(replace(KEY, af=socket.AF_INET6, addr="::1"), "rr")), errno.EINVAL, "from 1 to 128"),
        (AddService(SERVICE), errno.EAFNOSUPPORT, "IPv6 is disabled"),
        (AddService(SERVICE), errno.EIO, "gave no reason"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_refusal_says_what_to_do(kernel: Connection, change: Change, code: int, advice: str) -> None:
    kernel.refused = [Refusal(1, code, "")]
    with pytest.raises(ipvs.ChangeRefused, match=re.escape(advice)) as caught:
        ipvs.Ipvs().apply([AddService(SERVICE), change])
    assert (caught.value.change, caught.value.errno) == (change, code)
    assert f"ipvsadm {change}: " in str(caught.value)
    assert errno.errorcode[code] in str(caught.value)


def test_the_kernels_own_words_come_first_and_further_refusals_are_counted(kernel: Connection) -> None:
    kernel.refused = [Refusal(0, errno.EINVAL, "Attribute failed policy validation"), Refusal(1, errno.EEXIST, "")]
    with pytest.raises(ipvs.ChangeRefused, match=r"Attribute failed.*unicast.*1 more change") as caught:
        ipvs.Ipvs().apply([AddServer(KEY, real_server(1)), AddService(SERVICE)])
    assert caught.value.others == 1


@pytest.mark.parametrize(
    "change",
    [
        AddServer(KEY, replace(real_server(1), port=70000)),
        AddServer(KEY, replace(real_server(1), addr="192.168.1.300")),
        AddServer(KEY, real_server(1, weight=-1)),
        AddService(Service(KEY, "a-scheduler-of-22-bytes")),
        AddService(Service(KEY, "rr", netmask="255.255.0")),
        EditService(Service(KEY, "rr", pe_name="s\0p")),
        DeleteService(replace(KEY, port=-1)),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_anything_is_sent(kernel: Connection, change: Change) -> None:
    with pytest.raises(ipvs.ChangeRefused, match=r"does not fit.*nothing was changed") as caught:
        ipvs.Ipvs().apply([AddService(SERVICE), change])
    assert (caught.value.change, kernel.asked) == (change, [])


def test_a_module_that_was_unloaded_meanwhile(kernel: Connection) -> None:
    """A message to a family that is gone is answered with ENOENT, as is an edit of a real server that is gone."""
    kernel.refused = [Refusal(0, errno.ENOENT, "")]
    kernel.answers[4] = kernel.answers[17] = NetlinkError(errno.ENOENT, "x", "y")
    connected = ipvs.Ipvs()
    with pytest.raises(NetlinkError, match=r"^x: "):
        connected.services()
    kernel.current = False
    for ask in (connected.services, connected.flush, lambda: connected.apply([EditServer(KEY, real_server(1))])):
        with pytest.raises(ipvs.IpvsUnavailable, match="unloaded meanwhile"):
            ask()


def test_the_table_of_some_services(kernel: Connection) -> None:
    identity = attr(1, struct.pack("=H", 2)) + attr(2, struct.pack("=H", 6)) + attr(3, VIP + bytes(12))
    kernel.answers[4] = [
        service_bytes(identity + attr(4, struct.pack("!H", port)), bytes(4), attr(12, stats64(0))) for port in (80, 81)
    ]
    kernel.answers[8] = [message(2, attr(1, bytes(16)) + DESTINATION + attr(12, stats64(0)))]
    connected = ipvs.Ipvs()
    assert [(key.port, len(servers)) for key, (_entry, servers) in connected.table().items()] == [(80, 1), (81, 1)]
    kernel.asked.clear()
    assert list(connected.table({KEY})) == [KEY]
    assert [command for command, _attrs, _subject in kernel.asked] == [4, 8]


def test_a_daemon_that_does_not_start(kernel: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipvs, "interface_names", lambda: ["lo", "eth0"])
    daemon = Daemon(STATE_MASTER, "eth9", 1)
    for code, started, advice in (
        (errno.ENODEV, daemon, "only lo, eth0; did you mean eth0"),
        (errno.EEXIST, daemon, "a master daemon runs already"),
        (errno.EINVAL, replace(daemon, state=3), "neither master nor backup"),
        (errno.EINVAL, replace(daemon, mcast_group="10.0.0.1"), "10.0.0.1 is no multicast"),
        (errno.EINVAL, daemon, "another address family"),
        (errno.EPERM, daemon, "CAP_NET_ADMIN"),
    ):
        kernel.answers[9] = NetlinkError(code, "x", "y")
        with pytest.raises(NetlinkError, match=re.escape(advice)) as caught:
            ipvs.Ipvs().start_daemon(started)
        assert caught.value.errno == code
    with pytest.raises(NetlinkError, match="longer than 15 bytes"):
        ipvs.Ipvs().start_daemon(replace(daemon, mcast_ifn="an-interface-of-24-bytes"))


def test_a_daemon_is_stopped_with_a_question_behind_the_order(kernel: Connection) -> None:
    ipvs.Ipvs().stop_daemon(STATE_MASTER)
    ((order, question),) = kernel.asked
    assert (order[0], question[0]) == (10, 15)
    kernel.refused = [Refusal(0, errno.ESRCH, "")]
    with pytest.raises(NetlinkError, match="no master daemon runs"):
        ipvs.Ipvs().stop_daemon(STATE_MASTER)


def test_timeouts_the_kernel_has_no_room_for(kernel: Connection) -> None:
    with pytest.raises(NetlinkError, match="nothing was changed"):
        ipvs.Ipvs().set_timeouts(Timeouts(-1, 0, 0))
    kernel.answers[12] = NetlinkError(errno.EINVAL, "x", "y")
    with pytest.raises(NetlinkError, match=r"IPVS timeouts 1 2 3: .*some weeks"):
        ipvs.Ipvs().set_timeouts(Timeouts(1, 2, 3))
