# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""director_info and director_control: what they decide on answers of the daemon, and what they refuse before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control import client
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control.protocol import Refused
from ansible_collections.linuxha.lvs.plugins.modules import director_control, director_info


def server(name: str, state: str = "up", *, drained: bool = False, weight: int = 1) -> dict[str, Any]:
    drain = {"since": 1.0} if drained else None
    return {"server": name, "state": state, "configured_weight": weight, "drain": drain}


def service(name: str, *servers: dict[str, Any]) -> dict[str, Any]:
    return {"service": name, "servers": list(servers)}


WEB, MAIL = "TCP 192.0.2.1:80", "TCP 192.0.2.1:25"
ANSWER = {
    "virtual_servers": [
        service(WEB, server("10.0.0.1:80"), server("10.0.0.2:80", drained=True), server("[2001:db8::1]:80")),
        service(MAIL, server("10.0.0.1:25"), server("10.0.0.2:25", "down")),
    ]
}


@pytest.mark.parametrize(
    "said, found",
    [
        ("10.0.0.1:80", ["10.0.0.1:80"]),
        ("10.0.0.1", ["10.0.0.1:80", "10.0.0.1:25"]),
        ("2001:db8::1", ["[2001:db8::1]:80"]),
        ("[2001:db8::1]:80", ["[2001:db8::1]:80"]),
    ],
)
def test_servers_that_are_meant(said: str, found: list[str]) -> None:
    assert [one["server"] for one in director_control.servers_meant(ANSWER, said)] == found


def test_how_they_are() -> None:
    (one,) = director_control.servers_meant(ANSWER, "10.0.0.2:80")
    assert one == {"service": WEB, "server": "10.0.0.2:80", "drained": True}


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(Refused, match=r"no real_server 10.0.0.1:8; did you mean 10.0.0.1:80"):
        director_control.servers_meant(ANSWER, "10.0.0.1:8")


@pytest.mark.parametrize(
    "said, alone",
    [("10.0.0.1:80", []), ("10.0.0.1:25", [MAIL]), ("10.0.0.1", [MAIL]), ("10.0.0.2", []), ("2001:db8::1", [])],
)
def test_nobody_is_left(said: str, alone: list[str]) -> None:
    # 10.0.0.2:25 is down, so that 10.0.0.1:25 serves alone
    assert director_control.nobody_left(ANSWER, director_control.servers_meant(ANSWER, said)) == alone


def test_who_serves() -> None:
    others = [
        server("10.0.0.2:80", "down"),
        server("10.0.0.3:80", "up", weight=0),
        server("10.0.0.4:80", "drained", drained=True),
    ]
    for more, alone in ((others, [WEB]), ([*others, server("10.0.0.5:80", "down, kept")], [])):
        answer = {"virtual_servers": [service(WEB, server("10.0.0.1:80"), *more)]}
        meant = director_control.servers_meant(answer, "10.0.0.1:80")
        assert director_control.nobody_left(answer, meant) == alone


