# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""Before the first change: bad sites are refused with nothing changed, and check mode tells what would change."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

from as_a_user import INVENTORY, PLAYBOOKS, run
from site_under_test import DIRECTORS, REAL_SERVERS, VIP

Host = Callable[[str], testinfra.host.Host]
Edit = Callable[[dict[str, Any]], None]


def site_yml(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("ansible-playbook", inventory, *arguments, str(PLAYBOOKS / "site.yml"))


def state_of(host: Host) -> dict[str, str]:
    """All that a role of ours could have changed, as other tools say."""
    commands = (
        "ip -brief address", "ip route show table all", "iptables-save | grep -e '^-A' -e '^:.* DROP'", "dpkg-query -W",
        "sysctl -a 2>/dev/null | grep -E 'arp_|redirects|forward|rp_filter'",
        "find /etc /var/lib/linuxha-lvs -xdev -type f -printf '%p %s %T@\\n' 2>/dev/null | sort",
        "systemctl --root=/ list-unit-files --no-legend --state=enabled",
    )  # fmt: skip
    return {name: host(name).check_output(" ; ".join(commands)) for name in (*DIRECTORS, *REAL_SERVERS)}


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[dict[str, Edit]], Path]:
    """A copy of the inventory with some of its files changed."""

    def make(edits: dict[str, Edit]) -> Path:
        copy = tmp_path / "inventory"
        shutil.copytree(INVENTORY, copy)
        for file, edit in edits.items():
            variables = yaml.safe_load((copy / file).read_text())
            edit(variables)
            (copy / file).write_text(yaml.safe_dump(variables))
        return copy

    return make


def against_the_protocol(variables: dict[str, Any]) -> None:
    instance, service = variables["director_vrrp_instances"][0], variables["director_virtual_servers"][0]
    instance.update(virtual_router_id=300, advert_int=0.5, virtual_ipadress=[VIP])
    service["real_server"][0]["port"] = 8080


def equal_priority(variables: dict[str, Any]) -> None:
    variables["director_host_vrrp_instances"]["VI_1"]["priority"] = 100


def wrong_nic(variables: dict[str, Any]) -> None:
    variables["director_vrrp_instances"][0]["interface"] = "ens3"


def dead_peer(variables: dict[str, Any]) -> None:
    variables["director_address"] = "192.168.1.77"


# What each message says is tests/unit/conf/test_check.py's; here all of them are seen at once, before any change:
# what the controller knows by itself, then what it has to ask the hosts.
@pytest.mark.parametrize(
    "edits,words",
    [
        (
            {"group_vars/directors.yml": against_the_protocol, "host_vars/lvs02.yml": equal_priority},
            ["virtual_router_id", "300", "1 to 255", "advert_int", "0.5", "did you mean virtual_ipaddress",
             "192.168.1.129", "8080", "DR", "priority 100 on every one of them"],
        ),
        (
            {"group_vars/directors.yml": wrong_nic, "host_vars/lvs02.yml": dead_peer},
            ["no interface ens3 ", "did you mean ens33", "192.168.1.77", "neither answers"],
        ),
    ],
    ids=["the controller knows", "the hosts know"],
)  # fmt: skip
def test_a_bad_site_is_refused_before_the_first_change(
    host: Host, edited: Callable[[dict[str, Edit]], Path], edits: dict[str, Edit], words: list[str]
) -> None:
    run = site_yml(edited(edits))
    assert run.returncode != 0
    assert "Nothing was changed" in run.stdout
    assert [word for word in words if word not in run.stdout] == []
    assert "Install packages" not in run.stdout
    assert "changed=0" in run.stdout
    assert not any(f"changed={count}" in run.stdout for count in range(1, 10))


def test_check_mode_names_everything_and_changes_nothing(host: Host) -> None:
    before = state_of(host)
    run = site_yml(INVENTORY, "--check", "--diff")
    assert run.returncode == 0, run.stdout[-3000:]
    assert state_of(host) == before
    said = run.stdout
    for word in (
        f"{VIP}/24", "ens37", "lvs-real-server.service", "90-linuxha-lvs-real-server.conf", "arp_ignore = 8",
        "keepalived.conf", "virtual_router_id 51", "lvs-director-firewall.service", "modules-load.conf",
        "90-linuxha-lvs-director.conf", "send_redirects = 0", "ipvsadm", "VRRP from lvs01", "VRRP from lvs02",
    ):  # fmt: skip
        assert word in said, word
