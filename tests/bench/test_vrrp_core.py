# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an advert costs in the VRRP core, and the simulator over thousands of seeds; build/bench/vrrp_core.json."""

from __future__ import annotations

import json
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from _lvs_agent.vrrp import ah
from _lvs_agent.vrrp.instance import SECOND, Instance, auth_data
from _lvs_agent.vrrp.machine import Machine
from _lvs_agent.vrrp.packet import AUTH_AH, AUTH_PASS
from _lvs_agent.vrrp.receive import Receiver
from _lvs_agent.vrrp.transmit import Transmitter
from tests.unit.vrrp import simulator

RESULT = Path(__file__).parents[2] / "build/bench/vrrp_core.json"

SEEDS = 5000
#: seconds of one core
SEEDS_WITHIN_S = 30

OURS = Instance("VI", 51, bytes((192, 0, 2, 1)), (bytes((192, 0, 2, 100)),))
KINDS = {
    "v2": OURS,
    "v2 PASS": replace(OURS, auth_type=AUTH_PASS, auth_data=auth_data("secret")),
    "v2 AH": replace(OURS, auth_type=AUTH_AH, auth_data=auth_data("secret")),
    "v3": replace(OURS, version=3, advert_int=SECOND // 10),
}


def microseconds(call: Callable[[], object], number: int = 20_000) -> float:
    """The best of five runs, for one call."""
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


def costs(instance: Instance) -> dict[str, float]:
    """Microseconds to build a packet, to read one for the first time and again, and for a backup's timer."""
    transmitter = Transmitter(instance, ah.Sequence())
    packet = bytes(transmitter.packets(200)[0][1])
    again = Receiver(instance, ah.Sequence())
    machine = Machine(replace(instance, source=bytes((192, 0, 2, 2))))
    machine.start(0)
    advert = again.ipv4(packet)
    machine.advert(SECOND, advert)
    found = {
        "send": microseconds(lambda: transmitter.packets(200)),
        "first receipt": microseconds(lambda: Receiver(instance, ah.Sequence()).ipv4(packet), 5000),
        "handle": microseconds(lambda: machine.advert(SECOND, advert)),
    }
    if instance.auth_type != AUTH_AH:
        found["receipt"] = microseconds(lambda: again.ipv4(packet))
    return found


def test_an_advert(capsys: pytest.CaptureFixture[str]) -> None:
    table = {kind: costs(instance) for kind, instance in KINDS.items()}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({f"{kind}, us": row for kind, row in table.items()}, indent=1))
    with capsys.disabled():
        print()
        for kind, row in table.items():
            print(f"{kind:<8}", "   ".join(f"{what} {took:6.2f} us" for what, took in row.items()))
    # 500 instances at 100 ms: 5,000 adverts in a second must leave a core almost idle
    assert table["v3"]["receipt"] + table["v3"]["handle"] < 20
    assert table["v3"]["send"] < 20


def test_stories(capsys: pytest.CaptureFixture[str]) -> None:
    start = time.process_time()
    for seed in range(SEEDS):
        simulator.story(seed, rounds=4)
    took = time.process_time() - start
    with capsys.disabled():
        print(f"\n{SEEDS} stories of 2 to 5 routers {took:6.1f} s   to reach: {SEEDS_WITHIN_S} s")
    assert took < SEEDS_WITHIN_S
