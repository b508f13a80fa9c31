# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Rtnl reads, with each pyroute2, beside what ``ip`` prints and what iproute2.interfaces() makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

LIBRARY = Path(__file__).parents[3] / "plugins" / "module_utils"
PREPARE = f"""
import json, sys
sys.path.insert(0, {str(LIBRARY)!r})
from _lvs_agent.kernel import iproute2
from _lvs_agent.kernel.addresses import Address
from _lvs_agent.kernel.errors import KernelError
from _lvs_agent.kernel.rtnl import Rtnl
from _lvs_agent.kernel.rtnl_types import Route, host_route
"""
READ = f"""{PREPARE}
with Rtnl() as rtnl:
    links = rtnl.links()
    addresses = {{link.name: [str(a) for a in rtnl.addresses(link.name)] for link in links}}
by_ip = {{name: [str(a) for a in interface.addresses] for name, interface in iproute2.interfaces().items()}}
json.dump([links, addresses, by_ip], sys.stdout)
"""


def run(host: Any, code: str, *before: str) -> Any:
    """What code printed as JSON with a fresh Rtnl as ``rtnl``; ``before`` is a command to run it by."""
    body = "".join(f"    {line}\n" for line in code.strip().splitlines())
    words = [*before, host.python, "-W", "error", "-c", f"{PREPARE}\nwith Rtnl() as rtnl:\n{body}"]
    return json.loads(host.run(*words) or "null")


def refused(host: Any, call: str, *before: str) -> str:
    """The class and the words of the error that a call raises."""
    code = (
        f"try:\n    {call}\nexcept KernelError as error:\n    json.dump([type(error).__name__, str(error)], sys.stdout)"
    )
    return " ".join(run(host, code, *before))


def test_links_and_addresses(host: Any) -> None:
    for words in ("192.168.1.100/24 label ens37:9 scope link noprefixroute", "fd00::1/64 noprefixroute nodad"):
        host.run("ip", "address", "add", *words.split(), "dev", "ens37")
    # On a link that is down, duplicate address detection cannot begin.
    host.run("ip", "address", "add", "fd00::2/64", "dev", "eth0.100")
    host.run("ip", "address", "add", "10.0.0.1", "peer", "10.0.0.2/32", "dev", "ens33")
    host.run("ip", "link", "set", "ens33", "arp", "off", "mtu", "1400")

    links, addresses, by_ip = json.loads(host.run(host.python, "-W", "error", "-c", READ))
    assert links == [
        [
            link["ifindex"],
            link["ifname"],
            "UP" in link["flags"],
            "LOWER_UP" in link["flags"],
            link["mtu"],
            link["address"],
            link["ifname"] in ("ens37", "eth0.100"),
        ]
        for link in host.ip("link", "show")
    ]
    assert addresses["ens37"] == [
        "192.168.1.100/24 scope link label ens37:9 noprefixroute",
        "fd00::1/64 scope global noprefixroute",
    ]
    assert addresses["eth0.100"] == ["fd00::2/64 scope global tentative"]
    assert "10.0.0.1/32 scope global label ens33" in addresses["ens33"]
    assert addresses == by_ip


