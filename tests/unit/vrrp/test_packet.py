# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adverts as bytes: laid out by hand from the RFCs, as keepalived sent them, and any bytes at all."""

from __future__ import annotations

import hmac
import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.vrrp import ah, checksum
from _lvs_agent.vrrp.errors import PacketError, Reason
from _lvs_agent.vrrp.instance import GROUPS, SECOND, Instance, Peer, auth_data
from _lvs_agent.vrrp.ip import PROTO_AH, PROTO_VRRP, Datagram, pack_ipv4, parse_ipv4
from _lvs_agent.vrrp.packet import AUTH_AH, AUTH_PASS, Advert, ChecksumForm, decode, encode
from _lvs_agent.vrrp.receive import Receiver
from _lvs_agent.vrrp.transmit import Transmitter
from tests.unit.vrrp import captured
from tests.unit.vrrp.captured import packed

SOURCE, GROUP = packed("192.0.2.1"), GROUPS[4]
SOURCE6, GROUP6 = packed("fe80::1"), GROUPS[16]
VIP, VIP6 = packed("192.0.2.100"), packed("2001:db8::64")

V2 = Advert(2, 51, 100, 100, (VIP,), SOURCE, GROUP)
V3 = Advert(3, 51, 100, 100, (VIP,), SOURCE, GROUP)
V3_6 = Advert(3, 51, 100, 100, (VIP6,), SOURCE6, GROUP6)


class TestLayout:
    """RFC 3768 section 5.3 and RFC 9568 section 5.2, the checksums added up by hand."""

    def test_version_2(self) -> None:
        # 0x2133 + 0x6401 + 0x0001 + 0xc000 + 0x0264 = 0x14799, folded 0x479a
        assert encode(V2) == bytes.fromhex("2133 6401 0001 b865 c0000264") + bytes(8)

    def test_version_2_password_is_inside_the_checksum(self) -> None:
        # + 0x7365 + 0x6372 + 0x6574 ("secret")
        message = encode(V2._replace(auth_type=AUTH_PASS, auth_data=b"secret\0\0"))
        assert message == bytes.fromhex("2133 6401 0101 7b19 c0000264") + b"secret\0\0"

    def test_version_3_with_pseudo_header(self) -> None:
        # 0x3133 + 0x6401 + 0x0064 + 0xc000 + 0x0264 = 0x157fc, folded 0x57fd; the pseudo-header is
        # 0xc000 + 0x0201 + 0xe000 + 0x0012 + 0x0070 + 0x000c = 0x1a28f, folded 0xa290; together 0xfa8d
        assert encode(V3) == bytes.fromhex("3133 6401 0064 0572 c0000264")

    def test_version_3_as_rfc_9568_has_it(self) -> None:
        assert encode(V3, ChecksumForm.MESSAGE) == bytes.fromhex("3133 6401 0064 a802 c0000264")

    def test_version_3_on_ipv6_has_one_form(self) -> None:
        message = encode(V3_6)
        assert message[8:] == VIP6
        assert encode(V3_6, ChecksumForm.MESSAGE) == message
        covered = checksum.pseudo_header(SOURCE6, GROUP6, PROTO_VRRP, len(message)) + message
        assert checksum.checksum(covered) == 0

    def test_version_3_interval_has_12_bits(self) -> None:
        assert encode(V3._replace(interval_cs=4095))[4:6] == b"\x0f\xff"
        reserved = bytearray(encode(V3, ChecksumForm.MESSAGE))
        reserved[4] |= 0xF0
        reserved[6:8] = checksum.with_word(int.from_bytes(reserved[6:8], "big"), 0xF000).to_bytes(2, "big")
        assert decode(bytes(reserved), SOURCE, GROUP, 255).interval_cs == 100

    @pytest.mark.parametrize(
        "advert",
        [V2._replace(interval_cs=50), V2._replace(interval_cs=25600), V3._replace(interval_cs=4096)],
    )
    def test_an_interval_the_version_cannot_say(self, advert: Advert) -> None:
        with pytest.raises(ValueError, match="hundredths of a second"):
            encode(advert)

    def test_too_many_addresses(self) -> None:
        with pytest.raises(ValueError, match="256 addresses"):
            encode(V3._replace(addresses=(VIP,) * 256))


