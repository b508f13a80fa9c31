# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces of a machine, as far as checks need them."""

from __future__ import annotations

import typing as t


class Interface(t.NamedTuple):
    """``addresses`` are ADDRESS/LENGTH each.

    ``trouble`` is why it is of no use now, "" when it is up. ``own`` are those addresses that no VRRP daemon can have
    added.
    """

    addresses: t.Sequence[str] = ()
    trouble: str = ""
    own: t.Collection[str] = ()


Interfaces = t.Mapping[str, Interface]
