# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes may have left in the kernel: of addresses the host's own are never among it."""

from __future__ import annotations

from pathlib import Path

from _lvs_agent.supervisor.owned import Owned
from _lvs_agent.supervisor.state_file import StateFile
from _lvs_agent.vrrp.instance import Instance
from _lvs_agent.vrrp.plan import Holding, InstancePlan, Plan

VIP, OWN = bytes((10, 0, 0, 100)), bytes((10, 0, 0, 1))
PLAN = Plan(
    (InstancePlan(Instance("V", 51, b"", ()), 4, "eth0", (Holding("eth0", VIP, 24), Holding("eth0", OWN, 24))),)
)


def test_the_hosts_own_addresses_are_not_on_record(tmp_path: Path) -> None:
    file = StateFile(str(tmp_path / "state.json"), "boot")
    owned = Owned(file)
    owned.planned(PLAN)
    # nothing has been added yet: what is there is somebody else's
    assert not owned.former
    owned.carried_out(PLAN, (("eth0", OWN, 24),))
    assert owned.former == (("eth0", VIP, 24),)
    assert owned.leftovers(Plan()) == (("eth0", VIP, 24),)
    again = StateFile(str(tmp_path / "state.json"), "boot")
    again.read()
    assert Owned(again).former == (("eth0", VIP, 24),)
