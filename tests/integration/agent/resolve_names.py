# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a namespace with a resolver of its own: PYTHON resolve_names.py LIBRARY NAME, a second between look-ups.

Writes a line of JSON for each time answers have come: the address, and what changed.
"""

from __future__ import annotations

import json
import socket
import sys
import time

sys.path.insert(0, sys.argv[1])

from _lvs_agent.lvs.plan import NamePlan
from _lvs_agent.lvs.resolve import Change
from _lvs_agent.supervisor.loop import Loop
from _lvs_agent.supervisor.lvs_names import Resolver

loop = Loop()


def heard(changes: list[Change]) -> None:
    address = resolver.names.addresses()["S", "A"]
    texts = [change.text for change in changes]
    sys.stdout.write(json.dumps({"address": address, "said": texts}) + "\n")
    sys.stdout.flush()


resolver = Resolver(loop, heard, time.monotonic_ns)
plan = NamePlan("S", "A", sys.argv[2], socket.AF_INET, "192.0.2.1", 80, 1_000_000_000)
resolver.names.configure([plan], {}, time.monotonic_ns())
loop.add(resolver)
while True:
    loop.turn()
