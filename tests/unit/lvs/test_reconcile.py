# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table that obeys the changes as the kernel does must end as the one that was asked for."""

from __future__ import annotations

import socket
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from _lvs_agent.kernel import ipvs_change as change
from _lvs_agent.kernel.ipvs_types import (
    FWD_DROUTE,
    FWD_MASQ,
    FWD_TUNNEL,
    SVC_F_PERSISTENT,
    TUN_GUE,
    Destination,
    DestinationEntry,
    DestinationKey,
    Service,
    ServiceEntry,
    ServiceKey,
    Stats,
)
from _lvs_agent.lvs.reconcile import changes
from _lvs_agent.lvs.table import Table, VirtualService, from_entries, lines, virtual_service

# Few different keys, so that two tables share some of them.
KEYS = [
    *(ServiceKey(socket.AF_INET, protocol, "192.0.2.1", port) for protocol in (6, 17) for port in (80, 443)),
    ServiceKey(socket.AF_INET6, 6, "2001:db8::1", 80),
    ServiceKey(socket.AF_INET, fwmark=7),
    ServiceKey(socket.AF_INET6, fwmark=7),
]
SERVERS = [
    Destination(socket.AF_INET, f"10.0.0.{last}", port, FWD_MASQ, 1) for last in (1, 2, 3) for port in (80, 8080)
]
SERVER = st.builds(
    replace,
    st.sampled_from(SERVERS),
    fwd_method=st.sampled_from([FWD_MASQ, FWD_DROUTE, FWD_TUNNEL]),
    weight=st.integers(0, 2),
    u_thresh=st.integers(0, 1),
    tun_type=st.sampled_from([0, TUN_GUE]),
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    services = draw(
        st.lists(
            st.builds(
                Service,
                st.sampled_from(KEYS),
                st.sampled_from(["rr", "wlc"]),
                st.sampled_from([0, SVC_F_PERSISTENT]),
                st.sampled_from([0, 300]),
                st.just(""),
            ),
            unique_by=lambda service: service.key,
        )
    )
    return {
        service.key: virtual_service(service, draw(st.lists(SERVER, unique_by=lambda server: server.key)))
        for service in services
    }


class Kernel:
    """A table that refuses what ip_vs_ctl.c refuses: to add what is there, to edit or delete what is not."""

    def __init__(self, table: Table) -> None:
        self.services = {key: virtual.service for key, virtual in table.items()}
        self.servers = {key: dict(virtual.servers) for key, virtual in table.items()}

    def do(self, what: change.Change) -> None:
        if isinstance(what, change.AddService):
            assert what.service.key not in self.services
            self.services[what.service.key] = what.service
            self.servers[what.service.key] = {}
        elif isinstance(what, change.EditService):
            assert self.services[what.service.key] != what.service
            self.services[what.service.key] = what.service
        elif isinstance(what, change.DeleteService):
            del self.services[what.key], self.servers[what.key]
        elif isinstance(what, change.AddServer):
            assert what.server.key not in self.servers[what.key]
            self.servers[what.key][what.server.key] = what.server
        elif isinstance(what, change.EditServer):
            assert self.servers[what.key][what.server.key] != what.server
            self.servers[what.key][what.server.key] = what.server
        else:
            assert isinstance(what, change.DeleteServer)
            del self.servers[what.key][what.server]

    def table(self) -> Table:
        return {key: VirtualService(service, self.servers[key]) for key, service in self.services.items()}


def touched(what: change.Change) -> ServiceKey:
    return what.service.key if isinstance(what, (change.AddService, change.EditService)) else what.key


@given(tables(), tables())
def test_it_converges_and_leaves_equal_services_alone(before: Table, after: Table) -> None:
    kernel = Kernel(before)
    to_do = changes(before, after)
    for what in to_do:
        kernel.do(what)
    assert kernel.table() == after
    assert changes(kernel.table(), after) == []
    assert not {touched(what) for what in to_do} & {key for key in after if before.get(key) == after[key]}


@given(tables(), tables())
def test_the_way_back_is_a_diff_too(before: Table, after: Table) -> None:
    kernel = Kernel(before)
    for what in [*changes(before, after), *changes(after, before)]:
        kernel.do(what)
    assert kernel.table() == before


@given(tables(), tables())
def test_deletions_come_last(before: Table, after: Table) -> None:
    deletes = [isinstance(what, (change.DeleteServer, change.DeleteService)) for what in changes(before, after)]
    assert deletes == sorted(deletes)


@given(tables(), st.data())
def test_one_difference_is_one_change(before: Table, data: st.DataObject) -> None:
    places = [(key, name) for key, virtual in before.items() for name in virtual.servers]
    assume(places)
    key, name = data.draw(st.sampled_from(places))
    server = replace(before[key].servers[name], weight=9)
    after = {**before, key: VirtualService(before[key].service, {**before[key].servers, name: server})}
    assert changes(before, after) == [change.EditServer(key, server)]


STATS = Stats(*range(10))


def test_what_counts_for_nothing_makes_no_difference() -> None:
    key = KEYS[0]
    listed = Service(key, "rr", 0, 300, "255.255.255.255")
    server = replace(SERVERS[0], tun_type=TUN_GUE, tun_port=5600, tun_flags=1)
    entries = {key: (ServiceEntry(listed, STATS), [DestinationEntry(server, 1, 2, 3, STATS)])}
    have = from_entries(entries)
    assert have == {key: virtual_service(Service(key, "rr"), [SERVERS[0]])}
    assert list(have[key].servers) == [DestinationKey(socket.AF_INET, "10.0.0.1", 80)]


def test_lines_are_those_of_ipvsadm() -> None:
    table = {
        KEYS[0]: virtual_service(
            Service(KEYS[0], "wlc", SVC_F_PERSISTENT, 300), [replace(SERVERS[0], u_thresh=20, l_thresh=10)]
        ),
        KEYS[6]: virtual_service(Service(KEYS[6], "rr")),
    }
    assert lines(table) == [
        "-A -t 192.0.2.1:80 -s wlc -p 300",
        "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1 -x 20 -y 10",
        "-A -f 7 -6 -s rr",
    ]
