# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From files to variables and back: nothing is lost, and comments come along."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from generated_conf import configuration
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from _lvs_agent.conf import argspec, inventory
from _lvs_agent.conf.importer import Imported, import_tree
from _lvs_agent.conf.merge import merge
from _lvs_agent.conf.parser import parse_file, parse_text
from _lvs_agent.conf.read import KEEPALIVED, read_file
from _lvs_agent.conf.render import render, render_variables
from _lvs_agent.conf.settle import settle
from _lvs_agent.conf.site import Site, split

SITES = ["dr_two_nic", "dr_single_nic", "cluster_wlc", "haproxy_unicast", "mysql_dual_master", "nginx_ha"]
SAMPLES = sorted(Path("/usr/share/doc/keepalived/samples").glob("keepalived.conf.*"))


class Loader(yaml.SafeLoader):
    """YAML as Ansible reads it."""


def unsafe(loader: Loader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


Loader.add_constructor("!unsafe", unsafe)


def imported(name: str, text: str, **how: Any) -> Imported:
    return import_tree(name, parse_text(text, name, [name]), [name], **how)


def variables_of(site: Site) -> dict[str, dict[str, Any]]:
    """Each director's variables, from the files of the inventory."""
    files = inventory.files(site)
    loaded = {path: yaml.load(text, Loader=Loader) or {} for path, text in files.items()}  # noqa: S506
    return {name: {**loaded[inventory.GROUP_FILE], **loaded[f"host_vars/{name}.yml"]} for name in site.hosts}


def errors(one: Imported) -> list[str]:
    return [str(problem) for problem in one.problems if problem.severity == "error"]


@pytest.mark.parametrize("name", SITES)
def test_a_site_is_byte_identical(
    name: str, site: Callable[[str], Any], keepalived_says: Callable[[str], str]
) -> None:
    texts = {host: render_variables(variables, host) for host, variables in site(name)[0].items()}
    found = split([imported(host, text) for host, text in texts.items()])
    again = {host: render_variables(variables, host) for host, variables in variables_of(found).items()}
    assert again == texts
    assert [keepalived_says(text) for text in again.values()] == ["", ""]


def ordered(said: Mapping[str, Any]) -> str:
    """The text of a configuration, instances in the order of their names: it means nothing."""
    settled = settle(said)
    return render({**settled, "vrrp_instance": sorted(settled["vrrp_instance"], key=lambda one: str(one["name"]))})


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(configuration(), configuration(), st.data())
def test_nothing_is_lost(one: dict[str, Any], other: dict[str, Any], data: st.DataObject) -> None:
    # two directors that have some blocks in common, and some not
    for key in data.draw(st.sets(st.sampled_from(sorted(one)))):
        other[key] = copy.deepcopy(one[key])
    made = {"a": one, "b": other}
    directors = [imported(host, render(given_one), check=False) for host, given_one in made.items()]
    assert [errors(director) for director in directors] == [[], []]
    found = variables_of(split(directors))
    assert {host: ordered(merge(variables)) for host, variables in found.items()} == {
        host: ordered(given_one) for host, given_one in made.items()
    }


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(configuration())
def test_one_director_keeps_its_own_words_to_itself(one: dict[str, Any]) -> None:
    found = split([imported("a", render(one), check=False)])
    assert ordered(merge(variables_of(found)["a"])) == ordered(one)
    for instance in found.group.get("director_vrrp_instances", []):
        assert not {"priority", "state", "interface", "unicast_src_ip"} & set(instance)


def samples() -> list[Path]:
    return [path for path in SAMPLES if import_tree("a", parse_file(str(path), ["a"]), ["a"]).is_good]


@pytest.mark.host
@pytest.mark.parametrize("path", samples(), ids=lambda path: str(path.name))
def test_a_sample_means_the_same_afterwards(path: Path) -> None:
    found = import_tree("a", parse_file(str(path), ["a"]), ["a"])
    before = meaning(read_file(str(path), ["a"], KEEPALIVED).configuration)
    assert settle(merge(variables_of(split([found]))["a"])) == settle(before)


@pytest.mark.host
def test_most_samples_are_good() -> None:
    assert len(samples()) >= 20


def meaning(said: dict[str, Any]) -> dict[str, Any]:
    """What a file leaves to keepalived, said; written here once more, by the manual page."""
    found = copy.deepcopy(said)
    if re.search("notify|MISC_CHECK|quorum_(up|down)|'script'", str(found)):
        found["global_defs"].setdefault("enable_script_security", False)
    for instance in found["vrrp_instance"]:
        instance.setdefault("priority", 255 if instance.get("state") == "MASTER" else 100)
    for server in found["virtual_server"]:
        if "fwmark" not in server:
            server.setdefault("protocol", "UDP")
    return found


HAND_MADE = """\
! Configuration File for keepalived

global_defs {
   router_id LVS_01   # this one
   vrrp_iptables
}
# watches nginx
vrrp_script chk {
   script "/usr/bin/pgrep {{ nginx }}"  # by process
}
vrrp_instance VI_1 { # the only one
    state MASTER
    interface ens33
    @lvs01 priority 100
    @lvs02 priority 50
    virtual_router_id 51
    linkbeat_use_polling
    virtual_ipaddress {
        # the shop
        192.168.1.100
    }
    track_script {
        chk
    }
}
virtual_server 192.168.1.100 80 {
    lb_kind DR
    lb_algo rr
    protocol TCP
    real_server 192.168.1.129 80 {
        @^lvs_agent snmp_name x
        TCP_CHECK {
            nb_get_retry 3
        }
    }
    # real_server 192.168.1.130 80 {
    # }
}
# the end
"""


def test_a_file_made_by_hand() -> None:
    found = split([imported("lvs01", HAND_MADE), imported("lvs02", HAND_MADE.replace("LVS_01", "LVS_02"))])
    files = inventory.files(found, {"lvs01": "192.168.1.127"})
    assert (
        files["group_vars/directors.yml"]
        == """\
---
# Configuration File for keepalived
# the end
director_global_defs:
  enable_script_security: false

director_vrrp_scripts:
  # watches nginx
  - name: chk
    # by process
    script: !unsafe "/usr/bin/pgrep {{ nginx }}"

director_vrrp_instances:
  # the only one
  - name: VI_1
    state: MASTER
    interface: ens33
    virtual_router_id: 51
    virtual_ipaddress:
      # the shop
      - 192.168.1.100
    track_script:
      - chk
    raw:
      - linkbeat_use_polling

director_virtual_servers:
  # real_server 192.168.1.130 80 {
  # }
  - ip: 192.168.1.100
    port: 80
    lb_algo: rr
    lb_kind: DR
    protocol: TCP
    real_server:
      - ip: 192.168.1.129
        port: 80
        TCP_CHECK:
          retry: 3
        raw:
          - "@^lvs_agent snmp_name x"
"""
    )
    assert (
        files["host_vars/lvs02.yml"]
        == """\
---
director_host_global_defs:
  # this one
  router_id: LVS_02

director_host_vrrp_instances:
  VI_1:
    priority: 50
"""
    )
    assert "    lvs01:\n      ansible_host: 192.168.1.127\n    lvs02: {}\n" in files["hosts.yml"]
    assert "#     real-192-168-1-129:\n#       ansible_host: 192.168.1.129\n" in files["hosts.yml"]
    assert "vrrp_iptables is left out" in files["hosts.yml"]


def test_what_is_for_another_director_is_told() -> None:
    notes = imported("lvs01", HAND_MADE).notes
    assert "lvs01:15:5: '@lvs02 priority 50' is for another director, and left out here" in notes


def test_raw_lines_are_in_the_file_again(keepalived_says: Callable[[str], str]) -> None:
    variables = variables_of(split([imported("lvs01", HAND_MADE)]))["lvs01"]
    text = render_variables(variables, "lvs01")
    assert "    }\n    linkbeat_use_polling\n}\n" in text
    assert "        @^lvs_agent snmp_name x\n" in text


def test_an_unknown_keyword_is_an_error_or_a_raw_line() -> None:
    text = HAND_MADE.replace("    state MASTER\n", "    brand_new 5 {\n        a \"b c\"\n    }\n")
    assert [one for one in errors(imported("lvs01", text)) if "there is no word 'brand_new'" in one]
    found = imported("lvs01", text, keep_unknown=True)
    assert errors(found) == []
    assert split([found]).group["director_vrrp_instances"][0]["raw"] == [
        *("brand_new 5 {", '    a "b c"', "}"),
        "linkbeat_use_polling",
    ]
    assert "lvs01:12:5: brand_new is kept as a raw line: the keyword is not known" in found.notes


def test_directors_that_differ() -> None:
    other = HAND_MADE.replace("192.168.1.129", "192.168.1.131").replace("VI_1", "VI_2")
    found = split([imported("lvs01", HAND_MADE), imported("lvs02", other)])
    assert set(found.group) == {"director_global_defs", "director_vrrp_scripts"}
    assert set(found.hosts["lvs01"]) == {
        *("director_host_global_defs", "director_vrrp_instances", "director_virtual_servers")
    } - {"director_host_global_defs"}
    assert [note for note in found.notes if note.startswith("virtual_server: lvs01, lvs02 differ in 192.168.1.100:80;")]
    assert [note for note in found.notes if note.startswith("vrrp_instance: lvs01, lvs02 differ in VI_1, VI_2;")]


def test_several_checks_of_a_kind_are_a_list() -> None:
    check = "        TCP_CHECK {\n            connect_port 81\n        }\n"
    text = HAND_MADE.replace("        TCP_CHECK {\n", f"{check}        TCP_CHECK {{\n")
    real = split([imported("lvs01", text)]).group["director_virtual_servers"][0]["real_server"][0]
    assert real["TCP_CHECK"] == [{"connect_port": 81}, {"retry": 3}]
    options = argspec.variables()["director_virtual_servers"]["options"]["real_server"]["options"]
    for checks in (real["TCP_CHECK"], real["TCP_CHECK"][0]):
        validator = ArgumentSpecValidator({"TCP_CHECK": options["TCP_CHECK"]})
        assert validator.validate({"TCP_CHECK": checks}).error_messages == []


def test_an_include_of_a_text_is_not_followed() -> None:
    found = import_tree("a", parse_text("include /etc/hosts\n", "a", alone=True), ["a"])
    assert errors(found) == [
        "a:1:1: include /etc/hosts cannot be followed from here; read the file where the files that it includes are"
    ]


def test_an_import_travels_as_json() -> None:
    found = imported("lvs01", HAND_MADE)
    again = Imported.from_plain("lvs01", json.loads(json.dumps(found.plain())))
    assert inventory.files(split([again])) == inventory.files(split([found]))


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "-a", "é"])
def test_a_name_that_no_host_can_have(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a host"):
        inventory.check_name(name)
