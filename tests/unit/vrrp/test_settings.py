# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that are changed while they are needed: told before, put back after, by whoever comes next if need be."""

from __future__ import annotations

import pytest

from _lvs_agent.kernel import sysctl
from _lvs_agent.vrrp.settings import IGMP_REPORTS, Need, Settings

IGNORE = ("net", "ipv4", "conf", "eth0", "arp_ignore")
PATH = "/".join(IGNORE)


class Kernel:
    def __init__(self) -> None:
        self.values = {IGNORE: "0", IGMP_REPORTS: "1"}
        self.told: list[dict[str, str]] = []


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    found = Kernel()
    monkeypatch.setattr(sysctl, "read", lambda key: found.values[key])
    monkeypatch.setattr(sysctl, "exists", lambda key: key in found.values)

    def write(key: tuple[str, ...], value: str) -> None:
        # whatever happens now, somebody knows what it was before
        assert not found.told or found.told[-1].get("/".join(key), value) is not None
        found.values[key] = value

    monkeypatch.setattr(sysctl, "write", write)
    return found


def made(kernel: Kernel) -> Settings:
    return Settings(lambda former: kernel.told.append(dict(former)))


def test_the_last_one_who_needs_it_puts_it_back(kernel: Kernel) -> None:
    settings = made(kernel)
    settings.need("vrrp.51", Need(IGNORE, "1", True))
    settings.need("vrrp.52", Need(IGNORE, "1", True))
    assert (kernel.values[IGNORE], kernel.told) == ("1", [{PATH: "0"}])
    settings.done("vrrp.51")
    assert kernel.values[IGNORE] == "1"
    settings.done("vrrp.52")
    assert (kernel.values[IGNORE], kernel.told[-1]) == ("0", {})


def test_what_is_good_already_is_nobodys_to_put_back(kernel: Kernel) -> None:
    kernel.values[IGNORE] = "2"
    settings = made(kernel)
    settings.need("vrrp.51", Need(IGNORE, "1", True))
    settings.done("vrrp.51")
    assert kernel.values[IGNORE] == "2"
    assert not [told for told in kernel.told if told]


def test_a_process_after_a_crash_puts_back_what_is_not_needed_any_more(kernel: Kernel) -> None:
    made(kernel).need("vrrp.51", Need(IGNORE, "1"), Need(IGMP_REPORTS, "0"))
    again = made(kernel)
    again.adopt(kernel.told[-1])
    again.need("vrrp.51", Need(IGNORE, "1"))
    assert again.settle() == []
    assert kernel.values == {IGNORE: "1", IGMP_REPORTS: "1"}
    again.done("vrrp.51")
    assert kernel.values[IGNORE] == "0"


def test_an_interface_that_is_gone_needs_nothing(kernel: Kernel) -> None:
    settings = made(kernel)
    settings.need("vrrp.51", Need(IGNORE, "1"))
    del kernel.values[IGNORE]
    assert settings.done("vrrp.51") == []
