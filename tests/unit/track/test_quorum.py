# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are meant, and when they are enough: the words of keepalived.conf(5), vrrp_track_process."""

from __future__ import annotations

from typing import Any

import pytest

from _lvs_agent.track.quorum import ProcessPlan, Quorum

SECOND = 1_000_000_000


def plan(*words: str, **more: Any) -> ProcessPlan:
    return ProcessPlan("P", words, **more)


@pytest.mark.parametrize(
    "wanted, comm, command_line, expected",
    [
        # an exact match of the name, pgrep "^ssh$"
        (plan("ssh"), "ssh", "whatever", True),
        (plan("ssh"), "sshd", "sshd", False),
        # the kernel keeps 15 characters of a name
        (plan("a-very-long-program"), "a-very-long-pro", "", True),
        # with parameters the command line is compared, all of it
        (plan("haproxy", "-f", "x"), "haproxy", "haproxy -f x", True),
        (plan("haproxy", "-f", "x"), "haproxy", "haproxy -f x -d", False),
        (plan("haproxy", "-f", "x"), "haproxy", "/usr/sbin/haproxy -f x", False),
        # partial: the first ones
        (plan("haproxy", "-f", param_match="partial"), "haproxy", "haproxy -f x", True),
        (plan("haproxy", "-f", param_match="partial"), "haproxy", "haproxy -d x", False),
        # initial: the last one's beginning
        (plan("haproxy", "-f", "/etc", param_match="initial"), "haproxy", "haproxy -f /etc/x", True),
        (plan("haproxy", "-f", "/etc", param_match="initial"), "haproxy", "haproxy -f /usr/x", False),
        (plan("haproxy", "-f", param_match="initial"), "haproxy", "haproxy -f x", False),
        # no parameters, but param_match: it must have none
        (plan("haproxy", param_match="partial"), "haproxy", "haproxy", True),
        (plan("haproxy", param_match="partial"), "haproxy", "haproxy -f", False),
        (plan("haproxy", full_command=True), "other", "haproxy", True),
        (plan("haproxy", full_command=True), "haproxy", "other", False),
    ],
)
def test_matching(wanted: ProcessPlan, comm: str, command_line: str, expected: bool) -> None:
    assert wanted.matches(comm, command_line.split()) is expected


def test_the_first_count_decides_at_once() -> None:
    quorum = Quorum(plan("p", fork_delay_ns=SECOND, terminate_delay_ns=SECOND))
    assert quorum.counted(1, 0)
    assert quorum.up


def test_each_delay_and_what_is_undone() -> None:
    quorum = Quorum(plan("p", quorum=2, fork_delay_ns=2 * SECOND, terminate_delay_ns=SECOND), 2, True)
    assert not quorum.counted(1, 0)
    assert not quorum.counted(2, SECOND // 2)
    assert not quorum.passed(5 * SECOND)
    assert not quorum.counted(1, 10 * SECOND)
    assert quorum.counted(1, 11 * SECOND)
    assert quorum.up is False
    assert not quorum.counted(2, 20 * SECOND)
    assert not quorum.counted(2, 21 * SECOND)
    assert quorum.counted(2, 22 * SECOND)
    assert quorum.up


def test_too_many_are_a_failure_after_the_delay_of_forks() -> None:
    quorum = Quorum(plan("p", quorum_max=1, fork_delay_ns=SECOND), 1, True)
    assert not quorum.counted(2, 0)
    assert quorum.counted(2, SECOND)
    # without a delay at once
    assert quorum.counted(1, SECOND)


def test_none_at_all() -> None:
    quorum = Quorum(plan("p", quorum=0, quorum_max=0))
    quorum.counted(0, 0)
    assert quorum.up
    assert quorum.counted(1, 1)
