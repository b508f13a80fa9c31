# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mistyped name is answered with."""

from __future__ import annotations

from _lvs_agent.spelling import closest, nearest


def test_the_nearest_whatever_its_case() -> None:
    assert closest("vip_ens3", ["ens33", "VIP_ENS33", "lo"]) == "VIP_ENS33"
    assert nearest("rrr", ["rr", "wlc"]) == "did you mean rr?"


def test_a_name_that_is_near_none_is_answered_with_all_unless_they_are_many() -> None:
    assert closest("xyz", ["udp", "tcp"]) == ""
    assert nearest("xyz", ["udp", "tcp"]) == "it can be tcp, udp"
    assert nearest("xyz", [f"name{number}" for number in range(17)]) == ""


def test_how_alike_may_be_asked_for() -> None:
    assert closest("director_packges", ["director_packages"], 0.92) == "director_packages"
    assert closest("director_package_list", ["director_packages"], 0.92) == ""


def test_a_long_word_or_a_long_list_costs_no_time() -> None:
    assert closest("x" * 10_000_000, ["rr"]) == ""
    assert closest("rr", (f"rr{number}" for number in range(100_000))) == ""
