# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS names as real servers: what an answer, another one, and none do to a real server's address."""

from __future__ import annotations

import socket
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.conf import read, settle
from _lvs_agent.conf.problem import ERROR
from _lvs_agent.health import from_conf as health_conf
from _lvs_agent.lvs import from_conf
from _lvs_agent.lvs.plan import NamePlan
from _lvs_agent.lvs.resolve import NEVER, Answer, Names, Question, usable
from _lvs_agent.supervisor import lvs_names
from _lvs_agent.track.from_conf import commands_of

SECOND = 1_000_000_000
WEB = Question("web.example.org", socket.AF_INET)


def plan(number: int = 1, name: str = WEB.name, others: tuple[str, ...] = ()) -> NamePlan:
    address = f"192.0.2.{number}"
    return NamePlan("S", f"{address}:80", name, socket.AF_INET, address, 80, 30 * SECOND, others)


def names(*plans: NamePlan, known: Any = None) -> Names:
    found = Names(Random(1))
    found.configure(plans or (plan(),), known or {}, 0)
    return found


def texts(found: Names, answer: Answer | None, now_ns: int = 0, question: Question = WEB) -> list[str]:
    answers = {question: answer} if answer is not None else {}
    return [one.text for one in found.answered([question], answers, now_ns)]


def address(found: Names, number: int = 1) -> str:
    return found.addresses()["S", f"192.0.2.{number}:80"]


def test_the_address_written_counts_until_the_first_answer() -> None:
    found = names()
    assert address(found) == "192.0.2.1"
    assert found.due(0) == [WEB]
    assert texts(found, Answer((), "no such name")) == [
        "web.example.org is not resolved: no such name; real server 192.0.2.1:80 of S stays 192.0.2.1"
    ]
    assert address(found) == "192.0.2.1"
    assert texts(found, Answer(("192.0.2.7",))) == [
        "web.example.org is resolved again",
        "web.example.org is 192.0.2.7 now, no longer 192.0.2.1: real server 192.0.2.1:80 of S",
    ]
    assert address(found) == "192.0.2.7"


@pytest.mark.parametrize(
    "answer, why",
    [
        (None, "no answer in time"),
        (Answer((), "x"), "x"),
        (Answer(("2001:db8::1", "0.0.0.0", "?")), "no usable address"),
    ],
)
def test_the_last_good_answer_is_kept_and_a_failure_told_once(answer: Answer | None, why: str) -> None:
    found = names()
    texts(found, Answer(("192.0.2.7",)))
    told = [texts(found, answer) for _each in range(3)]
    assert why in told[0][0]
    assert told[1:] == [[], []]
    assert address(found) == "192.0.2.7"
    assert found.why(("S", "192.0.2.1:80")) == why


def test_of_several_the_present_one_is_kept_else_the_first() -> None:
    found = names()
    assert texts(found, Answer(("192.0.2.20", "192.0.2.9", "192.0.2.1"))) == []
    texts(found, Answer(("192.0.2.20", "192.0.2.9")))
    assert address(found) == "192.0.2.9"
    texts(found, Answer(("192.0.2.8", "192.0.2.9")))
    assert address(found) == "192.0.2.9"


def test_servers_share_a_name_and_never_an_address() -> None:
    found = names(plan(1, others=("192.0.2.30",)), plan(2, others=("192.0.2.30",)))
    texts(found, Answer(("192.0.2.30", "192.0.2.31", "192.0.2.32")))
    assert (address(found, 1), address(found, 2)) == ("192.0.2.31", "192.0.2.32")
    assert "all its addresses are in use" in texts(found, Answer(("192.0.2.31",)))[0]
    assert (address(found, 1), address(found, 2)) == ("192.0.2.31", "192.0.2.32")


def test_a_name_is_asked_again_near_its_interval_and_one_that_failed_last() -> None:
    good, bad = plan(1, "z.example.org"), plan(2, "a.example.org")
    found = names(good, bad)
    questions = found.due(0)
    assert [one.name for one in questions] == ["a.example.org", "z.example.org"]
    found.answered(questions, {questions[1]: Answer(("192.0.2.1",))}, 0)
    assert 27 * SECOND <= found.deadline_ns() <= 33 * SECOND
    assert found.due(20 * SECOND) == []
    assert [one.name for one in found.due(33 * SECOND)] == ["z.example.org", "a.example.org"]