def test_routes(host: Any) -> None:
    host.run("ip", "address", "add", "fd00::1/64", "dev", "ens33", "nodad")
    run(
        host,
        """
for route in (
    host_route("ens33", "192.168.1.100"),
    Route("10.1.0.0/16", "ens33", gateway="192.168.1.130", prefsrc="192.168.1.129", metric=7, protocol=184),
    Route("0.0.0.0/0", "ens33", gateway="192.168.1.130", table=100),
    Route("fd01::/48", "ens33", gateway="fd00::130", metric=1024),
):
    rtnl.replace_route(route)
    rtnl.replace_route(route)
""",
    )
    shown = {route["dst"]: route for route in host.ip("-4", "route", "show", "table", "all", "dev", "ens33")}
    assert (shown["192.168.1.100"]["scope"], shown["192.168.1.100"]["protocol"]) == ("link", "static")
    other = shown["10.1.0.0/16"]
    assert (other["gateway"], other["prefsrc"], other["metric"]) == ("192.168.1.130", "192.168.1.129", 7)
    assert (shown["default"]["gateway"], shown["default"]["table"]) == ("192.168.1.130", "100")
    (sixth,) = host.ip("-6", "route", "show", "fd01::/48")
    assert (sixth["gateway"], sixth["metric"]) == ("fd00::130", 1024)

    # A route that is no unicast route of one interface is not ours to tell.
    host.run("ip", "route", "add", "blackhole", "10.3.0.0/16")
    told = run(host, "json.dump([rtnl.routes('ens33'), rtnl.routes('ens33', 100)], sys.stdout)")
    (main, hundred) = ([route for route in routes if route[6] != 2] for routes in told)
    assert main == [
        ["10.1.0.0/16", "ens33", "192.168.1.130", "192.168.1.129", 7, "global", 184, 254],
        ["192.168.1.100/32", "ens33", "", "", 0, "link", 4, 254],
        ["fd01::/48", "ens33", "fd00::130", "", 1024, "global", 4, 254],
    ]
    assert hundred == [["0.0.0.0/0", "ens33", "192.168.1.130", "", 0, "global", 4, 100]]

    run(
        host,
        """
for route in [*rtnl.routes("ens33"), *rtnl.routes("ens33", 100)]:
    if route.protocol != 2:
        rtnl.delete_route(route)
        rtnl.delete_route(route)
""",
    )
    left = host.ip("-4", "route", "show", "table", "100") + host.ip("-6", "route", "show", "fd01::/48")
    assert left + [route for route in host.ip("route", "show", "dev", "ens33") if route["protocol"] != "kernel"] == []


def test_neighbours(host: Any) -> None:
    for address, mac in (("192.168.1.7", "02:00:00:00:00:07"), ("fd00::7", "02:00:00:00:00:08")):
        host.run("ip", "neighbour", "add", address, "lladdr", mac, "nud", "permanent", "dev", "ens33")
    told = run(host, "json.dump(rtnl.neighbours('ens33'), sys.stdout)")
    listed = [
        [entry["dst"], "ens33", entry["lladdr"], *entry["state"]] for entry in host.ip("neigh", "show", "dev", "ens33")
    ]
    assert sorted(told) == sorted(listed)
    assert [entry[2] for entry in told] == ["02:00:00:00:00:07", "02:00:00:00:00:08"]


@pytest.mark.parametrize(
    "call, words",
    [
        ("rtnl.addresses('ens73')", ["InterfaceNotFound", "ens73 here", "ENODEV", "did you mean ens37?"]),
        ("rtnl.set_up('nowhere')", ["InterfaceNotFound", "nowhere", "only lo, "]),
        (
            "rtnl.add_address('ens33', Address('192.168.1.129', 24, 'ens33'))",
            ["RtnlError", "adding 192.168.1.129/24 scope global label ens33 to ens33", "EEXIST", "somebody else"],
        ),
        (
            "rtnl.replace_route(Route('10.0.0.0/8', 'ens33', '172.16.0.1'))",
            ["RtnlError", "setting the route 10.0.0.0/8 via 172.16.0.1 dev ens33", "ENETUNREACH", "own network"],
        ),
        (
            "rtnl.replace_route(host_route('eth0.100', '10.0.0.1'))",
            ["RtnlError", "10.0.0.1/32 dev eth0.100", "ENETDOWN", "the interface is down"],
        ),
    ],
)
def test_an_error_has_the_kernels_number_the_object_and_what_to_do(host: Any, call: str, words: list[str]) -> None:
    said = refused(host, call)
    assert all(word in said for word in words), said


def test_ipv6_switched_off_is_said(host: Any) -> None:
    host.run("sysctl", "-q", "-w", "net.ipv6.conf.ens37.disable_ipv6=1")
    assert "disable_ipv6" in refused(host, "rtnl.add_address('ens37', Address('fd00::1', 64))")


def test_without_the_right_to_change(host: Any) -> None:
    said = refused(host, "rtnl.set_up('eth0.100')", "setpriv", "--bounding-set=-net_admin")
    assert all(word in said for word in ("RtnlError", "bringing eth0.100 up", "EPERM", "CAP_NET_ADMIN")), said
