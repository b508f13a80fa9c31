# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole daemon on a kernel with IPVS: drains, deaths, reloads, its end, and the modules that ask and tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ansible
import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).with_name("daemon_in_guest.py")

TIMERS = "delay_loop 1\n    retry 1\n    delay_before_retry 1\n    lb_algo wrr\n    lb_kind NAT\n    protocol TCP"
CHECK = "TCP_CHECK {\n            connect_timeout 1\n        }"


def real_server(place: str, weight: int) -> str:
    told = "".join(
        f'\n        notify_{way} "/run/world/tell {place.replace(" ", ":")} {way}"' for way in ("up", "down")
    )
    return f"    real_server {place} {{\n        weight {weight}{told}\n        {CHECK}\n    }}\n"


def conf(*reals: tuple[str, int]) -> str:
    servers = "".join(real_server(place, weight) for place, weight in reals)
    return f"""\
global_defs {{
    enable_script_security
    script_user root
    lvs_sync_daemon l0 VI
}}
vrrp_instance VI {{
    interface l0
    virtual_router_id 51
    priority 100
    advert_int 1
    virtual_ipaddress {{
        192.0.2.100/24
    }}
}}
virtual_server 192.0.2.100 80 {{
    {TIMERS}
    quorum_up "/run/world/tell quorum up"
    quorum_down "/run/world/tell quorum down"
{servers}}}
virtual_server 192.0.2.100 81 {{
    {TIMERS}
    ha_suspend
    sorry_server 10.0.0.13 80
{real_server("10.0.0.11 81", 1)}}}
virtual_server 192.0.2.100 82 {{
    {TIMERS}
{real_server("10.0.0.12 80", 1)}}}
"""


FIRST = conf(("10.0.0.11 80", 1), ("10.0.0.12 80", 2), ("10.0.0.13 80", 3))
SECOND = conf(("10.0.0.11 80", 1), ("10.0.0.12 80", 5), ("10.0.0.14 80", 4))


