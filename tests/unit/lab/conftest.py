# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small lab to ask about, and a cache directory that is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from _lab.plan import Host, Nic, Plan, make_plan


@pytest.fixture
def plan() -> Plan:
    """A director and a real server that serves, behind a router that the lab plays, and a client."""
    hosts = [
        Host("lvs01", (Nic("ens33", ("192.0.2.1/24",), gateway="192.0.2.254"),), aliases=("192.0.2.1",)),
        Host("web01", (Nic("ens33", ("192.0.2.11/24", "fd00::11/64")), Nic("ens37")), web_ports=(80, 8080)),
        Host("client", (Nic("eth0", ("192.0.2.200/24",)),), lab_only=True),
    ]
    return make_plan("t", hosts, "/images/base.img")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the lab's files for this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "linuxha-lvs"
