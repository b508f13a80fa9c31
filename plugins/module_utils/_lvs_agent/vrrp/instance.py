# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VRRP instance's parameters, resolved: what the configuration says after every default has been filled in."""

from __future__ import annotations

from dataclasses import dataclass, field

from .packet import AUTH_NONE, GROUP4, ChecksumForm

SECOND = 1_000_000_000
#: An interval's unit on the wire, hundredths of a second, in nanoseconds.
CENTISECOND = SECOND // 100
OWNER = 255
#: Where adverts go without unicast_peer, packed (RFC 9568 section 5.1).
GROUPS = {4: GROUP4, 16: bytes.fromhex("ff020000000000000000000000000012")}


@dataclass(frozen=True)
class Peer:
    """A ``unicast_peer``, and the TTLs its adverts may arrive with."""

    address: bytes
    min_ttl: int = 0
    max_ttl: int = 255


@dataclass(frozen=True)
class Instance:
    """A ``vrrp_instance``; fields are keepalived's words, defaults its own, times nanoseconds, addresses packed.

    ``source`` is the address adverts come from; it decides the family. ``addresses`` are those of
    ``virtual_ipaddress`` in the advert's order, without the excluded ones. ``priority`` is the configured one; what
    tracking makes of it is told to the machine.
    ``accept_old_checksum``: an advert may have ChecksumForm.OLD_UNICAST, too.
    """

    name: str
    vrid: int
    source: bytes
    addresses: tuple[bytes, ...]
    version: int = 2
    priority: int = 100
    advert_int: int = SECOND
    unicast_peers: tuple[Peer, ...] = ()
    unicast_ttl: int = 255
    multicast_group: bytes = b""
    check_unicast_src: bool = False
    auth_type: int = AUTH_NONE
    auth_data: bytes = field(default=bytes(8), repr=False)
    checksum_form: ChecksumForm = ChecksumForm.PSEUDO_HEADER
    accept_old_checksum: bool = False
    nopreempt: bool = False
    preempt_delay: int = 0
    startup_delay: int = 0
    down_timer_adverts: int = 3
    garp_master_delay: int = 5 * SECOND
    garp_master_repeat: int = 5
    garp_master_refresh: int = 0
    garp_master_refresh_repeat: int = 1
    garp_lower_prio_delay: int = 5 * SECOND
    garp_lower_prio_repeat: int = 5
    lower_prio_no_advert: bool = False
    # keepalived's default is off; but without it the winner of a healed split may never learn that it has to announce
    higher_prio_send_advert: bool = True

    @property
    def owner(self) -> bool:
        """Whether it owns its addresses, so that nothing but a fault takes them away (RFC 9568 section 6.1)."""
        return self.priority == OWNER

    @property
    def destinations(self) -> tuple[bytes, ...]:
        """Where its adverts go: the peers, or the group of its family."""
        if self.unicast_peers:
            return tuple(peer.address for peer in self.unicast_peers)
        return (self.multicast_group or GROUPS[len(self.source)],)


def auth_data(password: str) -> bytes:
    """The 8 bytes of an ``auth_pass``: cut or filled up with zeros, as keepalived does."""
    return password.encode()[:8].ljust(8, b"\0")
