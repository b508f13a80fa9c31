# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example inventory: read as Ansible reads it, without a problem, and both engines accept what is rendered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import site_pictures
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from _lab.inventory import lab_hosts
from _lab.plan import host_from_dict, make_plan
from _lvs_agent import engine_verdict
from _lvs_agent.conf import check, firewall, firewall_marks, real_server_hosts
from _lvs_agent.conf.read import file_problems, read_text
from _lvs_agent.conf.render import render_variables

ROOT = Path(__file__).parents[3]
INVENTORIES = sorted(path.parent for path in ROOT.glob("playbooks/inventories/*/hosts.yml"))
Ask = Callable[[Sequence[str]], list[str]]


pytestmark = pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.name)


class Site:
    """An inventory as a play sees it."""

    def __init__(self, path: Path) -> None:
        loader = DataLoader()
        self.inventory = InventoryManager(loader=loader, sources=[str(path)])
        manager = VariableManager(loader=loader, inventory=self.inventory)
        self.hostvars: Mapping[str, Mapping[str, Any]] = HostVars(self.inventory, manager, loader)

    def group(self, name: str) -> list[str]:
        return [str(host) for host in self.inventory.get_groups_dict().get(name, ())]

    def directors_of(self, host: str) -> list[str]:
        return list(self.hostvars[host].get("director_hosts") or self.group("directors"))

    def real_servers_of(self, host: str) -> list[str]:
        return list(self.hostvars[host].get("director_real_server_hosts") or self.group("real_servers"))

    def text(self, host: str) -> str:
        own = {name: self.hostvars[host][name] for name in self.hostvars[host] if name.startswith("director_")}
        named = {name: self.hostvars[name] for name in self.real_servers_of(host)}
        if "director_virtual_servers" in own:
            own["director_virtual_servers"] = real_server_hosts.resolved(own["director_virtual_servers"], named)
        return render_variables(own, host)


@pytest.fixture
def site(inventory: Path) -> Site:
    return Site(inventory)


def test_nothing_is_wrong_with_it(site: Site) -> None:
    for host in site.group("directors"):
        directors = {name: site.hostvars[name] for name in site.directors_of(host)}
        real_servers = {name: site.hostvars[name] for name in site.real_servers_of(host)}
        assert [str(one) for one in check.site_problems(directors, real_servers)] == []


def test_lvs_agent_accepts_what_is_rendered(site: Site) -> None:
    for rank, host in enumerate(site.group("directors")):
        assert [str(one) for one in file_problems(read_text(site.text(host), host))] == []
        named = {name: site.hostvars[name] for name in site.real_servers_of(host)}
        assert engine_verdict.engine_verdict(host, site.hostvars[host], rank, real_servers=named) == ([], [])


def test_keepalived_accepts_what_is_rendered(site: Site, keepalived_says_each: Ask) -> None:
    # what the role installs is on directors only
    ours = re.compile("/usr/sbin/lvs-check|/etc/keepalived/announce")
    texts = [ours.sub("/bin/true", site.text(host)) for host in site.group("directors")]
    assert keepalived_says_each(texts) == [""] * len(texts)


def looked_at(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What the preflight would find on the host."""
    interfaces = {nic["name"]: nic.get("addresses", []) for nic in variables["lab_nics"]}
    return {firewall.FOUND: {"interfaces": interfaces}}


def test_directors_let_each_other_in(site: Site) -> None:
    for host in site.group("directors"):
        everyone = {name: {**site.hostvars[name], **looked_at(site.hostvars[name])} for name in site.directors_of(host)}
        rules = firewall.rules(host, everyone)
        speaks = bool(site.hostvars[host].get("director_vrrp_instances"))
        assert bool(rules) == (speaks and len(everyone) > 1)
        assert len(firewall_marks.rules(site.hostvars[host])) == ("fwmark" in site.text(host))


def test_the_lab_has_a_client_where_each_service_is(site: Site) -> None:
    names = [str(host) for host in site.inventory.get_hosts()]
    hosts = [host_from_dict(one) for one in lab_hosts(names, site.hostvars, site.group("real_servers"))]
    plan = make_plan("example", hosts, "image")
    assert [guest.name for guest in plan.guests][-1] == "client"
    assert plan.guests[-1].host.nics


def test_its_page_shows_and_explains_it(inventory: Path) -> None:
    page = ROOT / "docs/sites" / f"{inventory.name}.md"
    text = page.read_text(encoding="utf-8")
    assert f"]({inventory.name}.svg)" in text
    drawn = (page.parent / f"{inventory.name}.svg").read_text(encoding="utf-8")
    assert drawn == site_pictures.draw(inventory), "scripts/run test python scripts/site_pictures.py draws it again"
    assert f"]({inventory.name}.md)" in (page.parent / "README.md").read_text(encoding="utf-8")
