# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a packet to an advert that this instance may act on, or the reason why not (RFC 9568 section 7.1)."""

from __future__ import annotations

from . import ah
from .errors import PacketError, Reason
from .instance import CENTISECOND, Instance
from .ip import PROTO_AH, PROTO_VRRP, TTL, Datagram, parse_ipv4
from .packet import AUTH_AH, AUTH_PASS, Advert, decode


class Receiver:
    """Reads one instance's adverts; ``sequence`` is the one its Transmitter has, too.

    A master repeats itself: what equals the last good packet but for the fields that a sender counts up is that
    advert, the same object, without another look at it.
    """

    def __init__(self, instance: Instance, sequence: ah.Sequence) -> None:
        self._instance = instance
        self._sequence = sequence
        self._peers = {peer.address: peer for peer in instance.unicast_peers}
        self._advert: Advert | None = None
        self._seen: tuple[bytes, bytes, bytes] | Datagram | None = None

    def ipv4(self, packet: bytes) -> Advert:
        """The advert in a packet as a raw IPv4 socket delivers it. Raises PacketError."""
        # all but the identification and the header's checksum
        key = (packet[:4], packet[6:10], packet[12:])
        if self._advert is not None and key == self._seen:
            return self._advert
        advert = self._admit(parse_ipv4(packet))
        self._remember(key, advert)
        return advert

    def ipv6(self, datagram: Datagram) -> Advert:
        """The advert in what a raw IPv6 socket delivers and tells in its ancillary data. Raises PacketError."""
        if self._advert is not None and datagram == self._seen:
            return self._advert
        advert = self._admit(datagram)
        self._remember(datagram, advert)
        return advert

    def _remember(self, key: tuple[bytes, bytes, bytes] | Datagram, advert: Advert) -> None:
        """For the next packet; a signed one is never the same twice."""
        if advert.auth_type != AUTH_AH:
            self._advert, self._seen = advert, key

    def _admit(self, datagram: Datagram) -> Advert:
        instance = self._instance
        self._check_sender(datagram)
        signed = instance.auth_type == AUTH_AH
        if datagram.protocol != (PROTO_AH if signed else PROTO_VRRP):
            raise PacketError(
                Reason.IP_PROTOCOL,
                f"protocol {datagram.protocol}, expected {PROTO_AH if signed else PROTO_VRRP}",
                datagram.source,
            )
        message = datagram.payload
        if signed:
            unicast = bool(instance.unicast_peers)
            message = ah.verify(datagram, instance.auth_data, self._sequence, unicast=unicast)
        old = instance.accept_old_checksum
        advert = decode(message, datagram.source, datagram.destination, datagram.ttl, old=old)
        self._check_instance(advert)
        return advert

    def _check_sender(self, datagram: Datagram) -> None:
        """TTL 255 in multicast; in unicast the TTLs given for the peer, and that it is one, if asked for."""
        if not self._peers:
            if datagram.ttl != TTL:
                raise PacketError(
                    Reason.IP_TTL, f"TTL {datagram.ttl}, {TTL} proves that no router was passed", datagram.source
                )
            return
        peer = self._peers.get(datagram.source)
        if peer is None:
            if self._instance.check_unicast_src:
                raise PacketError(Reason.SOURCE, "its source is no unicast_peer", datagram.source)
        elif not peer.min_ttl <= datagram.ttl <= peer.max_ttl:
            raise PacketError(
                Reason.IP_TTL, f"TTL {datagram.ttl}, expected {peer.min_ttl} to {peer.max_ttl}", datagram.source
            )

    def _check_instance(self, advert: Advert) -> None:
        """Version, VRID, authentication, and version 2's interval. A list of other addresses is not rejected."""
        instance, source = self._instance, advert.source
        if advert.version != instance.version:
            raise PacketError(
                Reason.VERSION, f"VRRP version {advert.version}, expected {instance.version}", source
            )
        if advert.vrid != instance.vrid:
            raise PacketError(Reason.VRID, f"VRID {advert.vrid}, expected {instance.vrid}", source)
        if advert.version == 3:
            return
        if advert.auth_type != instance.auth_type:
            raise PacketError(
                Reason.AUTH_TYPE_MISMATCH,
                f"authentication type {advert.auth_type}, expected {instance.auth_type}",
                source,
            )
        if advert.auth_type == AUTH_PASS and advert.auth_data != instance.auth_data:
            raise PacketError(Reason.AUTH_FAILURE, "another password", source)
        if advert.interval_cs * CENTISECOND != instance.advert_int:
            raise PacketError(
                Reason.ADVERT_INTERVAL,
                f"it says one advert in {advert.interval_cs // 100} s, advert_int is "
                f"{instance.advert_int // (100 * CENTISECOND)} s: VRRPv2 needs them to be equal",
                source,
            )