def test_a_reload_and_a_restart_keep_addresses() -> None:
    found = names()
    texts(found, Answer(("192.0.2.7",)), 10 * SECOND)
    due = found.deadline_ns()
    found.configure([plan(), plan(2, "other.example.org")], {}, 11 * SECOND)
    assert (address(found), address(found, 2)) == ("192.0.2.7", "192.0.2.2")
    assert found.due(12 * SECOND) == [Question("other.example.org", socket.AF_INET)]
    assert due > 20 * SECOND
    again = names(known=found.known())
    assert address(again) == "192.0.2.7"
    # another name at the same place begins with what is written
    assert address(names(plan(name="new.example.org"), known=found.known())) == "192.0.2.1"
    assert address(names(known={("S", "192.0.2.1:80"): (WEB.name, "junk")})) == "192.0.2.1"
    found.configure([], {}, 0)
    assert found.deadline_ns() == NEVER


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=20)), max_size=200), st.booleans())
def test_whatever_an_answer_has_the_address_is_a_good_one(said: list[str], is_v6: bool) -> None:
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    found = usable(said, family)
    assert len(found) <= 64
    for one in found:
        assert socket.inet_ntop(family, socket.inet_pton(family, one)) == one


CONF = """
virtual_server 198.51.100.1 80 {
  lb_kind DR
  protocol TCP
  real_server 192.0.2.1 80 {
    @lvs_agent resolve web.example.org 5
    TCP_CHECK {
    }
    HTTP_GET {
      connect_ip 192.0.2.99
      url {
        path /
      }
    }
  }
  real_server 192.0.2.2 80 {
    TCP_CHECK {
    }
  }
}
"""


def test_from_the_file_to_the_kernel(tmp_path: Path) -> None:
    file = tmp_path / "keepalived.conf"
    file.write_text(CONF)
    parsed = read.read_file(str(file))
    assert [str(one) for one in read.file_problems(parsed) if one.severity == ERROR] == []
    settled = settle.settle(parsed.configuration)
    checks = health_conf.plans(settled, commands_of(settled))
    made = from_conf.plan(settled, checks)
    key = ("TCP 198.51.100.1:80", "192.0.2.1:80")
    (one,) = made.names
    assert (one.key, one.refresh_ns, one.others) == (key, 5 * SECOND, ("192.0.2.2",))
    moved = lvs_names.with_addresses(made, {key: "192.0.2.7"})
    servers = moved.virtual_servers[0].servers
    assert [(server.name, server.destination.addr) for server in servers] == [
        ("192.0.2.1:80", "192.0.2.7"),
        ("192.0.2.2:80", "192.0.2.2"),
    ]
    endpoints = [check.check.endpoint for check in lvs_names.checks_at(checks, made, {key: "192.0.2.7"})]  # type: ignore[union-attr]
    assert sorted(socket.inet_ntoa(end.address) for end in endpoints) == ["192.0.2.2", "192.0.2.7", "192.0.2.99"]


@pytest.mark.parametrize(
    "line, said",
    [
        ("resolve 192.0.2.7", "is an address"),
        ("resolve 10.1", "looks like one"),
        ("resolve -a.example.org", "is no host name"),
        ("resolve a..b", "is no host name"),
        ("resolve " + "a." * 127 + "b", "is no host name"),
        ("resolve web 0", "seconds from 1 to 86400"),
        ("resolve web 99999999999999999999", "seconds from 1 to 86400"),
        ("resolve web 5 6", "more than a name and seconds"),
    ],
)
def test_what_is_refused(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "keepalived.conf"
    file.write_text(CONF.replace("resolve web.example.org 5", line))
    errors = [str(one) for one in read.file_problems(read.read_file(str(file))) if one.severity == ERROR]
    assert len(errors) == 1
    assert said in errors[0]


def test_a_range_has_no_name(tmp_path: Path) -> None:
    file = tmp_path / "keepalived.conf"
    file.write_text(CONF.replace("real_server 192.0.2.1 80", "real_server 192.0.2.11-13 80"))
    errors = [str(one) for one in read.file_problems(read.read_file(str(file))) if one.severity == ERROR]
    assert "a name is the address of one" in errors[-1]


def test_answers_that_were_cut_short() -> None:
    whole = b'[["a", 2], [["192.0.2.1"], ""]]\n'
    assert lvs_names.parse(whole + b'[["b", 2], [[') == {Question("a", 2): Answer(("192.0.2.1",))}
    assert lvs_names.parse(b"") == {}
