# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DR pool on IPv6 whose VIPs have a prefix length, on a real kernel's IPVS: health checks never leave from a VIP.

The kernel would choose one as their source, and the real servers, which hold it, would answer themselves. The client's
sockets, tcpdump, ipvsadm and ip say what happens; keepalived with the same file shows that it can happen here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).parent / "ipv6_pool_in_guest.py"
#: of the client, through lb1 and through lb2
CONNECTIONS = {"lb1": 1000, "lb2": 200}
#: VIP -> its prefix length, and whether it is deprecated
VIPS = {
    "2001:db8::100": (64, True),
    "2001:db8::101": (64, True),
    "2001:db8::102": (128, True),
    "2001:db8::103": (64, False),
}
SERVERS = ("[2001:db8::11]:80", "[2001:db8::12]:80")
WHOLE = dict.fromkeys(SERVERS, len(VIPS))
OWN = {"lb1": ["2001:db8::1"], "lb2": ["2001:db8::2"]}


class Said(NamedTuple):
    """What each step in the guest answered, and the interface on which a master holds its VIPs."""

    interface: str
    steps: dict[str, Any]

    @property
    def endangered(self) -> bool:
        """Whether the kernel chooses a VIP as the source of packets to the real servers.

        Addresses of the outgoing interface, eth0, come first (RFC 6724 section 5, rule 5).
        """
        return self.interface == "eth0"


@pytest.fixture(
    scope="module",
    params=["", pytest.param("use_vmac", marks=pytest.mark.long)],
    ids=["the interface's MAC", "virtual MAC"],
)
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Said:
    checkout = STEPS.parents[3]
    numbers = " ".join(map(str, CONNECTIONS.values()))
    parts = uml_guest.run(
        f"chmod 755 /run\npart steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS} {numbers} {request.param}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("veth", "bridge", "dummy", "macvlan", *uml_guest.IPVS_MODULES),
        pythonpath=(checkout / "plugins/module_utils", checkout / "tests/support"),
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    return Said("vrrp6.51" if request.param else "eth0", json.loads(last))


@pytest.mark.parametrize("master, others", [("lb1", {"lb2"}), ("lb2", {"lb1"})])
def test_the_client_is_served_by_both(said: Said, master: str, others: set[str]) -> None:
    """lb2 is master once lb1 has stopped."""
    half = CONNECTIONS[master] // len(VIPS) // len(SERVERS)
    found = said.steps[master]
    assert set(found["served"]) == set(VIPS)
    for served in found["served"].values():
        assert sum(served.values()) == 2 * half
        # round robin, but a connection that the kernel of a busy guest tries again takes a turn of its own
        assert {server: abs(count - half) <= 5 for server, count in served.items()} == {"web1": True, "web2": True}
    assert found["vips"][master] == {vip: [said.interface, *shown] for vip, shown in VIPS.items()}
    assert [found["vips"][name] for name in others] == [{}]


@pytest.mark.parametrize("master, running", [("lb1", {"lb1", "lb2"}), ("lb2", {"lb2"})])
def test_checks_leave_from_the_directors_own_address(said: Said, master: str, running: set[str]) -> None:
    found = said.steps[master]
    # the site prefers this VIP, so any packet but a health check has it
    assert found["kernel's source"] == ("2001:db8::103" if said.endangered else OWN[master][0])
    assert found["checks from"] == {name: own if name in running else [] for name, own in OWN.items()}
    assert [found["pools"][name] for name in sorted(running)] == [WHOLE] * len(running), said.steps["log"]


def test_keepalived_checks_from_a_vip_and_loses_its_pool(said: Said) -> None:
    """Without this the other tests would show nothing. It makes VIPs with the prefix length 128 deprecated only."""
    found = said.steps["keepalived"]
    if said.endangered:
        assert found["pools"]["lb1"] == {}
        assert set(found["checks from"]["lb1"]) & set(VIPS)
    else:
        assert (found["pools"]["lb1"], found["checks from"]["lb1"]) == (WHOLE, OWN["lb1"])
    shown = {vip: (length, length == 128) for vip, (length, _deprecated) in VIPS.items()}
    assert {vip: tuple(of[1:]) for vip, of in found["vips"]["lb1"].items()} == shown
