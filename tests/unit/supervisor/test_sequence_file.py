# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequence numbers of signed adverts over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from _lvs_agent.supervisor.sequence_file import SequenceFile
from _lvs_agent.vrrp.ah import Sequence, first_sequence
from _lvs_agent.vrrp.errors import PacketError
from _lvs_agent.vrrp.messages import SequencesHeard
from _lvs_agent.vrrp.plan import Identity

NOW = 1_800_000_000
VI, OTHER = Identity(51, 4, "eth0", ""), Identity(52, 4, "eth0", "192.0.2.1")
PEER, THIRD = bytes((192, 0, 2, 2)), bytes((192, 0, 2, 3))


def file(path: Path, now: float = NOW) -> SequenceFile:
    return SequenceFile(str(path / "ah.json"), lambda: now)


def test_the_adverts_of_yesterday_are_old_after_a_restart(tmp_path: Path) -> None:
    before = Sequence(first_sequence(NOW - 86400))
    for number in (before.last + 5, before.last + 6):
        before.accept(number, PEER)
    assert before.news
    kept = file(tmp_path)
    kept.add(SequencesHeard(VI, before.heard()))
    kept.add(SequencesHeard(OTHER, ((THIRD, 7),)))
    assert not before.news
    (mine, _other) = file(tmp_path).heard()
    assert mine == SequencesHeard(VI, ((PEER, before.last),))
    after = Sequence(first_sequence(NOW), mine.numbers)
    assert after.last == first_sequence(NOW)
    with pytest.raises(PacketError, match="was here before"):
        after.accept(before.last, PEER)
    after.accept(before.last + 1, PEER)
    # of another router nothing is known
    after.accept(1, THIRD)


def test_a_clock_that_was_set_back_still_sends_higher_numbers(tmp_path: Path) -> None:
    file(tmp_path).add(SequencesHeard(VI, ((PEER, first_sequence(NOW)),)))
    (known,) = file(tmp_path, NOW - 3600).heard()
    assert Sequence(first_sequence(NOW - 3600), known.numbers).next() > first_sequence(NOW)


def test_numbers_of_a_wrong_clock_make_nobody_deaf(tmp_path: Path) -> None:
    file(tmp_path).add(SequencesHeard(VI, ((PEER, first_sequence(NOW + 10 * 86400)), (THIRD, 5))))
    assert file(tmp_path).heard() == (SequencesHeard(VI, ((THIRD, 5),)),)


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[[51, 4, \"eth0\", \"\", {\"zz\": 1}]]", "[[]]", "\0"])
def test_what_is_no_such_file(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ah.json").write_text(content)
    assert file(tmp_path).heard() == ()
    assert content == "{}" or "are accepted" in caplog.text


def test_it_is_bounded_and_a_failure_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = file(tmp_path / "no")
    for number in range(600):
        kept.add(SequencesHeard(Identity(number % 256, 4, f"eth{number}", ""), ((PEER, 1),)))
    assert len(kept.heard()) == 512
    assert len(caplog.records) == 1
