# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses vrrp_vip takes for virtual IPs, on hosts as ``ip address`` shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.linuxha.lvs.plugins.module_utils import _vip_rules as vip_rules
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.addresses import Address
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.iproute2 import Interface

LO = Interface("lo", True, "loopback", [Address("127.0.0.1", 8, "lo", "host"), Address("::1", 128, "", "host")])
OWN, OWN6 = Address("192.168.1.129", 24, "ens33"), Address("2001:db8::129", 64)
VIP, VIP6 = Address("192.168.1.100", 24, "ens37"), Address("2001:db8::100", 64)


def host(ens33: list[Address], ens37: list[Address] | None = None) -> dict[str, Interface]:
    held = {"ens33": ens33, "ens37": ens37 or []}
    return {"lo": LO, **{name: Interface(name, True, "ether", addresses) for name, addresses in held.items()}}


@pytest.mark.parametrize(
    "text, prefixlen, words",
    [
        ("192.168.1.0", 24, "by its prefix it is the network's address"),
        ("192.168.1.255", 24, "by its prefix it is the broadcast address"),
        # Without a prefix the host's own network tells it.
        ("192.168.1.0", 32, "by 192.168.1.129/24 on ens33 it is the network's address"),
        ("192.168.1.255", 32, "by 192.168.1.129/24 on ens33 it is the broadcast address"),
        ("2001:db8::", 64, "by its prefix it is the Subnet-Router anycast"),
        ("2001:db8::", 128, "by 2001:db8::129/64 on ens33 it is the Subnet-Router anycast"),
        ("192.168.1.100", 24, ""),
        ("192.168.1.100", 32, ""),
        # Networks of two addresses, and of one.
        ("10.0.0.0", 31, ""),
        ("10.0.0.1", 31, ""),
        ("10.0.0.0", 32, ""),
        ("2001:db8:1::", 127, ""),
        ("2001:db8::ffff:ffff:ffff:ffff", 64, ""),
    ],
)
def test_addresses_of_networks(text: str, prefixlen: int, words: str) -> None:
    found = host([OWN, OWN6])
    if not words:
        vip_rules.require_hosts([Address(text, prefixlen)], found)
        return
    with pytest.raises(ValueError, match=f"^{text} cannot be a virtual IP: {words}"):
        vip_rules.require_hosts([Address(text, prefixlen)], found)


def test_a_network_on_lo() -> None:
    for address, words in ((VIP, "local to this host; write 192.168.1.100/32"), (VIP6, "unreachable; write 2001:db8:")):
        with pytest.raises(ValueError, match=f"on lo would make its whole network {words}.*noprefixroute"):
            vip_rules.require_narrow_on_loopback([address], LO)
        vip_rules.require_narrow_on_loopback([replace(address, noprefixroute=True)], LO)
        vip_rules.require_narrow_on_loopback([replace(address, prefixlen=128 if address.is_ipv6 else 32)], LO)
        vip_rules.require_narrow_on_loopback([address], host([])["ens37"])


def narrow(address: Address) -> Address:
    return replace(address, prefixlen=128 if address.is_ipv6 else 32)


@pytest.mark.parametrize(
    "found, interface, wanted, gateways, refused",
    [
        pytest.param(host([OWN]), "ens33", narrow(OWN), [], True, id="with another prefix"),
        pytest.param(host([OWN]), "ens33", replace(OWN, label="ens33:9"), [], True, id="with another label"),
        pytest.param(host([OWN]), "ens37", OWN, [], True, id="on another interface"),
        pytest.param(host([OWN]), "lo", narrow(OWN), [], True, id="on lo"),
        pytest.param(host([OWN6]), "ens33", narrow(OWN6), [], True, id="IPv6"),
        pytest.param(host([VIP6, OWN6]), "ens33", narrow(OWN6), [], True, id="IPv6, the older of two"),
        pytest.param(host([VIP6, OWN6]), "ens33", narrow(VIP6), [], False, id="IPv6, the newer of two"),
        pytest.param(host([OWN]), "ens33", OWN, [], False, id="as it is"),
        pytest.param(host([OWN], [VIP]), "ens37", narrow(VIP), [], False, id="set by hand, one more of the network"),
        pytest.param(host([OWN], [VIP]), "ens37", narrow(VIP), ["192.168.1.1"], True, id="the network of a gateway"),
        pytest.param(host([OWN], [VIP]), "ens37", narrow(VIP), ["10.0.0.1"], False, id="that of another gateway"),
        pytest.param(
            host([OWN, replace(VIP, secondary=True)]), "ens33", narrow(VIP), ["192.168.1.1"], False, id="secondary"
        ),
        pytest.param(
            host([OWN, replace(VIP, secondary=True)]), "ens33", narrow(OWN), [], True, id="the first of its network"
        ),
        pytest.param(host([OWN], [replace(VIP, dynamic=True)]), "ens37", narrow(VIP), [], True, id="from DHCP"),
        pytest.param(host([replace(OWN, noprefixroute=True)]), "ens33", OWN, [], False, id="without a network"),
        pytest.param(host([narrow(OWN)]), "ens33", replace(OWN, label="ens33:9"), [], False, id="alone"),
    ],
)
def test_the_hosts_own_address(
    found: Any, interface: str, wanted: Address, gateways: list[str], refused: bool
) -> None:
    def require(kept: vip_rules.Kept) -> None:
        vip_rules.require_not_own([wanted], interface, found, kept, lambda _interface: gateways)

    if refused:
        with pytest.raises(ValueError, match=rf"^{wanted.address}/.* is the host's own address"):
            require(vip_rules.Kept())
    else:
        require(vip_rules.Kept())
    # What the module itself has set is no host's own.
    require(vip_rules.Kept(True, [wanted.address]))


def test_the_hosts_own_address_is_not_kept_in_a_record() -> None:
    with pytest.raises(ValueError, match=r"192.168.1.129/24 on ens33 is the host's own address"):
        vip_rules.require_not_own([OWN], "ens33", host([OWN]), vip_rules.Kept(True), lambda _interface: [])
