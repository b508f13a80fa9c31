# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""README's way to deploy without a checkout, word for word; of the playbook, the hosts it would run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands() -> str:
    """The block of README that installs the collection's file."""
    blocks = re.findall(r"```shell\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [one for one in blocks if "ansible-galaxy collection install" in one]
    return str(found)


def test_the_block_runs_and_finds_the_site(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts/artefact"], check=True, timeout=300)
    home, tools = tmp_path / "home", tmp_path / "tools"
    home.mkdir()
    tools.mkdir()
    for file in (ROOT / "build").glob("linuxha-lvs-*.tar.gz"):
        shutil.copy(file, home)
    ask = tools / "ansible-playbook"
    ask.write_text(f'#!/bin/sh\nexec {shutil.which("ansible-playbook")} "$@" --list-hosts\n')
    ask.chmod(0o755)
    environment = {
        "HOME": str(home),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "ANSIBLE_GALAXY_SERVER_LIST": "",
    }
    command = ["bash", "-euc", commands()]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Nothing to do" not in done.stdout
    assert "no hosts matched" not in done.stdout + done.stderr
    for host in ("lvs01", "lvs02", "web01", "web02"):
        assert done.stdout.count(f"      {host}\n") >= 2, done.stdout
