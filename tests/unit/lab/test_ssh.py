# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's keys, and its configuration as ssh itself understands it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from _lab import ssh
from _lab.plan import Plan


@pytest.fixture
def config(plan: Plan, tmp_path: Path) -> Path:
    """A written configuration."""
    for guest in plan.guests:
        public = ssh.host_key_path(tmp_path, guest).with_suffix(".pub")
        public.parent.mkdir(parents=True)
        public.write_text(f"ssh-ed25519 KEY-OF-{guest.name} linuxha.lvs lab\n")
    ssh.write_config(tmp_path, plan)
    return ssh.config_path(tmp_path)


def understood(config: Path, host: str) -> dict[str, str]:
    said = subprocess.run(["ssh", "-F", str(config), "-G", host], capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in said.splitlines() if " " in line)


@pytest.mark.parametrize("called", ["lvs01", "192.0.2.1"])
def test_a_host_by_its_name_and_by_its_address(config: Path, called: str) -> None:
    options = understood(config, called)
    assert options["hostname"] == "198.18.0.1"
    assert options["hostkeyalias"] == "lvs01"
    assert options["proxycommand"] == "ip netns exec lab-t nc %h %p"


def test_only_the_labs_own_keys_count(config: Path) -> None:
    options = understood(config, "web01")
    assert options["user"] == "root"
    assert options["identityfile"] == str(config.with_name("id_ed25519"))
    assert options["identitiesonly"] == "yes"
    assert options["userknownhostsfile"] == str(config.with_name("known_hosts"))
    assert options["globalknownhostsfile"] == "/dev/null"
    assert options["stricthostkeychecking"] == "true"


def test_every_host_key_is_known(config: Path) -> None:
    assert config.with_name("known_hosts").read_text().splitlines() == [
        f"{name} ssh-ed25519 KEY-OF-{name}" for name in ("lvs01", "web01", "client")
    ]


def test_a_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "new/id_ed25519"
    ssh.make_key(path)
    key = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_suffix(".pub").read_text().startswith("ssh-ed25519 ")
    ssh.make_key(path)
    assert path.read_text() == key
