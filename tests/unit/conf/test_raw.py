# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines a site insists on: in the file as they are, in nobody else's block, and read by lvs-agent too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.render import render_variables

INSTANCE: dict[str, Any] = {
    "name": "VI_1",
    "interface": "ens33",
    "virtual_router_id": 51,
    "priority": 100,
    "virtual_ipaddress": ["192.0.2.100"],
}
SERVER: dict[str, Any] = {
    "ip": "192.0.2.100",
    "port": 80,
    "lb_kind": "DR",
    "real_server": [{"ip": "192.0.2.11", "port": 80, "raw": ["inhibit_on_failure"]}],
    "raw": ["# as the vendor says", "quorum 1"],
}


def told(engine: str = "keepalived", **variables: Any) -> list[str]:
    given = {
        "director_address": "192.0.2.1",
        "director_engine": engine,
        "director_vrrp_instances": [INSTANCE],
        **{f"director_{name}": value for name, value in variables.items()},
    }
    other = {**given, "director_address": "192.0.2.2", "director_host_vrrp_instances": {"VI_1": {"priority": 50}}}
    return [str(one) for one in site_problems({"a": given, "b": other}, {}) if "raw" in str(one)]


def test_they_are_in_their_blocks(keepalived_says: Callable[[str], str]) -> None:
    text = render_variables(
        {
            "director_vrrp_instances": [{**INSTANCE, "raw": ["track_interface {", "    ens37 weight 5", "}"]}],
            "director_virtual_servers": [SERVER],
            "director_global_defs": {"raw": ["router_id x"]},
            "director_raw": "static_routes {\n    192.0.2.0/28 dev ens33\n}\n\n",
        },
        "a",
    )
    assert keepalived_says(text) == ""
    assert text.startswith("global_defs {\n    router_id x\n}\n")
    assert "    }\n    track_interface {\n        ens37 weight 5\n    }\n}\n" in text
    assert "        inhibit_on_failure\n    }\n    # as the vendor says\n    quorum 1\n}\n" in text
    assert text.endswith("}\n\nstatic_routes {\n    192.0.2.0/28 dev ens33\n}\n")


@pytest.mark.parametrize(
    "lines, message",
    [
        (["}", "vrrp_instance X {"], "raw[0]: a } too much; it would end the block around it"),
        (["a {"], "raw: a { has no }; end every block that it begins"),
        (['a "b'], 'raw[0]: it has a double quote (") without its end'),
        (["a\nb"], "raw[0]: it contains a line break"),
        (["a \\"], "raw[0]: the line ends with a backslash"),
        (["a" * 1100], "raw[0]: the line is longer than 1023 bytes"),
        ("a b", "raw: it is 'a b'; write a list of text"),
        (["a", 5], "raw: it is a list with 5 in it; write a list of text"),
    ],
)
def test_they_cannot_leave_their_block(lines: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        render_variables({"director_vrrp_instances": [{**INSTANCE, "raw": lines}]}, "a")
    assert f"director_vrrp_instances[VI_1].{message}" in str(caught.value).replace(" (a)", "")


@pytest.mark.parametrize(
    "text, message", [("a {", "a { has no }"), (["a"], "write a text"), ("a\n}\n", "a } too much")]
)
def test_nor_the_file_s_end(text: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match="director_raw.*" + message):
        render_variables({"director_raw": text}, "a")


def test_a_brace_in_a_comment_or_in_quotes_is_none() -> None:
    raw = ["# }", 'notify_master "/bin/sh -c {"', "a { # {", "}"]
    text = render_variables({"director_vrrp_instances": [{**INSTANCE, "raw": raw}]}, "a")
    assert all(f"    {line}\n" in text for line in raw)


def test_lvs_agent_says_what_it_makes_of_them() -> None:
    raw = [{**INSTANCE, "raw": ["prioritty 5"]}]
    message = "lvs-agent refuses the raw line 'prioritty 5': there is no word 'prioritty' in vrrp_instance"
    found = told(vrrp_instances=raw)
    assert len(found) == 1
    assert message in found[0]
    assert found[0].startswith("warning: vrrp_instance[VI_1] (a, b): ")
    assert "did you mean priority?" in found[0]
    assert not any("warning" in one for one in told("agent", vrrp_instances=raw) if "prioritty" in one)


def test_it_is_silent_about_what_it_knows() -> None:
    assert told(virtual_servers=[SERVER], raw="static_routes {\n 192.0.2.0/28 dev ens33\n}\n") == []


def test_an_include_is_on_the_director() -> None:
    assert told(raw="include /etc/hosts\n@a include /etc/hosts\n") == []
