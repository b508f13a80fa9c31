# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down: changes of priority and fitness for people, and files that outlive a loss of power."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from _lvs_agent.control.events import Events
from _lvs_agent.lvs.overrides import Drain, Overrides
from _lvs_agent.supervisor import files
from _lvs_agent.supervisor.journal import Journal
from _lvs_agent.supervisor.lvs_files import LvsFiles
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.messages import PriorityChanged


@pytest.mark.parametrize(
    "now, faults, event, log",
    [
        (80, (), ("priority", "100 -> 80"), "V: priority 100 -> 80"),
        (80, ("x is down",), ("priority", "100 -> 80, x is down"), "V: priority 100 -> 80, x is down"),
        (100, ("x is down", "y is"), ("fault", "x is down; y is"), "V: unfit: x is down; y is"),
        (100, (), ("fault", "no fault is left"), "V: no fault is left"),
    ],
)
def test_a_priority_that_stays_is_not_told_as_changed(
    now: int, faults: tuple[str, ...], event: tuple[str, str], log: str, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(Events(None))
    with caplog.at_level(logging.INFO):
        journal.heard(PriorityChanged("V", now, 100, State.FAULT, faults, 1))
    assert caplog.messages == [log]
    (written,) = journal.events.last(10)
    assert (written["kind"], written["cause"]) == event


def test_what_must_outlive_a_loss_of_power_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def syncing(handle: int) -> None:
        done.append(f"fsync {os.path.basename(os.readlink(f'/proc/self/fd/{handle}')).split('.')[0]}")
        fsync(handle)

    def replacing(draft: str, path: str) -> None:
        done.append("rename")
        replace(draft, path)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "replace", replacing)
    state = tmp_path / "state"
    state.mkdir()
    kept = LvsFiles(str(tmp_path), str(state), "boot")
    kept.keep_drains(Overrides().with_drain(Drain("", "10.0.0.1:80", 1)))
    assert done == ["fsync drains", "rename", "fsync state"]
    assert kept.drains().of("any")["10.0.0.1:80"].since_ns == 1
    done.clear()
    files.replace(str(tmp_path / "of-this-boot"), b"x", 0o600)
    assert done == ["rename"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["of-this-boot", "state"]
