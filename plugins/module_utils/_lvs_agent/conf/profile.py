# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles of a director: ``compatible`` is keepalived's defaults, ``fast`` fills in what makes a failover short.

With ``fast``, VRRPv3 adverts come every 100 ms and priorities are near the top, so that a backup takes over after
three of them and a short skew: 3 × 100 ms + (256 - 240) / 256 × 100 ms = 306 ms (RFC 5798, 6.1). What a site says
always wins over the profile.
"""

from __future__ import annotations

import typing as t

COMPATIBLE = "compatible"
FAST = "fast"
PROFILES = (COMPATIBLE, FAST)

_HIGHEST_PRIORITY = 250  # 255 is the owner of the address; room above for track_script weights
_STEP = 10
SHORT_SKEW = 200  # from this priority on, a backup waits less than a quarter of an advert

_GLOBAL_DEFS: t.Mapping[str, t.Any] = {
    "vrrp_version": 3,
    "vrrp_garp_master_delay": 1,  # the second round of gratuitous ARP, for switches that missed the first
    "vrrp_garp_master_refresh": 60,
}
_ADVERT_INT = 0.1
_VIRTUAL_SERVER: t.Mapping[str, t.Any] = {
    "delay_loop": 2,
    "connect_timeout": 2,
    "delay_before_retry": 1,
    "alpha": True,
    "rise": 2,
}
_RETRY, _FALL = 1, 2  # the same, in keepalived's word and in ours

Fields = dict[str, t.Any]


def fast_globals(given: t.Mapping[str, t.Any]) -> Fields:
    """``global_defs`` with the profile's words where the site has none."""
    return {**_GLOBAL_DEFS, **given}


def fast_instance(given: t.Mapping[str, t.Any], global_defs: t.Mapping[str, t.Any], rank: int) -> Fields:
    """A ``vrrp_instance`` of the director that is number ``rank`` of its site, from 0."""
    found = {"priority": max(1, _HIGHEST_PRIORITY - _STEP * rank), **given}
    if str(given.get("version", global_defs.get("vrrp_version"))) == "3":  # VRRPv2 knows whole seconds only
        found.setdefault("advert_int", _ADVERT_INT)
    return found


def fast_virtual_server(given: t.Mapping[str, t.Any]) -> Fields:
    """A ``virtual_server``; retry and fall say the same, so neither is set where the site has one of them."""
    found = {**_VIRTUAL_SERVER, **given}
    if not _says(given, ("retry", "fall")):
        found.update(retry=_RETRY, fall=_FALL)
    return found


def _says(value: t.Any, words: t.Collection[str]) -> bool:
    """One of the words is somewhere in a block or in the blocks within."""
    if isinstance(value, t.Mapping):
        return any(key in words or _says(item, words) for key, item in value.items())
    return isinstance(value, (list, tuple)) and any(_says(item, words) for item in value)
