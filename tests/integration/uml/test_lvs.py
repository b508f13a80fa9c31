# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPVS table of a configuration beside keepalived 2.2.7's, and kept against somebody else, on a real kernel."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

HERE = Path(__file__).parent
STEPS = HERE / "lvs_in_guest.py"
MODULES = tuple(f"ip_vs_{name}" for name in ("wrr", "lc", "lblc", "lblcr", "dh", "sed", "nq", "fo", "ovf"))

GUEST = f"""\
for last in 1 2 3; do
  ip address add 10.0.0.$last/24 dev lo
  ip address add fd00::$last/64 dev lo nodad
done
for name in d0 d1; do
  ip link add $name type dummy
  ip link set $name multicast on up
done
ip address add 10.1.0.1/24 dev d0
ip address add 10.2.0.1/24 dev d1
mkdir -p /run/keepalived
part steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS}"""


def configurations() -> Any:
    spec = importlib.util.spec_from_file_location("lvs_configurations", HERE / "lvs" / "wide.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each step of the guest's script answered."""
    files = tmp_path_factory.mktemp("conf")
    made = configurations()
    texts = {
        "wide": made.WIDE,
        "sync": made.SYNC,
        "both": made.SYNC_BOTH,
        "told": made.TOLD,
        "init": made.TOLD_AT_START,
    }
    for name, text in texts.items():
        (files / f"{name}.conf").write_text(text)
    parts = uml_guest.run(
        f"{GUEST} {files}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("dummy", *uml_guest.IPVS_MODULES, *MODULES),
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    answers: dict[str, Any] = json.loads(last)
    return answers


@pytest.mark.parametrize("name, lines", [("wide", 150), ("sync", 2), ("both", 2)])
def test_the_same_table_as_keepalived(said: dict[str, Any], name: str, lines: int) -> None:
    theirs, ours = said[name]["keepalived"], said[name]["ours"]
    assert ours["-Sn"] == theirs["-Sn"], theirs["log"]
    assert len(ours["-Sn"]) == lines
    assert ours["thresholds"] == theirs["thresholds"]
    assert ours["timeouts"] == theirs["timeouts"]


def test_thresholds(said: dict[str, Any]) -> None:
    assert said["wide"]["ours"]["thresholds"] == ["10.0.0.11:80 9 3", "10.0.0.12:80 5 0"]


def test_a_second_look_writes_nothing(said: dict[str, Any]) -> None:
    for name in ("wide", "sync", "both"):
        assert (said[name]["ours"]["more changes"], said[name]["ours"]["drifts"]) == (0, 0)
        assert said[name]["ours"]["left"] == said[name]["keepalived"]["left"] == []


def test_sync_daemons_and_timeouts(said: dict[str, Any]) -> None:
    ours, both = said["sync"]["ours"], said["both"]["ours"]
    assert ours["daemons"] == said["sync"]["keepalived"]["daemons"]
    words = "sync daemon (mcast=d0, syncid=33, maxlen={}, group=224.0.0.99, port=9999, ttl=3)"
    assert ours["daemons"] == [f"backup {words.format(1024)}"]  # a backup takes at least that
    assert ours["daemons of a master"] == [f"master {words.format(900)}"]
    assert ours["orders to those that run"] == both["orders to those that run"] == [[], []]
    assert ours["daemons at the end"] == both["daemons at the end"] == []
    assert both["daemons"] == said["both"]["keepalived"]["daemons"]
    assert len(both["daemons"]) == 2
    assert ours["timeouts"] == "Timeout (tcp tcpfin udp): 800 120 100"
    # daemons and timeouts done, timeouts again, as a master
    assert (ours["said"], said["wide"]["ours"]["said"]) == ([True, True, False, True], [True, False, False, True])


@pytest.mark.parametrize("name, lines", [("told", 22), ("init", 29)])
def test_what_is_told_is_what_keepalived_tells(said: dict[str, Any], name: str, lines: int) -> None:
    theirs, ours = said[name]["keepalived"], said[name]["ours"]
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == lines
    for port in range(1, 11):
        # the order of two real servers is chance
        quorum = f"VS [192.0.2.1]:tcp:{port} "
        of_ours, of_theirs = ([line for line in told if line.startswith(quorum)] for told in (ours, theirs))
        assert of_ours == of_theirs


DRIFT = {
    "a real server deleted": ["-a -t 192.0.2.2:80 -r 10.0.0.11:80 -g -w 1"],
    "a weight changed": ["-e -t 192.0.2.2:80 -r 10.0.0.11:80 -g -w 1"],
    "thresholds set": ["-e -t 192.0.2.2:80 -r 10.0.0.11:80 -g -w 1"],
    "a real server added": ["-d -t 192.0.2.2:80 -r 10.0.0.66:80"],
    "a scheduler changed": ["-E -t 192.0.2.2:80 -s sh -b sh-fallback,sh-port"],
    "persistence set": ["-E -t 192.0.2.2:80 -s sh -b sh-fallback,sh-port"],
    "a virtual server deleted": [
        "-A -t 192.0.2.2:80 -s sh -b sh-fallback,sh-port",
        "-a -t 192.0.2.2:80 -r 10.0.0.11:80 -g -w 1",
    ],
    "one replaced by another": [
        "-a -t 192.0.2.2:80 -r 10.0.0.11:80 -g -w 1",
        "-d -t 192.0.2.2:80 -r 10.0.0.67:80",
    ],
}


@pytest.mark.parametrize("name", DRIFT)
def test_drift_is_repaired_within_two_seconds(said: dict[str, Any], name: str) -> None:
    found = said["drift"]["interference"][name]
    assert found["changed"]
    assert 0 <= found["seconds"] <= 2
    assert found["told"] == [["virtual service tcp 192.0.2.2:80", DRIFT[name], len(DRIFT[name])]]
    assert found["services"] == 1


def test_everything_deleted_is_repaired_within_two_seconds(said: dict[str, Any]) -> None:
    found = said["drift"]["interference"]["everything deleted"]
    assert found["changed"]
    assert 0 <= found["seconds"] <= 2
    assert found["services"] == sum(line.startswith("-A") for line in said["wide"]["ours"]["-Sn"])
    assert said["drift"]["drifts"] == len(DRIFT) + found["services"]


def test_reload_crash_and_end(said: dict[str, Any]) -> None:
    found = said["drift"]
    assert found["reload"] == {"gone": [], "foreign": True}
    assert found["crash"] == {
        "gone": ["-A -t 192.0.2.2:80 -s sh -b sh-fallback,sh-port", "-a -t 192.0.2.2:80 -r 10.0.0.11:80 -g -w 1"],
        "more": [],
    }
    # 150 lines without these two, and somebody else's two; who has no record touches nothing
    assert found["stranger"] == found["stop"] == 150
    assert found["stop, VS"] == ["-A -t 198.51.100.1:80 -s rr", "-a -t 198.51.100.1:80 -r 10.0.0.77:80 -m -w 4"]
    assert found["stop, all"] == []


def test_other_peoples_real_servers_stay_where_the_site_says_so(said: dict[str, Any]) -> None:
    def lines(*servers: str) -> list[str]:
        return ["-A -t 192.0.2.90:80 -s rr", *(f"-a -t 192.0.2.90:80 -r {server}" for server in servers)]

    found = said["others"]
    assert 0 <= found["seconds"] <= 2
    assert found["after"] == lines("10.9.0.0:80 -g -w 1", "10.9.0.1:80 -g -w 1", "10.99.0.1:80 -g -w 5")
    assert found["restarted"] == lines("10.9.0.0:80 -g -w 1", "10.99.0.1:80 -g -w 5")


def test_what_the_kernel_refuses_keeps_nobody_waiting(said: dict[str, Any]) -> None:
    found = said["refused"]
    assert 0 <= found["seconds"] <= 2
    assert found["refused"] >= 3
    assert found["mended"] >= 0


def test_a_large_table(said: dict[str, Any]) -> None:
    found = said["big"]
    assert found["lines"] == 20 * 401
    assert found["back"]
    assert 0 <= found["seconds"] <= 2
    assert found["round"] == 1
