# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""Ansible's programs as a user of this checkout runs them: with its ansible.cfg, not molecule's."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from _lab import lab
from site_under_test import LAB

CHECKOUT = Path(__file__).parents[2]
PLAYBOOKS = CHECKOUT / "playbooks"
INVENTORY = PLAYBOOKS / "inventories/dr-two-nic"


def run(program: str, inventory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``ansible`` or ``ansible-playbook`` on the lab's hosts; errors stand beside the rest in ``stdout``."""
    environment = {name: value for name, value in os.environ.items() if name != "ANSIBLE_CONFIG"}
    return subprocess.run(
        [program, "-i", str(inventory), "-i", str(lab.inventory_path(LAB)), *words],
        cwd=CHECKOUT, env={**environment, "ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def play(inventory: Path, playbook: Path, *words: str) -> dict[str, int]:
    """Run a playbook that must succeed; host -> number of changed tasks, without the controller's own checks."""
    done = run("ansible-playbook", inventory, *words, str(playbook))
    assert done.returncode == 0, done.stdout
    recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.M)
    return {host: int(count) for host, count in recap if host != "localhost"}
