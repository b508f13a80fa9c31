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
READ = f"""
import json, sys
sys.path.insert(0, {str(LIBRARY)!r})
from _lvs_agent.kernel import iproute2
from _lvs_agent.kernel.rtnl import Rtnl
with Rtnl() as rtnl:
    links = rtnl.links()
    addresses = {{link.name: [str(a) for a in rtnl.addresses(link.name)] for link in links}}
by_ip = {{name: [str(a) for a in interface.addresses] for name, interface in iproute2.interfaces().items()}}
json.dump([links, addresses, by_ip], sys.stdout)
"""


def test_links_and_addresses(host: Any) -> None:
    for words in ("192.168.1.100/24 label ens37:9 scope link noprefixroute", "fd00::1/64 noprefixroute nodad"):
        host.run("ip", "address", "add", *words.split(), "dev", "ens37")
    host.run("ip", "address", "add", "10.0.0.1", "peer", "10.0.0.2/32", "dev", "ens33")

    links, addresses, by_ip = json.loads(host.run(host.python, "-W", "error", "-c", READ))
    assert links == [
        [link["ifindex"], link["ifname"], "UP" in link["flags"], link["address"]] for link in host.ip("link", "show")
    ]
    assert addresses["ens37"] == [
        "192.168.1.100/24 scope link label ens37:9 noprefixroute",
        "fd00::1/64 scope global noprefixroute",
    ]
    assert "10.0.0.1/32 scope global label ens33" in addresses["ens33"]
    assert addresses == by_ip
