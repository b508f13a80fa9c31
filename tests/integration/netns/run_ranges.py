# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds and removes what lines of a file ask the kernel for: run_ranges.py LIBRARY.

On standard input a JSON list of (word, line); on standard output one of (errors of the check, what the kernel refused).
"""

from __future__ import annotations

import json
import sys

sys.path.insert(0, sys.argv[1])

from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.read import file_problems, read_text
from _lvs_agent.conf.settle import settle
from _lvs_agent.kernel.route import RouteEvents, RouteSocket
from _lvs_agent.vrrp import holdings
from _lvs_agent.vrrp.from_conf import plan
from _lvs_agent.vrrp.host import Host

FILE = (
    "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority 100\n {vips}"
    " {word} {{\n {line}\n }}\n}}\n"
)
VIPS = "virtual_ipaddress {\n 10.0.0.100/24\n }\n"


def main() -> None:
    host = Host(RouteSocket(), RouteEvents())
    found: list[tuple[list[str], list[str]]] = []
    for word, line in json.load(sys.stdin):
        parsed = read_text(FILE.format(word=word, line=line, vips="" if word == "virtual_ipaddress" else VIPS))
        errors = [str(problem) for problem in file_problems(parsed) if problem.severity == "error"]
        try:
            (instance,) = plan(settle(parsed.configuration)).instances if not errors else (None,)
        except ConfigurationError as error:
            errors, instance = [str(error)], None
        if instance is None:
            found.append((errors, []))
            continue
        held = holdings.of_plan(instance, host.index)
        _added, refused = host.hold(held)
        refused += host.release(held, certain=True)[1]
        found.append((errors, refused))
    json.dump(found, sys.stdout)


main()
