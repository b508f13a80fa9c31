# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine is going to say of a director's file, asked on the controller."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.filter import engine_verdict as verdict_filter

INSTANCE: dict[str, Any] = {
    "name": "V",
    "interface": "ens33",
    "virtual_router_id": 51,
    "virtual_ipaddress": ["192.0.2.100"],
}
REAL: dict[str, Any] = {"ip": "192.0.2.11", "port": 80, "TCP_CHECK": {"connect_timeout": 3}}
SERVER: dict[str, Any] = {
    "ip": "192.0.2.100", "port": 80, "lb_kind": "DR", "lb_algo": "rr", "protocol": "TCP",
    "delay_loop": 6, "real_server": [REAL],
}


def verdict(engine: str = "agent", instance: dict[str, Any] | None = None, **variables: Any) -> dict[str, Any]:
    own = {"ansible_host": "192.0.2.1", "director_vrrp_instances": [instance or INSTANCE], **variables}
    (function,) = verdict_filter.FilterModule().filters().values()
    found: dict[str, Any] = function("a", ["a", "b"], {"a": own, "b": {}}, engine)
    return found


def test_a_good_one() -> None:
    assert verdict(director_virtual_servers=[SERVER]) == {"errors": [], "warnings": []}
    assert verdict("keepalived", director_virtual_servers=[SERVER]) == {"errors": [], "warnings": []}


def test_an_error_names_host_line_and_cure() -> None:
    found = verdict(director_raw="vrrp_instance W {\n    interfac eth0\n}\n")["errors"]
    assert [one for one in found if "`interfac eth0`" in one] == [
        "a: vrrp_instance[W]: `interfac eth0`: there is no word 'interfac' in vrrp_instance; did you mean interface?"
    ]


def test_what_is_found_only_when_the_daemon_makes_its_plan() -> None:
    (found,) = verdict(instance={**INSTANCE, "virtual_routes": ["10.0.0.0/8 via 192.0.2.9 table none-such"]})["errors"]
    assert found.startswith("a: ")
    assert "none-such" in found


def test_what_lvs_agent_does_not_do_is_no_error_of_keepalived() -> None:
    block: dict[str, Any] = {"director_bfd_instances": [{"name": "b", "neighbor_ip": "192.0.2.2"}]}
    assert verdict(**block)["errors"] != []
    assert verdict("keepalived", **block)["errors"] == []


def test_warnings_are_no_errors() -> None:
    without = {word: value for word, value in SERVER.items() if word != "delay_loop"}
    (warning,) = verdict(director_virtual_servers=[without])["warnings"]
    place = "a: virtual_server[192.0.2.100:80]: `virtual_server 192.0.2.100 80 {`"
    assert warning.startswith(f"{place}: it has no delay_loop")


def test_a_line_of_another_director_is_not_read() -> None:
    assert verdict(director_raw="@b nonsense here\n@a vrrp_script x {\n    script /bin/true\n}\n")["errors"] == []


def test_included_files_are_on_the_director() -> None:
    assert verdict(director_raw="include /nowhere/*.conf\n") == {"errors": [], "warnings": []}


def test_an_engine_that_is_none() -> None:
    with pytest.raises(AnsibleFilterError, match="engine 'heartbeat' is not one of agent, keepalived"):
        verdict("heartbeat")
