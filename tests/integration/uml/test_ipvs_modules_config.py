# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvs_config on a kernel that has ip_vs; what is true is what ipvsadm says."""

from __future__ import annotations

from typing import Any

import pytest
from guest_steps import Steps

pytestmark = pytest.mark.root

STEPS = Steps()


def shown() -> tuple[int, int]:
    return STEPS.run("ipvsadm", "-L", "--timeout"), STEPS.run("ipvsadm", "-L", "--daemon")


def call(args: dict[str, Any]) -> list[int]:
    """A task in check mode, what is shown, the task, what is shown, the task again."""
    check = STEPS.module("ipvs_config", args, check=True)
    before = shown()
    result = STEPS.module("ipvs_config", args)
    return [check, *before, result, *shown(), STEPS.module("ipvs_config", args)]


MASTER = {"mcast_interface": "d0", "syncid": 51}
BACKUP = {"mcast_interface": "d0", "syncid": 51}
FULL = {
    "mcast_interface": "d1",
    "syncid": 255,
    "sync_maxlen": 1400,
    "mcast_group": "224.0.1.81",
    "mcast_port": 9000,
    "mcast_ttl": 3,
}
DEFAULTS = "--mcast-port 8848 --mcast-ttl 1"
FULL_START = "--start-daemon master --mcast-interface d1 --syncid 255 --sync-maxlen 1400 --mcast-group 224.0.1.81"
SIX = {**MASTER, "mcast_group": "FF02::51"}
MASTER_LINE = "master sync daemon (mcast=d0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"
BACKUP_LINE = "backup sync daemon (mcast=d0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"
FULL_LINE = "master sync daemon (mcast=d1, syncid=255, maxlen=1400, group=224.0.1.81, port=9000, ttl=3)"
SIX_LINE = "master sync daemon (mcast=d0, syncid=51, maxlen=1452, group=ff02::51, port=8848, ttl=1)"

# One after another: what each task leaves is what the next one finds.
CASES: list[tuple[str, dict[str, Any], list[str], list[str], list[str]]] = [
    ("timeouts", {"timeouts": {"tcp": 901, "udp": 301}}, ["901", "120", "301"], [], ["--set 901 0 301"]),
    ("one timeout", {"timeouts": {"tcp": 901, "tcp_fin": 60}}, ["901", "60", "301"], [], ["--set 0 60 0"]),
    (
        "both daemons",
        {"sync_master": MASTER, "sync_backup": BACKUP},
        ["901", "60", "301"],
        [MASTER_LINE, BACKUP_LINE],
        [
            f"--start-daemon master --mcast-interface d0 --syncid 51 --mcast-group 224.0.0.81 {DEFAULTS}",
            f"--start-daemon backup --mcast-interface d0 --syncid 51 --mcast-group 224.0.0.81 {DEFAULTS}",
        ],
    ),
    (
        "the master with all its options",
        {"sync_master": FULL},
        ["901", "60", "301"],
        [FULL_LINE, BACKUP_LINE],
        [
            "--stop-daemon master",
            f"{FULL_START} --mcast-port 9000 --mcast-ttl 3",
        ],
    ),
    (
        "no backup",
        {"sync_backup": {"state": "absent"}, "timeouts": {"tcp": 900}},
        ["900", "60", "301"],
        [FULL_LINE],
        ["--stop-daemon backup", "--set 900 0 0"],
    ),
    ("no master", {"sync_master": {"state": "absent"}}, ["900", "60", "301"], [], ["--stop-daemon master"]),
    (
        "IPv6",
        {"sync_master": SIX},
        ["900", "60", "301"],
        [SIX_LINE],
        [f"--start-daemon master --mcast-interface d0 --syncid 51 --mcast-group ff02::51 {DEFAULTS}"],
    ),
    ("nothing", {}, ["900", "60", "301"], [SIX_LINE], []),
]
CALLS = [call(args) for _id, args, *_rest in CASES]

BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("timeout", {"timeouts": {"tcp": 0, "udp": 2147484}}, ["timeouts.tcp: 0", "timeouts.udp: 2147484", "1 to 2147483"]),
    ("interface missing", {"sync_master": {}}, ["sync_master.mcast_interface: missing"]),
    ("long name", {"sync_master": {"mcast_interface": "e" * 16}}, ["eeeeeeeeeeeeeeee is longer than 15 characters"]),
    ("syncid", {"sync_backup": {**BACKUP, "syncid": 256}}, ["sync_backup.syncid: 256 is out of range", "0 to 255"]),
    ("no group", {"sync_master": {**MASTER, "mcast_group": "10.0.0.1"}}, ["10.0.0.1 is no multicast group"]),
    ("no address", {"sync_master": {**MASTER, "mcast_group": "x"}}, ["mcast_group: 'x' is not an IP address"]),
    ("maxlen", {"sync_backup": {**BACKUP, "sync_maxlen": 1000}}, ["sync_maxlen: 1000 is out", "1024 to 65507"]),
    ("maxlen 6", {"sync_master": {**SIX, "sync_maxlen": 65507}}, ["sync_maxlen: 65507 is out of range", "1 to 65487"]),
    ("port", {"sync_master": {**MASTER, "mcast_port": 0}}, ["mcast_port: 0 is out of range"]),
    ("ttl", {"sync_master": {**MASTER, "mcast_ttl": 256}}, ["mcast_ttl: 256 is out of range"]),
    ("interface", {"sync_master": {"mcast_interface": "dO"}, "timeouts": {"tcp": 5}}, ["interface dO", "d0, d1"]),
    # Only the kernel can know this one, an interface without IPv6: the master that ran is stopped by then, and is there
    # again.
    (
        "refused by the kernel",
        {"sync_master": MASTER, "sync_backup": {"mcast_interface": "d2", "mcast_group": "ff02::51"}},
        ["What was done before is taken back"],
    ),
]
REFUSED = [(STEPS.module("ipvs_config", args), shown()) for _id, args, _words in BAD]
# What the kernel would refuse is refused in check mode too.
FORESEEN = STEPS.module("ipvs_config", {"sync_master": {"mcast_interface": "dO"}}, check=True)
# keepalived's names.
THEIRS = {"interface": "d1", "id": 51, "maxlen": 1400, "group": "224.0.1.81", "port": 9000, "ttl": 3}
ALIASES = [
    STEPS.module("ipvs_config", {"lvs_timeouts": {"tcp": 800, "tcpfin": 80}, "sync_backup": THEIRS}),
    *shown(),
    STEPS.module("ipvs_info", {}),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The answer of each step."""
    return STEPS.boot(
        tmp_path_factory.mktemp("config"),
        "ip link add d2 type dummy; ip link set d2 mtu 1000 multicast on up; ip address add 10.3.0.1/24 dev d2\n"
        "for name in d0 d1; do ip link add $name type dummy; ip link set $name multicast on up; done\n"
        "ip address add 10.1.0.1/24 dev d0; ip address add 10.2.0.1/24 dev d1; sleep 2",
    )


def timeouts(text: str) -> list[str]:
    return text.split()[-3:]


@pytest.mark.parametrize(
    "case, steps", [pytest.param(case, steps, id=case[0]) for case, steps in zip(CASES, CALLS, strict=True)]
)
def test_set_and_set_again(
    said: list[Any], case: tuple[str, dict[str, Any], list[str], list[str], list[str]], steps: list[int]
) -> None:
    check, timeout_before, daemon_before, result, timeout, daemon, again = (said[number] for number in steps)
    _id, _args, wanted_timeouts, wanted_daemons, commands = case
    assert "msg" not in result, result["msg"]
    assert result["commands"] == check["commands"] == [f"ipvsadm {words}" for words in commands]
    assert result["changed"] == check["changed"] == bool(commands)
    assert (result["diff"]["before"] != result["diff"]["after"]) == bool(commands)
    assert not again["changed"]
    assert (timeouts(timeout), sorted(daemon.splitlines())) == (wanted_timeouts, sorted(wanted_daemons))
    position = CASES.index(case)
    before = CASES[position - 1][2:4] if position else (["900", "120", "300"], [])
    assert (timeouts(timeout_before), sorted(daemon_before.splitlines())) == (before[0], sorted(before[1]))


@pytest.mark.parametrize(
    "case, steps", [pytest.param(case, steps, id=case[0]) for case, steps in zip(BAD, REFUSED, strict=True)]
)
def test_one_clear_message_and_nothing_changed(
    said: list[Any], case: tuple[str, dict[str, Any], list[str]], steps: tuple[int, tuple[int, int]]
) -> None:
    result = said[steps[0]]
    assert result["failed"]
    assert [word for word in case[2] if word not in result["msg"]] == [], result["msg"]
    timeout, daemon = (said[number] for number in steps[1])
    assert (timeouts(timeout), daemon.splitlines()) == (["900", "60", "301"], [SIX_LINE])


def test_a_missing_interface_is_foreseen(said: list[Any]) -> None:
    assert said[FORESEEN]["failed"]
    assert "there is no interface dO here, only" in said[FORESEEN]["msg"]


def test_keepalived_s_names_and_what_is_returned(said: list[Any]) -> None:
    done, timeout, daemon, info = (said[step] for step in ALIASES)
    assert timeouts(timeout)[:2] == ["800", "80"]
    assert "backup sync daemon (mcast=d1, syncid=51, maxlen=1400, group=224.0.1.81, port=9000, ttl=3)" in daemon
    assert (done["timeouts"], done["daemons"]) == (info["timeouts"], info["daemons"])
