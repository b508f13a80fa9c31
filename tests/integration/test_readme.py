# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""README's shell blocks, run word for word; the playbooks are only read, for there are no hosts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```shell\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
HOSTS = {"lvs01", "lvs02", "web01", "web02"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git knows, with the link that `make` keeps."""
    copy = tmp_path / "checkout"
    known = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(known, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (CHECKOUT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, copy / name)
    link = copy / "build/collections/ansible_collections/linuxha/lvs"
    link.parent.mkdir(parents=True)
    link.symlink_to(copy)
    return copy


def block(word: str) -> str:
    (found,) = [text for text in BLOCKS if word in text]
    return str(found)


def run(script: str, folder: Path) -> str:
    """Run a block in a directory, as a user who has nothing else; stops at the first failure."""
    home = next(path for path in (folder, *folder.parents) if (path / "checkout").exists()) / "home"
    hidden = ("ANSIBLE_", "PYTHONPATH", "PYTEST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env={**environment, "HOME": str(home)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def listed(script: str) -> str:
    """The block's playbooks list their hosts; this test's Ansible stands for the one that scripts/run installs."""
    lines = script.replace("scripts/run controller ", "").splitlines()
    return "\n".join(f"{line} --list-hosts" if line.startswith("ansible-playbook") else line for line in lines)


def assert_hosts(said: str) -> None:
    assert set(re.findall(r"^ {6}(\S+)$", said, re.MULTILINE)) >= HOSTS
    # directors_backup_first is a group that the first play makes
    unmatched = re.findall(r"Could not match supplied host pattern, ignoring: (\S+)", said)
    assert set(unmatched) <= {"directors_backup_first"}


def test_deployed_from_the_checkout(checkout: Path) -> None:
    lines = block("make deploy").splitlines()
    deploys = [line for line in lines if line.startswith("make deploy")]
    assert len(deploys) == 2
    for line in deploys:
        command = run(line.replace("make ", "make -n ", 1), checkout).strip().splitlines()[-1]
        assert command.startswith("scripts/run controller ansible-playbook")
        assert_hosts(run(f"rm -rf playbooks/inventories/mysite\n{lines[0]}\n{listed(command)}", checkout))


def test_installed_as_a_collection(checkout: Path) -> None:
    own = checkout.parent / "home/sites"
    run(f"mkdir -p {own}\nansible-galaxy collection build --output-path {own}", checkout)
    said = run(listed(block("collection install")), own)
    assert "Nothing to do" not in said
    assert "installed successfully" in said
    assert_hosts(said)
