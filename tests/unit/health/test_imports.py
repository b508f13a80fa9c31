# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What costs memory is imported by those only who need it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("ssl", "_ssl", "hashlib", "_hashlib", "asyncio", "http.client", "email", "urllib", "decimal")
IMPORTS = """
import sys
from _lvs_agent.health import http, kinds, scheduler, smtp, tcp
print(*sorted(set(sys.modules) & set(sys.argv[1:])))
from _lvs_agent.health import tls
print(*sorted(set(sys.modules) & {"ssl"}))
"""


def test_a_process_without_ssl_get_has_no_openssl() -> None:
    command = [sys.executable, "-c", IMPORTS, *HEAVY]
    done = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "ssl"]
