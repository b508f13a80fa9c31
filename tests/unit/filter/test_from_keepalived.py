# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter from_keepalived, and the role's template that goes the other way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.filter import from_keepalived, keepalived_conf

from _lvs_agent.conf import schema

TEMPLATE = Path(__file__).parents[3] / "roles/director/templates/keepalived.conf.j2"
FILE = """\
vrrp_instance VI_1 {
    interface ens33
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        192.168.1.100
    }
}
"""


def convert(files: Any, **how: Any) -> dict[str, Any]:
    return from_keepalived.from_keepalived(files, **how)


def test_two_directors() -> None:
    texts = {"a": FILE, "b": FILE.replace("priority 100", "priority 50")}
    found = convert(texts, addresses={"a": "192.168.1.1"})
    assert found["hosts"]["b"] == {"director_host_vrrp_instances": {"VI_1": {"priority": 50}}}
    assert set(found["files"]) == {"hosts.yml", "group_vars/directors.yml", "host_vars/a.yml", "host_vars/b.yml"}
    assert "ansible_host: 192.168.1.1" in found["files"]["hosts.yml"]
    for host, text in texts.items():
        assert keepalived_conf.keepalived_conf({**found["group"], **found["hosts"][host]}, host) == text


def test_all_errors_at_once() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        convert({"a": FILE.replace("priority 100", "priority 300"), "b": "nonsense\n"})
    told = str(caught.value)
    assert "a:4:14: vrrp_instance[VI_1].priority: 300 is out of range" in told
    assert "b:1:1: there is no word 'nonsense' outside all blocks" in told


def test_no_file_of_this_machine_is_read() -> None:
    with pytest.raises(AnsibleFilterError, match="include /etc/passwd cannot be followed from here"):
        convert({"a": "include /etc/passwd\n"})


@pytest.mark.parametrize("wrong", [{}, [], "text", {"a": 5}, {"a": None}])
def test_what_it_takes(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="takes a mapping from a director's name to the text of its file"):
        convert(wrong)


def test_a_host_that_no_inventory_can_have() -> None:
    with pytest.raises(AnsibleFilterError, match=r"'\.\./a' cannot be the name of a host"):
        convert({"../a": FILE})


def test_the_template_hands_on_every_variable() -> None:
    one = (
        r"^ *'(director_\w+)':\s+(?:director_global_defaults \| combine\()?(director_\w+)\)?"
        r"(?: \| linuxha.lvs.real_server_addresses\(hostvars, director_real_server_hosts\))?,$"
    )
    found = re.findall(one, TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(key == value for key, value in found)
    assert [key for key, _value in found] == ["director_hosts", *schema.CONFIGURATION_VARIABLES]
