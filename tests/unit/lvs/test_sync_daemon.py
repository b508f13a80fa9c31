# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which synchronisation daemons run, and how those that do become others."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace

import pytest

from _lvs_agent.kernel.errors import KernelError
from _lvs_agent.kernel.ipvs_types import STATE_BACKUP, STATE_MASTER, Daemon, Timeouts
from _lvs_agent.lvs.plan import SyncDaemonPlan
from _lvs_agent.lvs.sync_daemon import SyncDaemons, orders, set_timeouts, wanted

PLAN = SyncDaemonPlan("eth0", "VI_1", sync_id=51)
MASTER, BACKUP = Daemon(STATE_MASTER, "eth0", 51), Daemon(STATE_BACKUP, "eth0", 51)
# what the kernel chose
RUNS = replace(MASTER, sync_maxlen=1472, mcast_group="224.0.0.81", mcast_port=8848, mcast_ttl=1)


class Kernel:
    def __init__(self, *daemons: Daemon) -> None:
        self.running = {one.state: one for one in daemons}
        self.done: list[str] = []
        self.refuse = False
        self.now = Timeouts(900, 120, 300)

    def daemons(self) -> list[Daemon]:
        return list(self.running.values())

    def start_daemon(self, daemon: Daemon) -> None:
        if self.refuse:
            raise KernelError(errno.ENODEV, "sync daemon", "there is no interface eth0")
        assert daemon.state not in self.running
        self.running[daemon.state] = daemon
        self.done.append(f"start {daemon.state}")

    def stop_daemon(self, state: int) -> None:
        del self.running[state]
        self.done.append(f"stop {state}")

    def timeouts(self) -> Timeouts:
        return self.now

    def set_timeouts(self, timeouts: Timeouts) -> None:
        self.now = timeouts


def test_wanted() -> None:
    assert wanted(None, ["VI_1"]) == ()
    assert wanted(PLAN, []) == wanted(PLAN, ["VI_2"]) == (BACKUP,)
    assert wanted(PLAN, ["VI_1", "VI_2"]) == (MASTER,)
    assert wanted(replace(PLAN, instance=""), []) == (MASTER, BACKUP)
    full = SyncDaemonPlan("eth0", "", 7, 1000, 9000, 2, "ff02::1")
    assert wanted(full, [])[0] == Daemon(STATE_MASTER, "eth0", 7, 1000, "ff02::1", 9000, 2)


@pytest.mark.parametrize(
    "want, running",
    [
        (MASTER, RUNS),
        (replace(MASTER, sync_maxlen=1472, mcast_port=8848), RUNS),
        (replace(BACKUP, sync_maxlen=900), replace(BACKUP, sync_maxlen=1024)),
        (
            replace(MASTER, sync_maxlen=65507, mcast_group="ff02::1"),
            replace(RUNS, sync_maxlen=65487, mcast_group="ff02::1"),
        ),
    ],
)
def test_what_runs_as_it_should_is_left_alone(want: Daemon, running: Daemon) -> None:
    assert orders([running], [want]) == ([], [])


@pytest.mark.parametrize(
    "want",
    [
        replace(MASTER, mcast_ifn="eth1"),
        replace(MASTER, sync_id=52),
        replace(MASTER, mcast_ttl=2),
        replace(MASTER, sync_maxlen=900),
    ],
)
def test_other_settings_are_another_daemon(want: Daemon) -> None:
    assert orders([RUNS], [want]) == ([STATE_MASTER], [want])


def test_it_follows_the_instance() -> None:
    kernel, syncing = Kernel(), SyncDaemons()
    for masters in ([], ["VI_1"], ["VI_1"], []):
        assert syncing.apply(kernel, wanted(PLAN, masters))
    assert kernel.done == ["start 2", "stop 2", "start 1", "stop 1", "start 2"]
    assert syncing.apply(kernel, ())
    assert kernel.daemons() == []


def test_daemons_of_somebody_else_stay_while_we_want_none() -> None:
    kernel = Kernel(RUNS)
    assert SyncDaemons().apply(kernel, ())
    assert kernel.daemons() == [RUNS]


def test_an_error_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    kernel, syncing = Kernel(), SyncDaemons()
    kernel.refuse = True
    with caplog.at_level(logging.ERROR):
        assert not syncing.apply(kernel, [MASTER])
        assert not syncing.apply(kernel, [MASTER])
    assert (len(caplog.messages), "eth0" in syncing.error) == (1, True)
    kernel.refuse = False
    assert syncing.apply(kernel, [MASTER])
    assert syncing.error == ""


def test_timeouts() -> None:
    kernel = Kernel()
    assert not set_timeouts(kernel, None)
    assert not set_timeouts(kernel, Timeouts(900, 0, 300))
    assert set_timeouts(kernel, Timeouts(800, 0, 0))
