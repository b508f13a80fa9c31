# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl_arp's settings of IPVS, which exist only while its module is loaded; what is true is what sysctl says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from guest_steps import Steps

import uml_guest

pytestmark = pytest.mark.root

FILE = "/run/sysctl.d/90-lvs.conf"
TASK = {"expire_nodest_conn": True, "expire_quiescent_template": True, "sysctl_file": FILE}
NAMES = ("net.ipv4.vs.expire_nodest_conn", "net.ipv4.vs.expire_quiescent_template")


def values(steps: Steps) -> int:
    return steps.run("sysctl", "-n", *NAMES)


def test_settings_of_ipvs(tmp_path: Path) -> None:
    steps = Steps()
    steps.run("mkdir", "-p", "/run/sysctl.d")
    check = steps.module("sysctl_arp", TASK, check=True)
    untouched = values(steps)
    first = steps.module("sysctl_arp", TASK)
    on = values(steps)
    again = steps.module("sysctl_arp", TASK)
    steps.run("sysctl", "-q", "-w", f"{NAMES[0]}=0")
    steps.run("/lib/systemd/systemd-sysctl", "90-lvs.conf")
    booted = values(steps)
    dropped = steps.module("sysctl_arp", {"expire_nodest_conn": True, "sysctl_file": FILE, "exclusive": True})
    one = values(steps)
    gone = steps.module("sysctl_arp", {**TASK, "state": "absent"})
    off = values(steps)

    steps.module("sysctl_arp", TASK)
    steps.run("modprobe", "-r", *reversed(uml_guest.IPVS_MODULES))
    foreseen = steps.module("sysctl_arp", TASK, check=True)
    refused = steps.module("sysctl_arp", TASK)
    absent = steps.module("sysctl_arp", {**TASK, "state": "absent"})
    said: list[Any] = steps.boot(tmp_path)

    assert (said[untouched], said[on], said[booted], said[one], said[off]) == (
        "0\n0\n",
        "1\n1\n",
        "1\n1\n",
        "1\n0\n",
        "0\n0\n",
    )
    assert [said[step]["changed"] for step in (check, first, again, dropped, gone)] == [True, True, False, True, True]
    assert said[check]["diff"] == said[first]["diff"]
    # Without the module, and without one in /lib/modules that a task before could load (the guest's are elsewhere).
    for step in (foreseen, refused):
        assert all(words in said[step]["msg"] for words in ("expire_nodest_conn", "ENOENT", "modprobe ip_vs"))
    assert said[absent]["changed"]
    assert said[absent]["running"] == {}