def adverts() -> st.SearchStrategy[Advert]:
    def of_size(size: int) -> st.SearchStrategy[Advert]:
        address = st.binary(min_size=size, max_size=size)
        return st.builds(
            Advert,
            version=st.sampled_from([2, 3]),
            vrid=st.integers(1, 255),
            priority=st.integers(0, 255),
            interval_cs=st.integers(1, 40).map(lambda seconds: seconds * 100),
            addresses=st.lists(address, max_size=20).map(tuple),
            source=address,
            destination=address,
            ttl=st.just(255),
            auth_type=st.just(0),
            auth_data=st.just(bytes(8)),
        )

    return st.sampled_from([4, 16]).flatmap(of_size)


@given(adverts(), st.sampled_from(ChecksumForm), st.binary(max_size=30))
def test_adverts_come_back_whatever_pads_the_frame(advert: Advert, form: ChecksumForm, padding: bytes) -> None:
    message = encode(advert, form)
    old = form is ChecksumForm.OLD_UNICAST
    assert decode(message + padding, advert.source, advert.destination, 255, old=old) == advert


@given(adverts(), st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(advert: Advert, where: int, change: int) -> None:
    """But for one: 0x0000 and 0xffff are the same to the checksum, and version 3's two forms could coincide."""
    message = bytearray(encode(advert))
    message[where % len(message)] ^= change
    try:
        decoded = decode(bytes(message), advert.source, advert.destination, 255)
    except PacketError:
        return
    assert decoded != advert
    assert len(advert.source) == 4
    assert advert.version == 3


@pytest.mark.parametrize("name", captured.NAMES)
def test_keepalived_is_understood_and_imitated_to_the_byte(name: str) -> None:
    instance, packets = captured.load(name)
    priorities = []
    for packet in packets:
        sequence = ah.Sequence()
        receiver, transmitter = Receiver(instance, sequence), Transmitter(instance, sequence)
        if captured.is_ipv6(packet):
            datagram = Datagram(packet[8:24], packet[24:40], packet[7], packet[6], packet[40:])
            advert, start = receiver.ipv6(datagram), 40
        else:
            datagram, start = parse_ipv4(packet), 0
            advert = receiver.ipv4(packet)
            sequence.last -= 1
            for _earlier in range(int.from_bytes(packet[4:6], "big") - 1):
                transmitter.packets(advert.priority)
                sequence.last -= instance.auth_type == AUTH_AH
        assert (advert.vrid, advert.addresses) == (instance.vrid, instance.addresses)
        assert advert.interval_cs * SECOND // 100 == instance.advert_int
        sent = dict(transmitter.packets(advert.priority))
        assert bytes(sent[advert.destination]) == packet[start:]
        priorities.append(advert.priority)
    assert {*priorities} == {instance.priority, 0}


class TestTransmitter:
    INSTANCE = Instance("VI", 51, SOURCE, (VIP,))

    @given(
        st.lists(st.integers(0, 255), max_size=4), st.sampled_from(captured.NAMES), st.sampled_from(ChecksumForm)
    )
    def test_patched_packets_equal_new_ones(self, priorities: list[int], name: str, form: ChecksumForm) -> None:
        instance = replace(captured.load(name).instance, checksum_form=form)
        used = Transmitter(instance, ah.Sequence())
        for priority in priorities:
            for destination, packet in used.packets(priority):
                raw = bytes(packet)
                if len(destination) == 4:
                    assert checksum.checksum(raw[:20]) == 0
                    datagram = parse_ipv4(raw)
                    message = datagram.payload[ah.BYTES :] if datagram.protocol == PROTO_AH else datagram.payload
                else:
                    message = raw
                advert = decode(message, instance.source, destination, 255, old=form is ChecksumForm.OLD_UNICAST)
                assert advert.priority == priority
                assert encode(advert, form) == message

    def test_the_identification_is_never_0(self) -> None:
        transmitter = Transmitter(self.INSTANCE, ah.Sequence())
        idents = set()
        for _number in range(0x10002):
            ((_group, packet),) = transmitter.packets(100)
            idents.add(packet[4] << 8 | packet[5])
        assert idents == set(range(1, 0x10000))
        assert checksum.checksum(bytes(packet[:20])) == 0

    def test_unicast_ttl(self) -> None:
        instance = replace(self.INSTANCE, unicast_peers=(Peer(packed("192.0.2.2")),), unicast_ttl=7)
        ((peer, packet),) = Transmitter(instance, ah.Sequence()).packets(100)
        assert (socket.inet_ntoa(peer), packet[8]) == ("192.0.2.2", 7)
        assert checksum.checksum(bytes(packet[:20])) == 0

    def test_the_password_is_not_in_a_repr(self) -> None:
        instance = replace(self.INSTANCE, auth_type=AUTH_PASS, auth_data=auth_data("secret"))
        assert "secret" not in repr(instance)


def packet_of(instance: Instance, priority: int = 100) -> bytes:
    return bytes(Transmitter(instance, ah.Sequence()).packets(priority)[0][1])


def with_ttl(packet: bytes, ttl: int) -> bytes:
    return packet[:8] + bytes((ttl,)) + packet[9:]


PEER = packed("192.0.2.2")
OURS = Instance("VI", 51, SOURCE, (VIP,))
UNICAST = replace(OURS, unicast_peers=(Peer(PEER),))
PASS = replace(OURS, auth_type=AUTH_PASS, auth_data=auth_data("secret"))
SIGNED = replace(OURS, auth_type=AUTH_AH, auth_data=auth_data("secret"))
V3_OURS = replace(OURS, version=3)


class TestRejections:
    """Each reason, from the packet of a peer that is a little different."""

    @pytest.mark.parametrize(
        "packet, receiver, reason",
        [
            (b"", OURS, Reason.IP_HEADER),
            (b"\x46" + packet_of(OURS)[1:], OURS, Reason.IP_HEADER),
            (packet_of(OURS)[:39], OURS, Reason.IP_HEADER),
            (packet_of(OURS)[:6] + b"\x20\0" + packet_of(OURS)[8:], OURS, Reason.IP_HEADER),
            (packet_of(OURS), SIGNED, Reason.IP_PROTOCOL),
            (packet_of(SIGNED), OURS, Reason.IP_PROTOCOL),
            (with_ttl(packet_of(OURS), 254), OURS, Reason.IP_TTL),
            (with_ttl(packet_of(UNICAST), 1), replace(OURS, unicast_peers=(Peer(SOURCE, 2),)), Reason.IP_TTL),
            (packet_of(UNICAST), replace(UNICAST, check_unicast_src=True), Reason.SOURCE),
            (pack_ipv4(SOURCE, GROUP, PROTO_VRRP, 7) + packet_of(OURS)[20:27], OURS, Reason.PACKET_LENGTH),
            (pack_ipv4(SOURCE, GROUP, PROTO_VRRP, 19) + packet_of(OURS)[20:39], OURS, Reason.PACKET_LENGTH),
            (pack_ipv4(SOURCE, GROUP, PROTO_AH, 8) + packet_of(SIGNED)[20:28], SIGNED, Reason.PACKET_LENGTH),
            (packet_of(OURS)[:20] + b"\x41" + packet_of(OURS)[21:], OURS, Reason.VERSION),
            (packet_of(V3_OURS), OURS, Reason.VERSION),
            (packet_of(OURS)[:20] + b"\x22" + packet_of(OURS)[21:], OURS, Reason.TYPE),
            (packet_of(replace(OURS, vrid=52)), OURS, Reason.VRID),
            (packet_of(replace(OURS, vrid=0)), OURS, Reason.VRID),
            (packet_of(OURS)[:22] + b"\x65" + packet_of(OURS)[23:], OURS, Reason.CHECKSUM),
            (packet_of(replace(OURS, advert_int=2 * SECOND)), OURS, Reason.ADVERT_INTERVAL),
            (packet_of(replace(OURS, auth_type=3)), OURS, Reason.AUTH_TYPE),
            (packet_of(OURS), PASS, Reason.AUTH_TYPE_MISMATCH),
            (packet_of(PASS), OURS, Reason.AUTH_TYPE_MISMATCH),
            (packet_of(PASS), replace(PASS, auth_data=auth_data("other")), Reason.AUTH_FAILURE),
            (packet_of(SIGNED), replace(SIGNED, auth_data=auth_data("other")), Reason.AUTH_FAILURE),
        ],
    )
    def test_reason(self, packet: bytes, receiver: Instance, reason: Reason) -> None:
        with pytest.raises(PacketError) as caught:
            Receiver(receiver, ah.Sequence()).ipv4(packet)
        assert caught.value.reason is reason
        assert caught.value.source == (packet[12:16] if len(packet) >= 20 else b"")

    def test_vrid_0_is_nobodys(self) -> None:
        """Whatever VRID the receiver has (RFC 9568 section 5.2.3)."""
        with pytest.raises(PacketError) as caught:
            decode(encode(V3._replace(vrid=0)), SOURCE, GROUP, 255)
        assert caught.value.reason is Reason.VRID

    def test_interval_0_of_version_3(self) -> None:
        """RFC 9568 section 7.1 with erratum 8301: all backups would be master at once."""
        message = bytearray(encode(V3._replace(interval_cs=1), ChecksumForm.MESSAGE))
        message[5] = 0
        message[6:8] = (int.from_bytes(message[6:8], "big") + 1).to_bytes(2, "big")
        with pytest.raises(PacketError) as caught:
            decode(bytes(message), SOURCE, GROUP, 255)
        assert caught.value.reason is Reason.ADVERT_INTERVAL

    def test_a_unicast_peer_may_be_routers_away(self) -> None:
        instance = replace(OURS, unicast_peers=(Peer(SOURCE),))
        assert Receiver(instance, ah.Sequence()).ipv4(with_ttl(packet_of(UNICAST), 3)).ttl == 3

    def test_another_list_of_addresses_is_no_reason(self) -> None:
        advert = Receiver(OURS, ah.Sequence()).ipv4(packet_of(replace(OURS, addresses=(PEER, VIP))))
        assert advert.addresses == (PEER, VIP)


class TestRepetition:
    def test_a_repeated_advert_is_the_same_object(self) -> None:
        transmitter, receiver = Transmitter(PASS, ah.Sequence()), Receiver(PASS, ah.Sequence())
        first = receiver.ipv4(bytes(transmitter.packets(100)[0][1]))
        assert receiver.ipv4(bytes(transmitter.packets(100)[0][1])) is first
        assert receiver.ipv4(bytes(transmitter.packets(0)[0][1])).priority == 0

    @given(st.integers(0, 39), st.integers(1, 255))
    def test_anything_else_is_looked_at(self, where: int, change: int) -> None:
        packet = packet_of(PASS)
        receiver = Receiver(PASS, ah.Sequence())
        first = receiver.ipv4(packet)
        altered = bytearray(packet)
        altered[where] ^= change
        try:
            again = receiver.ipv4(bytes(altered))
        except PacketError:
            return
        # what the sender counts up, the TOS, don't-fragment, and the addresses, which the kernel's checksum covers
        assert where in {1, 4, 5, 10, 11, *range(12, 20)} or (where == 6 and not change & 0x3F)
        assert again._replace(source=SOURCE, destination=GROUP) == first

    def test_ipv6(self) -> None:
        instance = Instance("VI", 51, SOURCE6, (VIP6,), version=3)
        datagram = Datagram(SOURCE6, GROUP6, 255, PROTO_VRRP, packet_of(instance))
        receiver = Receiver(instance, ah.Sequence())
        assert receiver.ipv6(Datagram(*datagram)) is receiver.ipv6(datagram)
        with pytest.raises(PacketError, match="TTL 64"):
            receiver.ipv6(datagram._replace(ttl=64))


@given(st.binary(max_size=64), st.binary(max_size=200))
def test_hmac_is_pythons(key: bytes, message: bytes) -> None:
    assert ah.hmac_md5(key, message) == hmac.digest(key, message, "md5")


class TestReplay:
    def receive(self, receiver: Receiver, packet: bytes) -> Advert | Reason:
        try:
            return receiver.ipv4(packet)
        except PacketError as error:
            return error.reason

    def test_an_advert_is_taken_once(self) -> None:
        sequence = ah.Sequence()
        receiver, packet = Receiver(SIGNED, sequence), packet_of(SIGNED)
        assert isinstance(self.receive(receiver, packet), Advert)
        assert self.receive(receiver, packet) is Reason.AUTH_REPLAY
        assert sequence.last == 1

    def test_a_new_master_goes_on_with_the_numbers_it_heard(self) -> None:
        master, backup = ah.Sequence(1000), ah.Sequence()
        heard = Transmitter(SIGNED, master).packets(100)[0][1]
        Receiver(SIGNED, backup).ipv4(bytes(heard))
        assert backup.next() == 1002

    def test_two_that_count_in_step_hear_each_other(self) -> None:
        ours, theirs = ah.Sequence(7), ah.Sequence(7)
        other = replace(SIGNED, source=PEER)
        for _advert in range(3):
            from_us, from_them = Transmitter(SIGNED, ours).packets(1), Transmitter(other, theirs).packets(1)
            assert isinstance(self.receive(Receiver(SIGNED, ours), bytes(from_them[0][1])), Advert)
            assert isinstance(self.receive(Receiver(other, theirs), bytes(from_us[0][1])), Advert)

    def test_a_router_that_comes_back_has_higher_numbers(self) -> None:
        """The wall clock survives a crash; a year of adverts, one a second, stays below it."""
        started = 1_800_000_000
        sequence = ah.Sequence(ah.first_sequence(started))
        year = 365 * 86400
        assert ah.first_sequence(started + year) > sequence.last + year
        assert 0 < ah.first_sequence(2_600_000_000) < 2**32
        assert ah.first_sequence(0) == 0

    @given(st.integers(0, 63), st.integers(1, 255))
    def test_what_is_signed(self, where: int, change: int) -> None:
        """All but TOS, fragment field and header checksum; nothing passes with another value in it."""
        altered = bytearray(packet_of(SIGNED))
        altered[where] ^= change
        got = self.receive(Receiver(SIGNED, ah.Sequence()), bytes(altered))
        # the second byte of the fragment field is the offset; of the first, two bits mean nothing here
        mutable = where in (1, 10, 11) or (where == 6 and not change & 0x3F)
        assert isinstance(got, Advert) is mutable

    def test_the_ttl_is_signed_in_multicast_only(self) -> None:
        signed = replace(SIGNED, unicast_peers=(Peer(PEER),))
        receiver = Receiver(replace(signed, unicast_peers=(Peer(SOURCE),)), ah.Sequence())
        assert receiver.ipv4(with_ttl(packet_of(signed), 9)).ttl == 9


@given(st.binary(max_size=120), st.sampled_from([OURS, PASS, SIGNED, UNICAST, V3_OURS]))
def test_any_packet_is_an_advert_or_a_packet_error(packet: bytes, instance: Instance) -> None:
    receiver = Receiver(instance, ah.Sequence())
    for candidate in (packet, packet_of(instance)[:20] + packet, b"\x45" + packet[1:]):
        try:
            assert receiver.ipv4(candidate).vrid == instance.vrid
        except PacketError:
            continue


@given(st.binary(max_size=80), st.integers(0, 255))
def test_any_ipv6_payload_is_an_advert_or_a_packet_error(payload: bytes, hop_limit: int) -> None:
    instance = Instance("VI", 51, SOURCE6, (VIP6,), version=3)
    datagram = Datagram(SOURCE6, GROUP6, hop_limit, PROTO_VRRP, payload)
    with pytest.raises(PacketError):
        Receiver(instance, ah.Sequence()).ipv6(datagram)
