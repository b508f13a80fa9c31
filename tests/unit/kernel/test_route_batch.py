# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many addresses deleted at once: a refusal ends the kernel's batch, not ours."""

from __future__ import annotations

import errno
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.kernel import route_messages as m
from _lvs_agent.kernel.netlink import Refusal
from _lvs_agent.kernel.route import RouteSocket

ADDRESSES = [m.AddressInfo(2, bytes((10, 0, 0, number)), 24) for number in range(12)]


class Kernel:
    """NetlinkSocket.batch as its docstring has it, with so many orders in a datagram."""

    def __init__(self, absent: set[int], busy: set[int], portion: int) -> None:
        self.packed = {m.pack_address(one): number for number, one in enumerate(ADDRESSES)}
        self.absent, self.busy, self.portion = absent, busy, portion
        self.gone: set[int] = set()

    def batch(self, kind: int, payloads: list[bytes], subject: str) -> list[Refusal]:
        assert kind == m.RTM_DELADDR
        assert subject
        for start in range(0, len(payloads), self.portion):
            refused = []
            for position, payload in enumerate(payloads[start : start + self.portion], start):
                number = self.packed[payload]
                if number in self.busy:
                    refused.append(Refusal(position, errno.EPERM, ""))
                elif number in self.absent or number in self.gone:
                    refused.append(Refusal(position, errno.EADDRNOTAVAIL, ""))
                self.gone.add(number)
            if refused:
                return refused
        return []


@given(st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)), st.integers(1, 5))
def test_all_that_can_go_goes_and_refusals_are_told(absent: set[int], busy: set[int], portion: int) -> None:
    kernel: Any = Kernel(absent, busy, portion)
    socket = RouteSocket.__new__(RouteSocket)
    socket._netlink = kernel
    refused = socket.delete_addresses(ADDRESSES)
    assert kernel.gone == set(range(12))
    assert [one for one, _why in refused] == [ADDRESSES[number] for number in sorted(busy)]
    assert all("10.0.0." in why and "not permitted" in why for _one, why in refused)
