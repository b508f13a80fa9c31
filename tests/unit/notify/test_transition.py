# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change runs, writes and mails: keepalived.conf(5), and what keepalived 2.2.7 did when it was watched."""

from __future__ import annotations

from typing import Any

import pytest

from _lvs_agent.notify.mail import MailPlan, of_notice
from _lvs_agent.notify.transition import Notice, of_priority, of_transition, scripts
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.messages import PriorityChanged, Transitioned
from _lvs_agent.vrrp.plan import NotifyWords

WORDS = NotifyWords(
    notify="all",
    notify_master="m",
    notify_backup="b",
    notify_fault="f",
    notify_stop="s",
    notify_master_rx_lower_pri="low",
)
MAIL = MailPlan("h", 25, "k@example.com", ("a@example.com",), "helo", "TESTER")


def event(state: State, **more: Any) -> Transitioned:
    return Transitioned("V 1", state, State.BACKUP, "why", 150, 1, 2, **more)


def notice(state: State, words: NotifyWords = WORDS, **more: Any) -> Notice:
    found = of_transition(event(state, **more), words)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "change, line",
    [
        (notice(State.MASTER), 'INSTANCE "V 1" MASTER 150\n'),
        (notice(State.INIT), 'INSTANCE "V 1" STOP 150\n'),
        (notice(State.FAULT, group=True), 'GROUP "V 1" FAULT 0\n'),
        # removed: DELETED only for who asked for it
        (notice(State.INIT, removed=True), 'INSTANCE "V 1" FAULT 150\n'),
        (notice(State.INIT, NotifyWords(deleted_state=True), removed=True), 'INSTANCE "V 1" DELETED 150\n'),
    ],
)
def test_lines(change: Notice, line: str) -> None:
    assert change.line == line


def test_a_handover_is_told_at_its_end() -> None:
    assert of_transition(event(State.HANDOVER), WORDS) is None


@pytest.mark.parametrize(
    "state, special",
    [(State.MASTER, "m"), (State.BACKUP, "b"), (State.FAULT, "f"), (State.INIT, "s")],
)
def test_the_general_script_comes_after_the_special_one(state: State, special: str) -> None:
    change = notice(state)
    assert [(command, arguments) for _keyword, command, arguments in scripts(change, WORDS)] == [
        (special, ()),
        ("all", ("INSTANCE", "V 1", change.state, "150")),
    ]


def test_lower_priority_runs_its_own_script_only() -> None:
    change = Notice(False, "V", "MASTER_RX_LOWER_PRI", 1)
    assert [command for _keyword, command, _arguments in scripts(change, WORDS)] == ["low"]


@pytest.mark.parametrize(
    "state, expected",
    [(State.MASTER, "MASTER_PRIORITY"), (State.BACKUP, "BACKUP_PRIORITY"), (State.FAULT, None)],
)
def test_priorities(state: State, expected: str | None) -> None:
    found = of_priority(PriorityChanged("V", 120, 150, state, (), 1))
    assert (found.state if found else None) == expected


@pytest.mark.parametrize(
    "change, subject, text",
    [
        (
            Notice(False, "V1", "MASTER", 1),
            "[TESTER] VRRP Instance V1 - Entering MASTER state",
            "=> VRRP Instance is now owning VRRP VIPs <=",
        ),
        (
            Notice(False, "V1", "FAULT", 1),
            "[TESTER] VRRP Instance V1 - Entering FAULT state",
            "=> VRRP Instance is no longer owning VRRP VIPs <=",
        ),
        (
            Notice(True, "G", "BACKUP", 1),
            "[TESTER] VRRP Group G - Entering BACKUP state",
            "=> All VRRP group instances are now in BACKUP state <=",
        ),
        (Notice(False, "V3", "DELETED", 1), "[TESTER] VRRP Instance V3 - Deleted", "=> VRRP Deleted at reload <="),
    ],
)
def test_mails_as_keepalived_sent_them(change: Notice, subject: str, text: str) -> None:
    mail = of_notice(change, MAIL)
    assert mail is not None
    assert (mail.subject, mail.text) == (subject, text)


def test_no_mail_at_a_stop() -> None:
    assert of_notice(Notice(False, "V", "STOP", 1), MAIL) is None
