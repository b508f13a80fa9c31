# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a host's addresses a check comes from when the kernel would take a VIP."""

from __future__ import annotations

import ipaddress

import pytest

from _lvs_agent.health.sources import Source, choose
from _lvs_agent.kernel.route_messages import IFA_F_DEPRECATED, IFA_F_TENTATIVE, AddressInfo

LO, NIC, OTHER = 1, 2, 3


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def on(ifindex: int, text: str, **more: int) -> AddressInfo:
    host, _slash, length = text.partition("/")
    return AddressInfo(ifindex, packed(host), int(length), **more)  # type: ignore[arg-type]


LOOPBACK = [on(LO, "127.0.0.1/8", scope=254), on(LO, "::1/128", scope=254)]


@pytest.mark.parametrize(
    "target, vip, others, chosen",
    [
        # the NIC's own address came after the VIP
        ("10.0.0.9", on(NIC, "10.0.0.100/24"), [on(NIC, "10.0.0.1/24"), on(OTHER, "10.1.0.1/24")], "10.0.0.1"),
        # the NIC has no other one: what is nearest
        ("10.0.0.9", on(NIC, "10.0.0.100/24"), [on(OTHER, "192.0.2.1/24"), on(OTHER, "10.1.0.1/24")], "10.1.0.1"),
        # a VIP in another network than the NIC's, where real servers are, too
        ("10.7.0.9", on(NIC, "10.7.0.100/24"), [on(OTHER, "10.7.1.1/24"), on(NIC, "192.0.2.1/24")], "192.0.2.1"),
        # a VIP on lo for a NIC without an address
        ("10.0.0.9", on(LO, "10.0.0.100/32"), [on(OTHER, "192.0.2.1/24")], "192.0.2.1"),
        # behind a router: by the VIP's NIC
        ("203.0.113.9", on(NIC, "10.0.0.100/24"), [on(OTHER, "203.0.114.1/24"), on(NIC, "10.0.0.1/24")], "10.0.0.1"),
        ("2001:db8::9", on(NIC, "2001:db8::100/64"), [on(NIC, "2001:db8::1/64"), on(NIC, "fe80::1/64")], "2001:db8::1"),
        (
            "2001:db8::9",
            on(NIC, "2001:db8::100/64"),
            [on(NIC, "2001:db8::1/64", flags=IFA_F_DEPRECATED), on(NIC, "2001:db8::2/64")],
            "2001:db8::2",
        ),
    ],
)
def test_the_nearest_address_that_is_no_vip(
    target: str, vip: AddressInfo, others: list[AddressInfo], chosen: str
) -> None:
    found = choose(packed(target), vip.address, [*LOOPBACK, vip, *others], {vip.address})
    assert found == Source(packed(chosen))


def test_a_link_local_address_at_last() -> None:
    vip, other = on(NIC, "2001:db8::100/64"), on(OTHER, "fe80::2/64", scope=253)
    own = on(NIC, "fe80::1/64", scope=253)
    here = [*LOOPBACK, vip, other, own]
    assert choose(packed("2001:db8::9"), vip.address, here, {vip.address}) == Source(own.address, NIC)
    assert choose(packed("2001:db8::9"), vip.address, here, {vip.address, own.address}) is None


@pytest.mark.parametrize(
    "others",
    [
        [],
        [on(NIC, "10.0.0.101/24")],
        [on(NIC, "10.0.0.1/24", scope=253)],
        [on(NIC, "10.0.0.1/24", flags=IFA_F_TENTATIVE)],
        [on(NIC, "2001:db8::1/64")],
    ],
)
def test_nothing_but_vips(others: list[AddressInfo]) -> None:
    vips = {packed("10.0.0.100"), packed("10.0.0.101")}
    here = [*LOOPBACK, on(NIC, "10.0.0.100/24"), *others]
    assert choose(packed("10.0.0.9"), packed("10.0.0.100"), here, vips) is None
