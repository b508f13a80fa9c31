# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles: what they fill in, that a site's word wins, and that keepalived is content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.merge import merge
from _lvs_agent.conf.needs import backup_first
from _lvs_agent.conf.render import render_variables

INSTANCE: dict[str, Any] = {
    "name": "VI_1",
    "interface": "ens33",
    "virtual_router_id": 51,
    "virtual_ipaddress": ["192.0.2.100"],
}
SERVER: dict[str, Any] = {
    "ip": "192.0.2.100",
    "port": 80,
    "lb_kind": "DR",
    "real_server": [{"ip": "192.0.2.11-13", "TCP_CHECK": {}}],
}
SITE: dict[str, Any] = {
    "director_profile": "fast",
    "director_vrrp_instances": [INSTANCE],
    "director_virtual_servers": [SERVER],
}


def fast(rank: int = 0, **changes: Any) -> dict[str, Any]:
    return merge({**SITE, **{f"director_{name}": value for name, value in changes.items()}}, rank)


def test_compatible_fills_in_nothing() -> None:
    assert merge({**SITE, "director_profile": "compatible"}) == merge(
        {name: value for name, value in SITE.items() if name != "director_profile"}
    )


def test_fast_as_a_file(keepalived_says: Callable[[str], str]) -> None:
    text = render_variables({**SITE, "director_hosts": ["a", "b"]}, "b")
    assert (
        text
        == """\
global_defs {
    vrrp_version 3
    vrrp_garp_master_delay 1
    vrrp_garp_master_refresh 60
}

vrrp_instance VI_1 {
    interface ens33
    virtual_router_id 51
    priority 240
    advert_int 0.1
    virtual_ipaddress {
        192.0.2.100
    }
}

virtual_server 192.0.2.100 80 {
    lb_algo wlc
    lb_kind DR
    protocol TCP
    delay_loop 2
    connect_timeout 2
    retry 1
    delay_before_retry 1
    alpha true
    @lvs_agent rise 2
    @lvs_agent fall 2
"""
        + "".join(
            f"    real_server 192.0.2.{number} 80 {{\n        TCP_CHECK {{\n        }}\n    }}\n"
            for number in (11, 12, 13)
        )
        + "}\n"
    )
    assert keepalived_says(text) == ""


@pytest.mark.parametrize("name", ["dr_two_nic", "dr_single_nic", "haproxy_unicast", "nginx_ha"])
def test_keepalived_takes_the_sites_with_it(
    name: str, site: Callable[[str], Any], keepalived_says: Callable[[str], str]
) -> None:
    directors, real_servers = site(name)
    quick = {host: {**variables, "director_profile": "fast"} for host, variables in directors.items()}
    assert [one for one in site_problems(quick, real_servers) if one.severity == "error"] == []
    texts = [render_variables(variables, host) for host, variables in quick.items()]
    assert all("advert_int 0.1\n" in text or "advert_int 1\n" in text for text in texts)
    assert [keepalived_says(text) for text in texts] == [""] * len(texts)


@pytest.mark.parametrize("name", ["cluster_wlc", "mysql_dual_master"])
def test_authentication_is_not_for_it(name: str, site: Callable[[str], Any]) -> None:
    directors, real_servers = site(name)
    quick = {host: {**variables, "director_profile": "fast"} for host, variables in directors.items()}
    assert "has no authentication" in "\n".join(str(one) for one in site_problems(quick, real_servers))


def test_priorities_go_down_in_the_order_of_the_directors() -> None:
    assert [fast(rank)["vrrp_instance"][0]["priority"] for rank in (0, 1, 2, 30)] == [250, 240, 230, 1]
    assert backup_first({"a": SITE, "b": SITE, "c": SITE}) == ["c", "b", "a"]
    hosts = {"a": {**SITE, "director_address": "192.0.2.1"}, "b": {**SITE, "ansible_host": "192.0.2.2"}}
    assert site_problems(hosts, {}) == []


def test_what_the_site_says_wins() -> None:
    found = fast(
        host_vrrp_instances={"VI_1": {"priority": 180, "advert_int": 0.5}},
        global_defs={"vrrp_garp_master_delay": 7},
        virtual_servers=[{**SERVER, "delay_loop": 6, "alpha": False, "rise": 5, "fall": 9}],
    )
    instance, server = found["vrrp_instance"][0], found["virtual_server"][0]
    assert (instance["priority"], instance["advert_int"]) == (180, 0.5)
    assert found["global_defs"]["vrrp_garp_master_delay"] == 7
    assert (server["delay_loop"], server["alpha"], server["rise"], server["fall"]) == (6, False, 5, 9)
    assert "retry" not in server


def test_a_retry_of_the_site_is_not_overruled_by_fall() -> None:
    real = {"ip": "192.0.2.11", "TCP_CHECK": {"nb_get_retry": 3}}
    server = fast(virtual_servers=[{**SERVER, "real_server": [real]}])["virtual_server"][0]
    assert not {"retry", "fall"} & set(server)


def test_version_2_keeps_whole_seconds(keepalived_says: Callable[[str], str]) -> None:
    old = {"director_vrrp_instances": [{**INSTANCE, "version": 2}]}
    assert "advert_int" not in merge({**SITE, **old})["vrrp_instance"][0]
    assert keepalived_says(render_variables({**SITE, **old}, "a")) == ""


@pytest.mark.parametrize(
    "words, message",
    [
        ({"priority": 50}, "priority (a): with priority 50 it waits 80 ms more than three adverts"),
        ({"version": 2}, "version (a): it speaks VRRPv2, whose adverts come every second or more seldom"),
    ],
)
def test_what_makes_it_slow_is_told(words: dict[str, Any], message: str) -> None:
    own = {"director_host_vrrp_instances": {"VI_1": words}, "director_address": "192.0.2.1"}
    found = site_problems({"a": {**SITE, **own}, "b": {**SITE, "director_address": "192.0.2.2", }}, {})
    assert [one for one in found if one.severity == "warning" and message in str(one)]


def test_an_unknown_profile() -> None:
    found = site_problems({"a": {**SITE, "director_profile": "fats"}}, {})
    assert "director_profile (a): 'fats' is not known; did you mean fast?" in [str(one) for one in found]
