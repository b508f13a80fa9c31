# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of the role director's own variables, those that do not make keepalived.conf.

Ansible checks them too, at the role's start: after packages were installed, and with the whole specification as its
message. A unit test compares these tables with the role's argument_specs.
"""

from __future__ import annotations

import typing as t

from . import values
from .director import Director
from .problem import Problem

BOOLEANS = (
    "director_ip_forward",
    "director_ipv6_forwarding",
    "director_expire_nodest_conn",
    "director_expire_quiescent_template",
    "director_firewall",
    "director_prepared",
    "director_packages_absent",
)
MAPPINGS = ("director_password_files", "director_script_files")
LISTS = ("director_hosts", "director_real_server_hosts", "director_packages", "director_firewall_marks")


def problems(director: Director, variables: t.Mapping[str, t.Any]) -> list[Problem]:
    """Variables of one director that have another type than the role takes. Only those that the site sets are read."""
    found: list[Problem] = []
    for name in BOOLEANS:
        # a number, as Ansible takes it
        if name in variables and variables[name] not in (0, 1) and values.boolean(variables[name]) is None:
            what = f"{variables[name]!r} is neither true nor false"
            found.append(director.problem(name, what, "write true or false"))
    for name in LISTS:
        if name in variables and not isinstance(variables[name], (list, tuple)):
            what = f"{variables[name]!r} is not a list"
            found.append(director.problem(name, what, f"write [{variables[name]}], or one element a line"))
    for name in MAPPINGS:
        if name in variables and not isinstance(variables[name], t.Mapping):
            found.append(director.problem(name, "it is no mapping", "write PATH: TEXT, one a line"))
    return found
