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
        "systemctl list-unit-files --no-legend --state=enabled",
    )  # fmt: skip
    return {name: host(name).check_output(" ; ".join(commands)) for name in (*DIRECTORS, *REAL_SERVERS)}


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, Edit], Path]:
    """A copy of the inventory with one file changed."""

    def make(file: str, edit: Edit) -> Path:
        copy = tmp_path / "inventory"
        shutil.copytree(INVENTORY, copy)
        variables = yaml.safe_load((copy / file).read_text())
        edit(variables)
        (copy / file).write_text(yaml.safe_dump(variables))
        return copy

    return make


def vrid_300(variables: dict[str, Any]) -> None:
    variables["director_vrrp_instances"][0]["virtual_router_id"] = 300


def port_8080(variables: dict[str, Any]) -> None:
    variables["director_virtual_servers"][0]["real_server"][0]["port"] = 8080


def fractional(variables: dict[str, Any]) -> None:
    variables["director_vrrp_instances"][0]["advert_int"] = 0.5


def misspelt(variables: dict[str, Any]) -> None:
    variables["director_vrrp_instances"][0]["virtual_ipadress"] = [VIP]


def vip_twice(variables: dict[str, Any]) -> None:
    variables["director_vrrp_instances"][0]["virtual_ipaddress"] = [VIP, f"{VIP}/32"]


def wrong_nic(variables: dict[str, Any]) -> None:
    variables["director_vrrp_instances"][0]["interface"] = "ens3"


def equal_priority(variables: dict[str, Any]) -> None:
    variables["director_host_vrrp_instances"]["VI_1"]["priority"] = 100


def dead_peer(variables: dict[str, Any]) -> None:
    variables["director_address"] = "192.168.1.77"


@pytest.mark.parametrize(
    "file,edit,words",
    [
        ("group_vars/directors.yml", vrid_300, ["virtual_router_id", "300", "1 to 255"]),
        ("group_vars/directors.yml", port_8080, ["192.168.1.129", "8080", "DR"]),
        ("group_vars/directors.yml", fractional, ["advert_int", "0.5"]),
        ("group_vars/directors.yml", misspelt, ["virtual_ipadress", "did you mean virtual_ipaddress"]),
        ("group_vars/directors.yml", vip_twice, [VIP, "twice"]),
        ("group_vars/directors.yml", wrong_nic, ["no interface ens3 ", "did you mean ens33"]),
        ("host_vars/lvs02.yml", equal_priority, ["priority", "100"]),
        ("host_vars/lvs02.yml", dead_peer, ["192.168.1.77", "neither answers"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_bad_site_is_refused_before_the_first_change(
    host: Host, edited: Callable[[str, Edit], Path], file: str, edit: Edit, words: list[str]
) -> None:
    run = site_yml(edited(file, edit))
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