# cases 15 and 18 of users' reports: a persistent service, and one of UDP
DRAINS = """\
vrrp_instance V {
    interface l0
    virtual_router_id 9
    priority 150
    virtual_ipaddress {
        192.0.2.100/32
    }
}
virtual_server 192.0.2.100 81 {
    delay_loop 1
    retry 1
    delay_before_retry 1
    lb_algo rr
    lb_kind NAT
    protocol TCP
    persistence_timeout 300
    real_server 10.0.0.11 81 {
        TCP_CHECK {
            connect_timeout 2
        }
    }
    real_server 10.0.0.12 81 {
        TCP_CHECK {
            connect_timeout 2
        }
    }
}
virtual_server 192.0.2.100 53 {
    delay_loop 1
    retry 1
    delay_before_retry 1
    lb_algo rr
    lb_kind NAT
    protocol UDP
    real_server 10.0.0.11 5353 {
        UDP_CHECK {
            payload 61
            require_reply
        }
    }
    real_server 10.0.0.12 5353 {
        UDP_CHECK {
            payload 61
            require_reply
        }
    }
}
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each step of the guest's script found."""
    files = tmp_path_factory.mktemp("conf")
    (files / "first.conf").write_text(FIRST)
    (files / "second.conf").write_text(SECOND)
    (files / "drains.conf").write_text(DRAINS)
    library = tmp_path_factory.mktemp("library")
    (library / "ansible").symlink_to(Path(ansible.__file__).parent)
    checkout = uml_guest.CHECKOUT
    run = f"{uml_guest.DEBIAN_PYTHON} -W error {STEPS} {files}/first.conf {files}/second.conf {files}/drains.conf"
    parts = uml_guest.run(
        f"chmod 755 /run\npart steps {run}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("veth", "ip_vs", "ip_vs_rr", "ip_vs_wrr"),
        pythonpath=(
            library,
            checkout / "build/collections",
            checkout / "plugins/module_utils",
            checkout / "tests/support",
        ),
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    answers: dict[str, Any] = json.loads(last)
    return answers


def lines(port: int, *servers: str) -> set[str]:
    return {f"-a -t 192.0.2.100:{port} -r {server}" for server in servers}


def test_the_guest_did_it_all(said: dict[str, Any]) -> None:
    assert "failed" not in said, said["failed"] + said["log"]


def test_the_table(said: dict[str, Any]) -> None:
    found = said["start"]
    assert set(found["table"]) == {
        "-A -t 198.51.100.1:80 -s rr",
        *(f"-A -t 192.0.2.100:{port} -s wrr" for port in (80, 81, 82)),
        *lines(80, "10.0.0.11:80 -m -w 1", "10.0.0.12:80 -m -w 2", "10.0.0.13:80 -m -w 3"),
        *lines(81, "10.0.0.13:80 -m -w 1"),  # the sorry server
        *lines(82, "10.0.0.12:80 -m -w 1"),
    }
    assert found["told"] == ["10.0.0.11:81 down", "quorum up"]
    assert found["events"] == ["quorum up"] * 3 + ["quorum down", "the sorry server serves"]
    assert found["sync"] == ["master"]
    summary = found["status"]["lvs_process"]
    assert (summary["virtual_servers"], summary["without_quorum"], summary["down"]) == (3, 1, 1)


def test_a_drain_keeps_connections_and_survives(said: dict[str, Any]) -> None:
    found = said["drain"]
    status, late = found["in time"]
    assert (status, late["done"], late["connections"]) == (1, False, 1)
    server = found["server"]
    assert (server["state"], server["weight"], server["active"]) == ("timed out", 0, 1)
    *drained, serving = found["weights"].values()
    assert drained == ["0"] * 5
    assert serving == str(server["configured_weight"])
    assert (found["echo"], found["echo after it all"], found["reload"]) == ("hello", "again", 0)


def test_a_drain_waits_for_the_last_connection(said: dict[str, Any]) -> None:
    found = said["drain"]
    assert found["waits"]
    status, waited = found["waited"]
    assert (status, waited["done"], waited["connections"]) == (0, True, 0)
    assert found["undrain"][0] == 0


def test_what_is_not_drained(said: dict[str, Any]) -> None:
    found = said["drain"]
    codes = {name: (found[name][0], found[name][1]["error"]["code"]) for name in ("last", "unknown", "not drained")}
    assert codes == {"last": (1, "last_server"), "unknown": (1, "unknown_server"), "not drained": (1, "not_drained")}
    assert "did you mean 10.0.0." in found["unknown"][1]["error"]["instead"]


def test_a_killed_process_changes_nothing(said: dict[str, Any]) -> None:
    found = said["death"]
    for name in ("table", "stopped: table", "told"):
        before, after = found[name]
        assert before == after
    assert (found["down"], found["sorry"]) == ("down", True)
    assert found["status"]["lvs_process"]["deaths"] == 1


def test_a_stopped_process_is_replaced(said: dict[str, Any]) -> None:
    found = said["death"]
    assert 5 <= found["stopped"] <= 15
    *killed, silent = found["causes"]
    assert all("killed by SIGKILL); another is started at once" in cause for cause in killed)
    assert "it was silent for 5" in silent
    before, after = found["transitions"]
    assert before == after > 0


def test_a_diff_is_what_the_reload_does(said: dict[str, Any]) -> None:
    found = said["reload"]
    assert found["nothing to do"] == found["after"] == [0, {"changes": [], "number": 0}]
    status, diff = found["diff"]
    assert (status, diff["number"]) == (1, 3)
    before, after = found["diff changed"]
    assert before == after
    edited, added, deleted = (f"192.0.2.100:80 -r 10.0.0.{last}:80" for last in (12, 14, 13))
    changes = [f"-e -t {edited} -m -w 5", f"-a -t {added} -m -w 4", f"-d -t {deleted}"]
    assert diff["changes"] == changes
    before, after = map(set, found["table"])
    assert after - before == {f"-a -t {edited} -m -w 5", f"-a -t {added} -m -w 4"}
    assert before - after == {f"-a -t {edited} -m -w 2", f"-a -t {deleted} -m -w 3"}
    assert found["reload"][1]["said"] == "virtual servers changed"


def test_a_reload_keeps_what_is_known(said: dict[str, Any]) -> None:
    found = said["reload"]
    first, second = found["servers"]
    assert [one["state"] for one in first["servers"]] == ["up"] * 3
    assert (second["sorry_in_use"], second["servers"][0]["state"]) == (True, "down")
    before, after = found["told"]
    assert after == sorted([*before, "10.0.0.13:80 down"])  # as keepalived tells of one that is taken out


def test_what_follows_vrrp(said: dict[str, Any]) -> None:
    found = said["backup"]
    assert found["master"] == found["master again"] == [["master"], False]
    assert found["fault"] == [["backup"], True]
    others, check = found["not suspended"]
    assert not others
    assert check["age_seconds"] < 3 <= found["age"]


def test_director_info(said: dict[str, Any]) -> None:
    found = said["modules"]["info"]
    assert not found["changed"]
    assert found["status"]["lvs_process"]["real_servers"] == 5
    assert [one["name"] for one in found["instances"]] == ["VI"]
    assert [one["service"] for one in found["virtual_servers"]] == [f"TCP 192.0.2.100:{port}" for port in (80, 81, 82)]
    assert (len(found["events"]), found["changes"]) == (5, [])
    nobody = said["modules"]["no daemon"]
    assert nobody["failed"]
    assert "start the unit lvs-agent" in nobody["msg"]


def test_director_control_drains(said: dict[str, Any]) -> None:
    found = said["modules"]
    before, after = found["check changed"]
    assert before == after
    for check, done, again in (("check", "drained", "drained again"), ("serving: check", "serving", "serving again")):
        assert found[check]["changed"]
        assert found[check]["diff"] == found[done]["diff"]
        assert found[done]["diff"]["before"] != found[done]["diff"]["after"]
        assert (found[done]["changed"], found[again]["changed"]) == (True, False)
    assert lines(80, "10.0.0.12:80 -m -w 0") <= set(found["drained: table"])
    assert (found["drained"]["connections"], found["drained"]["message"]) == (0, "no connection is left")
    before, after = found["serving: table"]
    assert before == after


@pytest.mark.parametrize(
    "name, words",
    [
        ("last", "10.0.0.12:80 is the last real server of TCP 192.0.2.100:82; let another one serve first, or write"),
        ("last: check", "10.0.0.12:80 is the last real server of TCP 192.0.2.100:82; let another one serve first"),
        ("unknown", "there is no real_server 10.0.0.21:80; did you mean"),
        ("instance", "there is neither a vrrp_instance nor a vrrp_sync_group VII; did you mean VI?"),
        ("handed_over", "nobody took over"),
    ],
)
def test_director_control_says_what_is_wrong(said: dict[str, Any], name: str, words: str) -> None:
    found = said["modules"][name]
    assert found["failed"]
    assert words in found["msg"]


def test_director_control_hands_over(said: dict[str, Any]) -> None:
    found = said["modules"]
    assert found["handed_over: check"]["changed"]
    assert found["handed_over: check"]["diff"] == found["handed_over"]["diff"]
    # alone on its network the director goes on
    assert not found["released"]["changed"]


def test_the_end(said: dict[str, Any]) -> None:
    found = said["end"]
    for name in ("stays", "again"):
        before, after = found[name]
        assert before == after
        assert len(after) == 9
    assert (found["status"], found["sync"]) == (0, [])
    assert found["VS"] == ["-A -t 198.51.100.1:80 -s rr"]
    assert found["everything"] == []


def test_a_drain_of_a_persistent_service_says_that_templates_are_left(said: dict[str, Any]) -> None:
    found = said["drains"]["persistent"]
    drained, other = found["drained"], found["other"]
    assert found["first"] == [True] * 3
    assert (found["before"][drained], found["before"][other]) == ([1, 0, 3], [1, 0, 0])
    obeyed = found["obeyed"]
    assert obeyed["failed"]
    assert f"{drained}:81 is drained, but 1 persistence template is left after the time given" in obeyed["msg"]
    assert (obeyed["connections"], obeyed["left"]) == (
        0,
        {"active": 0, "inactive": 3, "udp": 0, "templates": 1, "ended": 0},
    )
    assert found["still there"] == [[True], 0]


def test_a_drained_server_of_a_persistent_service_gets_no_connection(said: dict[str, Any]) -> None:
    found = said["drains"]["persistent"]
    status, ended = found["ended"]
    assert (status, ended["done"], ended["connections"]) == (0, True, 0)
    assert (ended["left"]["templates"], ended["left"]["ended"]) == (0, 1)
    assert "1 persistence template leads no client here any more" in ended["said"]
    assert found["seconds"] < 10
    assert found["next"] == [True] * 4
    assert found["went to"] == {found["drained"]: 0, found["other"]: 4}
    assert (found["shown"]["state"], found["shown"]["templates"]) == ("drained", 1)


def test_a_drained_server_that_is_down_leaves_the_table_and_comes_back_drained(said: dict[str, Any]) -> None:
    found = said["drains"]["persistent"]
    drained, other = found["drained"], found["other"]
    table, shown, connections = found["down"]
    assert [line for line in table if ":81 -r" in line] == [f"-a -t 192.0.2.100:81 -r {other}:81 -m -w 1"]
    assert (shown["state"], shown["in_table"]) == ("drained, down", False)
    assert connections == [True] * 3
    assert found["back"] == [0, "drained", [True] * 3], drained


def test_a_drain_waits_for_udp_flows(said: dict[str, Any]) -> None:
    found = said["drains"]["udp"]
    drained = found["drained"]
    status, vain = found["in vain"]
    assert (status, vain["done"], vain["connections"], vain["left"]["udp"]) == (1, False, 1, 1)
    assert vain["said"] == "1 UDP flow is left after the time given; no new ones come"
    assert found["counts"] == [0, 0, 1]
    assert found["flows"] == [[drained, 5353, 1]]
    assert found["listed"] == [["UDP", f"{drained}:5353"]]
    # a client that ends is waited for until its entry is over
    silent = said["drains"]["silent"]
    assert silent["waits"]
    status, output = silent["answer"]
    assert (status, json.loads(output)["left"]["udp"]) == (0, 0)
    assert [inactive for _weight, _active, inactive in silent["counts"].values()] == [0]


def test_a_client_of_udp_has_another_server_when_the_drained_one_ends(said: dict[str, Any]) -> None:
    found = said["drains"]["udp"]
    assert found["left"]
    assert found["seconds"] < 10
    assert found["answers"] == [found["other"]]
