# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of the daemon's processes beside that of keepalived's, of one file with VRRP; build/bench/memory.json.

PSS of proc(5): what several processes have in common counts in equal parts. Other programs of the same Python, such as
this test, take a part of Python's own code, and another keepalived takes a part of keepalived's.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.netns.conftest import DEBIAN_PYTHON, Host, namespace
from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.wire import LIBRARY, Keepalived, wait_until

pytestmark = pytest.mark.root

RESULT = Path(__file__).parents[2] / "build/bench/memory.json"
#: MB of the supervisor and the VRRP process, as a part of the 40 that the whole daemon may have
LIMIT_MB = 28


@pytest.fixture
def host() -> Iterator[Host]:
    with namespace(f"lvs-{uuid.uuid4().hex[:8]}-m") as name:
        one = Host(name, DEBIAN_PYTHON, LIBRARY)
        one.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        for line in (("link", "set", "eth0", "up"), ("link", "set", "eth1", "up")):
            one.run("ip", *line)
        one.run("ip", "address", "add", "10.0.0.1/16", "dev", "eth0")
        yield one


def configuration(count: int) -> str:
    return "".join(
        f"vrrp_instance V{number} {{\n interface eth0\n virtual_router_id {number}\n priority 200\n advert_int 1\n"
        f" virtual_ipaddress {{\n 10.0.1.{number}/16\n }}\n}}\n"
        for number in range(1, count + 1)
    )


def family(pid: int) -> list[int]:
    """A process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) / 1024


def measured(host: Host, count: int, pid: int) -> list[float]:
    """Of each process, when it is master of all."""
    time.sleep(1)
    wait_until(lambda: sum(one.startswith("10.0.1.") for one in host.addresses("eth0")) == count, f"{count} VIPs")
    return [pss_mb(one) for one in family(pid)]


@pytest.mark.parametrize("count", [1, 100])
def test_memory(count: int, host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "lvs-agent"
    pack(program, "1.0.0")
    daemon = Daemon(host, tmp_path / "ours", program, configuration(count))
    daemon.start()
    try:
        ours = measured(host, count, daemon.pid)
    finally:
        daemon.close()
    file = tmp_path / "keepalived.conf"
    file.write_text(configuration(count))
    other = Keepalived(host, file)
    try:
        wait_until(file.with_suffix(".vrrp.pid").exists, "keepalived")
        theirs = measured(host, count, int(file.with_suffix(".pid").read_text()))
    finally:
        other.stop()
    assert (len(ours), len(theirs)) == (2, 2), (ours, theirs)
    row = {
        "supervisor, MB": ours[0],
        "VRRP process, MB": ours[1],
        "lvs-agent, MB": sum(ours),
        "keepalived, MB": sum(theirs),
        "times keepalived's": sum(ours) / sum(theirs),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps({**table, f"PSS, {count} VRRP instances": row}, indent=1))
    with capsys.disabled():
        print(f"\n{count:>4} VRRP instances   " + "   ".join(f"{what} {value:.1f}" for what, value in row.items()))
    assert sum(ours) < LIMIT_MB
