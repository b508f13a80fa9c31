# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``use_vmac`` and ``use_vmac_addr``: which virtual MAC interfaces an instance needs, and what is on them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..conf import model
from .plan import Holding, Vmac

Words = Mapping[str, Any]

# the IANA's address blocks for virtual routers (RFC 9568 section 7.3)
_BLOCKS = {4: "00:00:5e:00:01", 6: "00:00:5e:00:02"}
_PREFIX = "vrrp"


def own(given: Words, said: Words, vrid: int, family: int) -> Vmac | None:
    """The one of ``use_vmac``, which has the adverts; None without the word."""
    value = given.get("use_vmac")
    if value is None or value is False:
        return None
    name = _name(str(said.get("vmac_prefix", _PREFIX)), vrid, family)
    mac = f"{_BLOCKS[family]}:{vrid:02x}"
    words = [] if value is True else str(value).split()
    for word in words:
        if ":" in word:
            mac = word if word.count(":") == 5 else f"{word}:{vrid:02x}"
        elif word not in ("name", "netlink_notify_msg", "group"):
            name = word
    xmit_base = model.is_on(given.get("vmac_xmit_base"))
    return Vmac(name, bytes.fromhex(mac.replace(":", "")), xmit_base, str(given.get("interface")))


class More:
    """Those of addresses that are elsewhere, or of the other family: keepalived.conf(5), ``use_vmac_addr``.

    ``vmacs`` are those needed so far, in order.
    """

    def __init__(self, given: Words, said: Words, vrid: int, family: int, vmac: Vmac | None) -> None:
        self._all = model.is_on(given.get("use_vmac_addr"))
        self._prefix = str(said.get("vmac_addr_prefix", said.get("vmac_prefix", _PREFIX)))
        self._interface = str(given.get("interface"))
        self._vrid, self._family, self._vmac = vrid, family, vmac
        self._by_place: dict[tuple[str, int], Vmac] = {}

    @property
    def vmacs(self) -> tuple[Vmac, ...]:
        """In the order in which they were found to be needed."""
        return tuple(self._by_place.values())

    def placed(self, holdings: Iterable[Holding]) -> tuple[Holding, ...]:
        """The same addresses, each with the virtual MAC interface that it goes to."""
        return tuple(map(self._placed, holdings))

    def _placed(self, holding: Holding) -> Holding:
        family = 4 if len(holding.address) == 4 else 6
        if holding.interface == self._interface and self._vmac is not None and family == self._family:
            return holding
        if not (self._all or (holding.on_vmac and holding.interface != self._interface)):
            # on the instance's own one, whatever its family, as keepalived has it; or on none
            return holding
        place = (holding.interface, family)
        if place not in self._by_place:
            self._by_place[place] = self._another(*place)
        return replace(holding, on_vmac=False, own_vmac=self._by_place[place].name)

    def _another(self, base: str, family: int) -> Vmac:
        taken = {vmac.name for vmac in (*self._by_place.values(), *filter(None, (self._vmac,)))}
        names = [_name(self._prefix, self._vrid, family)]
        names += [f"{self._prefix}{number}.{self._vrid}" for number in range(1, len(taken) + 2)]
        name = next(name for name in names if name not in taken)
        return Vmac(name, bytes.fromhex(f"{_BLOCKS[family]}:{self._vrid:02x}".replace(":", "")), True, base)


def _name(prefix: str, vrid: int, family: int) -> str:
    return f"{prefix}.{vrid}" if family == 4 else f"{prefix}6.{vrid}"
