# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""4,000 real servers through our codec and through ipvsadm, by turns in one guest: a table, build/bench/ipvs.json.

System calls, page faults and new processes cost several times more in a user-mode kernel than on a host: the ratios
are the figures, not the milliseconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

import uml_guest

pytestmark = pytest.mark.root

CHECKOUT = Path(__file__).parents[2]
LIBRARY = CHECKOUT / "plugins/module_utils/_lvs_agent"
SCRIPT = Path(__file__).with_name("ipvs_in_guest.py")

# Compiled as on a director: a guest cannot write to this machine's files.
GUEST = f"""\
mkdir /mnt/library
cp -r {LIBRARY} /mnt/library
{uml_guest.DEBIAN_PYTHON} -m compileall -q /mnt/library/_lvs_agent/kernel
part seconds {uml_guest.DEBIAN_PYTHON} {SCRIPT}
"""

JOBS = {
    "add": "program 4,000 real servers",
    "edit": "change all their weights",
    "dump": "read them with their counters",
}
#: what is timed -> the share of ipvsadm's whole process that it may take
TO_REACH = {
    "add, codec in its process": 1.0,
    "edit, codec in its process": 1.0,
    "add, codec": 1.0,
    "edit, codec": 1.0,
    "dump, codec": 1.0,
}


def test_four_thousand_real_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = uml_guest.run(GUEST, tmp_path, pythonpath=[Path("/mnt/library")], memory_mb=256)
    assert said["seconds"].startswith("{"), said["seconds"]
    rounds: dict[str, list[float]] = json.loads(said["seconds"])
    seconds = {name: median(taken) for name, taken in rounds.items() if not name.startswith("flush")}
    ratios = {
        name: taken / seconds[f"{name.partition(',')[0]}, ipvsadm"]
        for name, taken in seconds.items()
        if "codec" in name and not name.startswith("start-up")
    }
    directory = CHECKOUT / "build/bench"
    directory.mkdir(parents=True, exist_ok=True)
    figures = {
        "rounds": len(next(iter(rounds.values()))),
        "median, s": seconds,
        "share of ipvsadm's whole process": ratios,
        "all rounds, s": rounds,
    }
    (directory / "ipvs.json").write_text(json.dumps(figures, indent=1))
    with capsys.disabled():
        print("\n" + "\n".join(table(seconds)))
    assert {name: ratios[name] for name, limit in TO_REACH.items() if ratios[name] > limit} == {}


def table(seconds: dict[str, float]) -> list[str]:
    """Milliseconds, medians, and the ratios to ipvsadm's whole process."""
    lines = [f"{'':<34}{'ipvsadm':>10}{'a process':>14}{'in a running one':>20}"]
    for job, title in JOBS.items():
        whole, own, inside = (seconds[f"{job}, {side}"] for side in ("ipvsadm", "codec in its process", "codec"))
        lines.append(
            f"{title:<34}{whole * 1e3:7.0f} ms{own * 1e3:7.0f} ms{own / whole:5.2f}{inside * 1e3:10.0f} ms"
            f"{inside / whole:7.2f}"
        )
    own, bare = seconds["start-up, python with the codec"], seconds["start-up, python"]
    lines.append(f"{'of it start-up':<34}{seconds['start-up, ipvsadm'] * 1e3:7.0f} ms{own * 1e3:7.0f} ms")
    lines.append(f"{'of that Python without the codec':<44}{bare * 1e3:7.0f} ms")
    return lines