@pytest.mark.parametrize(
    "name, host",
    [
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_addresses(name: str, host: str) -> None:
    assert director_control.address(name) == host


VRRP: dict[str, Any] = {
    "instances": [
        {"name": name, "state": state, "handed_over": False, "priority": 100}
        for name, state in (("VI_1", "MASTER"), ("VI_2", "BACKUP"), ("VI_3", "MASTER"))
    ],
    "groups": [{"name": "VG", "state": "MASTER", "members": ["VI_1", "VI_2"]}],
}


@pytest.mark.parametrize(
    "said, names", [(None, ["VI_1", "VI_2", "VI_3"]), ("VI_3", ["VI_3"]), ("VG", ["VI_1", "VI_2"])]
)
def test_instances_that_are_meant(said: str | None, names: list[str]) -> None:
    found = director_control.instances_meant(VRRP, said)
    assert [one["name"] for one in found] == names
    assert set(found[0]) == {"name", "state", "handed_over"}


def test_an_instance_that_is_not_there() -> None:
    with pytest.raises(Refused, match="neither a vrrp_instance nor a vrrp_sync_group VG_1; did you mean"):
        director_control.instances_meant(VRRP, "VG_1")


def test_a_difference() -> None:
    found = director_control.difference([("a of b", False, True), ("c of d", True, True)])
    assert found == {"before": "a of b: serving\nc of d: drained\n", "after": "a of b: drained\nc of d: drained\n"}


Play = Any


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Play:
    """Runs a module with options and answers of a daemon, None for none that listens; the module's result."""

    def run(module: Any, answers: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        def ask(_path: str, verb: str, _arguments: dict[str, Any], _wait: float) -> dict[str, Any]:
            answer = (answers or {})[verb]
            if isinstance(answer, Exception):
                raise answer
            # One that asks again is told how it is by then.
            found: dict[str, Any] = answer.pop(0) if isinstance(answer, list) else answer
            return found

        if answers is not None:
            monkeypatch.setattr(client, "ask", ask)
        arguments.setdefault("socket", str(tmp_path / "none"))
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


@pytest.mark.parametrize(
    "given, words",
    [
        (
            {"state": "handed_over", "server": "10.0.0.1:80"},
            "server: it is an option of state drained or serving, not of handed_over; leave it out",
        ),
        ({"state": "released", "virtual_server": "x"}, "service: it is an option of state drained or serving"),
        ({"state": "handed_over", "wait": True}, "wait: it is an option of state drained, not of handed_over"),
        ({"state": "drained", "real_server": "x", "vrrp_instance": "VI"}, "instance: it is an option of state handed_"),
        ({"state": "serving", "server": "x", "force": True}, "force: it is an option of state drained, not of serving"),
        ({"state": "serving", "server": "x", "wait_timeout": 5}, "wait_timeout: it is an option of state drained"),
        ({"state": "drained", "server": "x", "wait_timeout": 5}, "wait_timeout: nothing is waited for; write wait: t"),
        ({"state": "drained", "server": "x", "wait": True, "wait_timeout": 0}, "wait_timeout: 0.0 is out of range"),
        ({"state": "drained", "server": "x", "wait": True, "wait_timeout": "nan"}, "wait_timeout: nan is out of range"),
        ({"state": "released", "timeout": "nan"}, "timeout: nan is out of range; write seconds above 0"),
        ({"state": "released", "timeout": "inf"}, "timeout: inf is out of range"),
        ({"state": "released", "timeout": -1}, "timeout: -1.0 is out of range"),
    ],
)
def test_options_that_do_not_belong_to_the_state(play: Play, given: dict[str, Any], words: str) -> None:
    result = play(director_control, **given)
    assert result["failed"]
    assert words in result["msg"]


@pytest.mark.parametrize(
    "given, words",
    [
        ({"timeout": "nan"}, "timeout: nan is out of range"),
        ({"events": 0}, "events: 0 is out of range; write a whole number from 1 to 2000"),
        ({"events": 10**20}, "events: 100000000000000000000 is out of range"),
    ],
)
def test_numbers_of_director_info(play: Play, given: dict[str, Any], words: str) -> None:
    assert words in play(director_info, **given)["msg"]


def test_advice_is_for_tasks(play: Play) -> None:
    for module, given in ((director_info, {}), (director_control, {"state": "released"})):
        result = play(module, **given)
        assert result["code"] == "not_running"
        assert "start the unit lvs-agent, or name its socket in the option socket" in result["msg"]
    refused = Refused("last_server", "10.0.0.1:80 is the last real server of X", "undrain another one, or use --force")
    result = play(
        director_control, {"servers": ANSWER, "drain": refused}, state="drained", server="10.0.0.1:80", force=True
    )
    assert result["msg"].endswith("let another one serve first, or write force: true")
    assert "--" not in result["msg"]


def test_servers_are_returned_as_they_are_afterwards(play: Play) -> None:
    drained = {"done": True, "connections": 0, "left": {}, "said": "no connection is left"}
    answers = {"servers": ANSWER, "drain": drained}
    task = {"state": "drained", "server": "10.0.0.1:80"}
    foreseen = play(director_control, answers, _ansible_check_mode=True, **task)
    done = play(director_control, answers, **task)
    assert foreseen["servers"] == done["servers"] == [{"service": WEB, "server": "10.0.0.1:80", "drained": True}]
    assert done["message"] == "no connection is left"


def test_instances_are_returned_as_they_are_afterwards(play: Play) -> None:
    after = {**VRRP, "instances": [{**one, "state": "BACKUP", "handed_over": True} for one in VRRP["instances"]]}
    answers = {"vrrp": [VRRP, after], "failover": {"done": True, "instances": [], "said": "x --release"}}
    done = play(director_control, answers, state="handed_over", instance="VI_1")
    assert done["instances"] == [{"name": "VI_1", "state": "BACKUP", "handed_over": True}]
    assert done["message"] == "given away until state: released"
    kept = [{"name": "VI_1", "state": "MASTER", "cause": "nobody took over"}]
    answers = {"vrrp": [VRRP, VRRP], "failover": {"done": False, "instances": kept, "said": "not everything was given"}}
    failed = play(director_control, answers, state="handed_over", instance="VI_1")
    assert failed["msg"] == "not everything was given: VI_1 is MASTER: nobody took over"
