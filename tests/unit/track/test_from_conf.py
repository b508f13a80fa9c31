# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration -> what is tracked and how is notified, with keepalived's defaults."""

from __future__ import annotations

from typing import Any

from _lvs_agent.conf.script import Account, Component
from _lvs_agent.notify import from_conf as notify_from_conf
from _lvs_agent.script_commands import Commands
from _lvs_agent.track.files import FilePlan, number
from _lvs_agent.track.from_conf import plans
from _lvs_agent.track.quorum import ProcessPlan
from _lvs_agent.vrrp.instance import Instance
from _lvs_agent.vrrp.plan import GroupPlan, InstancePlan, Plan, Track, TrackKind

SECOND = 1_000_000_000


def account(user: str, group: str) -> Account | None:
    return {"root": Account(0, 0), "watch": Account(990, 991)}.get(user)


def components(path: str) -> list[Component]:
    return [Component("/", 0o40755), Component(path, 0o100777 if "open" in path else 0o100755)]


COMMANDS = Commands("root", True, account=account, components=components)


def configuration(**blocks: Any) -> dict[str, Any]:
    return {"global_defs": {}, "vrrp_script": [], "vrrp_track_process": [], "track_file": [], **blocks}


def tracking(*tracks: Track) -> Plan:
    return Plan((InstancePlan(Instance("V", 1, bytes(4), ()), 4, "eth0", tracks=tracks),))


def test_scripts_that_somebody_tracks() -> None:
    said = configuration(
        vrrp_script=[
            {"name": "plain", "script": "/bin/check -x 'a b'"},
            {
                "name": "full",
                "script": "/bin/check",
                "interval": 5,
                "timeout": 2,
                "rise": 3,
                "fall": 4,
                "init_fail": True,
            },
            {"name": "open", "script": "/bin/open"},
            {"name": "unused", "script": "/bin/check"},
        ]
    )
    group = GroupPlan("G", ("V",), (Track(TrackKind.SCRIPT, "open"),))
    plan = tracking(Track(TrackKind.SCRIPT, "plain"), Track(TrackKind.SCRIPT, "full"))
    plain, full, refused = plans(said, Plan(plan.instances, (group,)), COMMANDS).scripts
    assert plain.command is not None
    assert plain.command.argv == ("/bin/check", "-x", "a b")
    assert (plain.interval_ns, plain.timeout_ns, plain.rise, plain.fall) == (SECOND, SECOND, 1, 1)
    assert (full.interval_ns, full.timeout_ns, full.rise, full.fall) == (5 * SECOND, 2 * SECOND, 3, 4)
    assert full.init_fail
    assert refused.command is None
    assert "/bin/open is writable by everybody (mode 0777)" in refused.refused


def test_processes_and_files() -> None:
    said = configuration(
        vrrp_track_process=[
            {"name": "p", "process": 'haproxy "a b"', "delay": 2, "fork_delay": 0.5, "quorum_max": 3},
        ],
        track_file=[
            {"name": "a", "file": "/a"},
            {"name": "b", "file": "/b", "init_file": True},
            {"name": "c", "file": "/c", "init_file": "-5 overwrite"},
            {"name": "d", "file": "/d", "init_file": "overwrite"},
        ],
    )
    plan = tracking(Track(TrackKind.PROCESS, "p"), *(Track(TrackKind.FILE, name) for name in "abcd"))
    found = plans(said, plan, COMMANDS)
    assert found.processes == (
        ProcessPlan("p", ("haproxy", "a b"), quorum_max=3, fork_delay_ns=SECOND // 2, terminate_delay_ns=2 * SECOND),
    )
    assert found.files == (
        FilePlan("a", "/a"),
        FilePlan("b", "/b", 0),
        FilePlan("c", "/c", -5, True),
        FilePlan("d", "/d", 0, True),
    )


def test_mail() -> None:
    said: dict[str, Any] = {"smtp_server": "mail.example", "notification_email": ["a@example.com"]}
    plan = notify_from_conf.mail({"global_defs": said}, "lvs01")
    assert plan is not None
    assert (plan.server, plan.port, plan.sender, plan.helo, plan.router_id, plan.timeout_s) == (
        "mail.example",
        25,
        "keepalived@lvs01",
        "lvs01",
        "lvs01",
        30,
    )
    assert notify_from_conf.mail({"global_defs": {"notification_email": ["a"]}}, "h") is None
    assert notify_from_conf.mail({"global_defs": {"smtp_server": "h"}}, "h") is None


def test_fifos() -> None:
    said = {
        "notify_fifo": "/run/all watch",
        "notify_fifo_script": '"/bin/read -v" watch',
        "vrrp_notify_fifo": "/run/vrrp nobody-there",
        "vrrp_notify_fifo_script": "/bin/open",
    }
    (first, second), problems = notify_from_conf.fifos({"global_defs": said}, COMMANDS)
    assert (first.path, first.owner) == ("/run/all", Account(990, 991))
    assert first.script is not None
    assert first.script.argv == ("/bin/read", "-v", "/run/all")
    assert first.script.uid == 990
    assert second.script is None
    assert [one.split(":")[0] for one in problems] == [
        "vrrp_notify_fifo /run/vrrp",
        "vrrp_notify_fifo_script /bin/open is not run",
    ]


def test_numbers_of_files() -> None:
    contents = [b"5", b" -20\n", b"+7 ", b"", b"x", b"1 2", b"0x10", b"99999999999", b"\xff"]
    assert [number(one) for one in contents] == [5, -20, 7, None, None, None, None, 2**31 - 1, None]
