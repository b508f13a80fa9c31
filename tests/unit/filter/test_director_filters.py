# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of the role director: thin, so only their edges are tested here."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.filter import (
    backup_first,
    ipvs_modules,
    keepalived_conf,
    needs_forwarding,
    needs_template_expiry,
    serving_directors,
    site_problems,
    vrrp_firewall,
)

GROUP = {
    "director_vrrp_instances": [
        {"name": "V", "interface": "ens33", "virtual_router_id": 51, "virtual_ipaddress": ["192.0.2.100"]}
    ]
}
HOSTVARS: dict[str, dict[str, Any]] = {
    "a": {**GROUP, "ansible_host": "192.0.2.1", "director_host_vrrp_instances": {"V": {"priority": 150}}},
    "b": {**GROUP, "ansible_host": "192.0.2.2", "director_host_vrrp_instances": {"V": {"priority": 100}}},
    "c": {"real_server_mode": "DSR"},
}


def test_every_filter_is_offered() -> None:
    kernels = (ipvs_modules, needs_forwarding, needs_template_expiry)
    for module in (backup_first, keepalived_conf, serving_directors, site_problems, vrrp_firewall, *kernels):
        name = module.__name__.rpartition(".")[2]
        assert list(module.FilterModule().filters()) == [name]


def test_a_file() -> None:
    assert "priority 150" in keepalived_conf.keepalived_conf(HOSTVARS["a"], "a")


def test_a_file_that_cannot_be_written() -> None:
    with pytest.raises(AnsibleFilterError, match=r"of a cannot be written:\n.*priority \(a\): it is missing"):
        keepalived_conf.keepalived_conf(GROUP, "a")
    with pytest.raises(AnsibleFilterError, match="takes a mapping"):
        keepalived_conf.keepalived_conf([], "a")  # type: ignore[arg-type]


def test_a_sites_problems() -> None:
    found = site_problems.site_problems(["a", "b"], HOSTVARS, ["c"])
    assert found == ["real_server_mode (c): 'DSR' is not known; did you mean DR?"]
    assert site_problems.site_problems(["a"], HOSTVARS) == []
    assert len(site_problems.site_problems(["a"], HOSTVARS, severity="warning")) == 1
    assert len(site_problems.site_problems(["a"], HOSTVARS, ["c"], "all")) == 2


def test_wrong_use_of_site_problems() -> None:
    with pytest.raises(AnsibleFilterError, match="severity 'bad'"):
        site_problems.site_problems(["a"], HOSTVARS, severity="bad")
    with pytest.raises(AnsibleFilterError, match="not in the inventory: z"):
        site_problems.site_problems(["a", "z"], HOSTVARS)


def test_directors_that_are_real_servers_too() -> None:
    pool = {"ip": "192.0.2.100", "port": 80, "lb_kind": "DR", "real_server": [{"ip": "192.0.2.2", "port": 80}]}
    hostvars = {name: {**words, "director_virtual_servers": [pool]} for name, words in HOSTVARS.items()}
    assert serving_directors.serving_directors(["a", "b"], hostvars) == ["b"]
    assert serving_directors.serving_directors(["a", "b"], {**hostvars, "c": {}}, ["a", "c"]) == ["a", "b"]


def test_order_and_rules() -> None:
    assert backup_first.backup_first(["a", "b"], HOSTVARS) == ["b", "a"]
    rules = vrrp_firewall.vrrp_firewall("a", ["a", "b"], HOSTVARS)
    assert [(one["source"], one["protocol"]) for one in rules] == [("192.0.2.2", "112")]
    with pytest.raises(AnsibleFilterError, match="the address of its interface ens33 is not known"):
        vrrp_firewall.vrrp_firewall("a", ["a", "d"], {**HOSTVARS, "d": GROUP})


def test_the_kernels_part() -> None:
    servers = [{"lb_algo": "rr", "lb_kind": "DR"}]
    assert ipvs_modules.ipvs_modules(servers) == ["ip_vs", "ip_vs_rr"]
    assert needs_forwarding.needs_forwarding(servers) is False
    assert needs_template_expiry.needs_template_expiry(servers) is False
