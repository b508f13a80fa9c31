# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""What the inventory dr-single-nic promises, written down by hand."""

from __future__ import annotations

from vrrp_site import VrrpSite

from _lab.plan import Plan

DIRECTORS = ("lvs01", "lvs02", "lvs03")
REAL_SERVERS = {"web01", "web02"}
PRIORITY = {"lvs01": 100, "lvs02": 80, "lvs03": 60}
ADDRESS = {"lvs01": "192.168.116.130", "lvs02": "192.168.116.135", "lvs03": "192.168.116.136"}
ENGINES = ("agent", "keepalived")


def site_of(plan: Plan) -> VrrpSite:
    return VrrpSite(plan, "dr-single-nic", DIRECTORS, "192.168.116.134", 80)


def serves(site: VrrpSite, host: str) -> bool:
    """It has the VIP alone, and both real servers answer."""
    return site.holders() == [host] and set(site.answers()) == REAL_SERVERS
