# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wire with a filter: a busy interface must not fill the socket of who waits for a neighbour's answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

LIBRARY = Path(__file__).parents[3] / "plugins" / "module_utils"
LISTEN = f"""
import json, subprocess, sys
sys.path.insert(0, {str(LIBRARY)!r})
from _lvs_agent.kernel import ndisc
from _lvs_agent.kernel.ethernet import Wire, only_icmpv6

def types(wire):
    seen = []
    while (frame := wire.receive()) is not None:
        seen.append(frame[54] if frame[20] == 58 else None)
    return seen

only = only_icmpv6(ndisc.SOLICITATION, ndisc.ADVERTISEMENT)
with Wire("ens33", ndisc.ETH_P_IPV6) as all_of_it, Wire("ens33", ndisc.ETH_P_IPV6, only) as some:
    for command in COMMANDS:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(json.dumps([types(all_of_it), types(some)]))
"""
ECHO_REPLY, SOLICITATION, ADVERTISEMENT = 129, 135, 136


def test_the_filter_lets_neighbour_discovery_in_and_nothing_else(hosts: tuple[Any, Any]) -> None:
    host, peer = hosts
    for end, address in ((host, "fd00::129"), (peer, "fd00::130")):
        end.run("ip", "address", "add", f"{address}/64", "dev", "ens33", "nodad")
    commands = [
        # The peer is asked who it is and answers, then it is sent an echo.
        ["ping", "-c", "1", "fd00::130"],
        # It asks in turn.
        peer.command("ip", "neighbour", "flush", "dev", "ens33"),
        peer.command("ping", "-c", "1", "fd00::129"),
    ]
    code = LISTEN.replace("COMMANDS", repr(commands))
    everything, some = json.loads(host.run(host.python, "-W", "error", "-c", code))
    assert ECHO_REPLY in everything
    assert {SOLICITATION, ADVERTISEMENT} == set(some)
    assert some == [number for number in everything if number in (SOLICITATION, ADVERTISEMENT)]
