# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director's configuration asks of lvs-agent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.linuxha.lvs.plugins.filter import agent_needs as needs_filter

INSTANCE = {"name": "V", "interface": "ens33", "virtual_router_id": 51, "virtual_ipaddress": ["192.0.2.100"]}
SCRIPT = {"name": "chk", "script": "/usr/bin/true"}


def needs(instance: dict[str, Any] | None = None, **variables: Any) -> dict[str, Any]:
    """The needs of the director `a`."""
    own = {"ansible_host": "192.0.2.1", "director_vrrp_instances": [instance or INSTANCE], **variables}
    (function,) = needs_filter.FilterModule().filters().values()
    found: dict[str, Any] = function("a", ["a", "b"], {"a": own, "b": {}})
    return found


def test_a_site_without_scripts() -> None:
    assert needs() == {"scripts_of_others": False}


@pytest.mark.parametrize(
    "variables, others",
    [
        # the role's own default is root
        ({"director_vrrp_scripts": [SCRIPT]}, True),
        ({"director_vrrp_scripts": [{**SCRIPT, "user": "nobody"}]}, True),
        ({"director_vrrp_scripts": [{**SCRIPT, "user": "lvs-agent"}]}, False),
        ({"director_vrrp_scripts": [{**SCRIPT, "user": "lvs-agent adm"}]}, True),
        ({"director_vrrp_scripts": [SCRIPT], "director_global_defs": {"script_user": "lvs-agent"}}, False),
        ({"director_raw": "vrrp_script x {\n    script /usr/bin/true\n    user nobody\n}\n"}, True),
        ({"director_raw": "include /etc/keepalived/more/*.conf\n"}, False),
    ],
)
def test_whom_scripts_run_as(variables: dict[str, Any], others: bool) -> None:
    assert needs(**variables) == {"scripts_of_others": others}


def test_notify_scripts_count() -> None:
    assert needs({**INSTANCE, "notify": "/usr/bin/true"})["scripts_of_others"]
    own = {"director_global_defs": {"script_user": "lvs-agent"}}
    assert not needs({**INSTANCE, "notify": "/usr/bin/true"}, **own)["scripts_of_others"]
