# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel: whole messages in order, bounded, and never waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from _lvs_agent.supervisor.channel import Channel, pair
from _lvs_agent.vrrp import messages
from _lvs_agent.vrrp.messages import ChannelClosed, Heartbeat, Ready, Remark

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = pair()
    yield both
    for one in both:
        one.close()


def remark(size: int) -> Remark:
    return Remark(20, "VI", "x" * size, 0)


def drained(sender: Channel, receiver: Channel) -> list[object]:
    found: list[object] = []
    while True:
        found += receiver.receive()
        if sender.flush():
            return found + receiver.receive()


def test_messages_of_any_size_arrive_whole_and_in_order(ends: Ends) -> None:
    supervisor, vrrp = ends
    sent = [Ready(), remark(3_000_000), Heartbeat(1, 0), remark(59_990), remark(60_000), remark(0)]
    for message in sent:
        supervisor.send(message)
    assert supervisor.wants_write
    assert drained(supervisor, vrrp) == sent
    assert not supervisor.wants_write


def test_nothing_arrives_without_waiting(ends: Ends) -> None:
    _supervisor, vrrp = ends
    assert vrrp.receive() == []


def test_the_process_drops_what_can_be_told_again_and_keeps_the_rest(ends: Ends) -> None:
    supervisor, vrrp = ends
    for number in range(100):
        vrrp.send(remark(100_000))
        vrrp.send(messages.AlarmRaised("VI", "two_masters", "", str(number), 0))
    received = drained(vrrp, supervisor)
    alarms = [message for message in received if isinstance(message, messages.AlarmRaised)]
    assert [alarm.detail for alarm in alarms] == [str(number) for number in range(100)]
    assert vrrp.dropped == 200 - len(received) > 80


def test_the_end_comes_after_the_last_words(ends: Ends) -> None:
    supervisor, vrrp = ends
    supervisor.send(Ready())  # never read: the kernel reports a reset for it
    vrrp.send(Heartbeat(1, 0))
    vrrp.close()
    assert supervisor.receive() == [Heartbeat(1, 0)]
    with pytest.raises(ChannelClosed):
        supervisor.receive()
    supervisor.send(Ready())
    assert supervisor.flush()


def test_a_message_of_another_version_is_counted_and_left_out(ends: Ends) -> None:
    supervisor, vrrp = ends
    vrrp.sock.send(b".no pickle")
    vrrp.sock.send(b".cos\nno_such_function\n.")
    vrrp.send(Ready())
    assert supervisor.receive() == [Ready()]
    assert supervisor.undecodable == 2
