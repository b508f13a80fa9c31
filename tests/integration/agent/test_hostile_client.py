# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member of the control socket's group who means harm: the daemon serves on, and root is answered."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.netns.conftest import DEBIAN_PYTHON
from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.wire import site, wait_until

pytestmark = [pytest.mark.root, pytest.mark.measured]

VRID = 51
INTERVAL_S = 0.2
LATE_S = 0.2  # a loaded machine, and tcpdump
SECONDS = 5
CONFIGURATION = (
    f"vrrp_instance VI {{\n interface eth0\n virtual_router_id {VRID}\n priority 100\n version 3\n"
    f" advert_int {INTERVAL_S}\n virtual_ipaddress {{\n 10.0.0.100/24\n }}\n}}\n"
)
HOSTILE = """
import socket, sys, time
end, held, tries = time.monotonic() + float(sys.argv[2]), [], 0
request = b'{"version": 1, "verb": "events", "arguments": {"number": 2000}}\\n' * 200
while time.monotonic() < end:
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(0.05)
    tries += 1
    try:
        one.connect(sys.argv[1])
        one.setblocking(False)
        one.send((b"x" * 100_000, request, b"{", b"\\xff" * 65536 + b"\\n")[tries % 4])
    except OSError:
        pass
    held.append(one)
    if len(held) > 500:
        held.pop(0).close()
print(tries)
"""


def test_a_hostile_client_stalls_nobody(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for directory in (tmp_path, *tmp_path.parents[:2]):
            directory.chmod(0o755)
            stack.callback(directory.chmod, 0o700)
        where = stack.enter_context(site())
        pack(tmp_path / "lvs-agent", "1.0.0")
        daemon = Daemon(where.a, tmp_path / "a", tmp_path / "lvs-agent", CONFIGURATION)
        stack.callback(daemon.close)
        daemon.start()
        daemon.wait_for(VI="MASTER")
        (tmp_path / "a").chmod(0o755)
        daemon.socket.chmod(0o666)
        at = time.time()
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", DEBIAN_PYTHON, "-c", HOSTILE]
        command = [*words, str(daemon.socket), str(SECONDS)]
        hostile = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(hostile.kill)
        answers = 0
        while hostile.poll() is None:
            assert daemon.states() == {"VI": "MASTER"}, daemon.log
            answers += 1
        tries, _errors = hostile.communicate()
        assert int(tries) > 1000
        assert answers > 1
        adverts = where.witness.of(VRID, at - INTERVAL_S)
        assert max(later.at - sooner.at for sooner, later in zip(adverts, adverts[1:])) < INTERVAL_S + LATE_S
        status = daemon.ask("status").result
        assert (status["healthy"], status["vrrp_process"]["deaths"]) == (True, 0)
        wait_until(lambda: len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())) < 40, "its clients are gone")
        assert "Traceback" not in daemon.log
