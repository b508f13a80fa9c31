# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARP and neighbour discovery frames, read back by tcpdump; and what probing makes of those of others."""

from __future__ import annotations

import socket
import struct
import subprocess
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.kernel import arp, conflict, ndisc
from _lvs_agent.kernel.announce import pack_announcement

MAC = bytes.fromhex("020000000001")
OTHER = bytes.fromhex("020000000002")
VIP, VIP6 = "192.168.1.100", "2001:db8::12:3456"

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
TO_ALL = "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Ethernet (len 6), IPv4 (len 4), "
TO_ALL_NODES = (
    "02:00:00:00:00:01 > 33:33:00:00:00:01, ethertype IPv6 (0x86dd), length 86: (hlim 255, next-header ICMPv6 (58) "
    f"payload length: 32) {VIP6} > ff02::1: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, tgt is {VIP6}, "
)


def tcpdump(frame: bytes) -> str:
    """What tcpdump says of a frame, in one line; without padding, as there is none in what we build."""
    packet = struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    words = ["tcpdump", "-n", "-e", "-t", "-vv", "-r", "-"]
    done = subprocess.run(words, input=PCAP_HEADER + packet, capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


@pytest.mark.host
@pytest.mark.parametrize(
    "frame, said",
    [
        pytest.param(
            arp.pack_gratuitous(MAC, VIP),
            TO_ALL + f"Request who-has {VIP} (ff:ff:ff:ff:ff:ff) tell {VIP}, length 28",
            id="gratuitous ARP as keepalived sends it",
        ),
        pytest.param(
            arp.pack_gratuitous(MAC, VIP, reply=True),
            TO_ALL + f"Reply {VIP} is-at 02:00:00:00:00:01, length 28",
            id="gratuitous ARP reply",
        ),
        pytest.param(
            arp.pack_probe(MAC, VIP),
            TO_ALL + f"Request who-has {VIP} tell 0.0.0.0, length 28",
            id="ARP probe",
        ),
        pytest.param(
            ndisc.pack_unsolicited_advertisement(MAC, VIP6),
            TO_ALL_NODES + "Flags [override] destination link-address option (2), length 8 (1): 02:00:00:00:00:01 "
            "0x0000: 0200 0000 0001",
            id="neighbour advertisement of a host",
        ),
        pytest.param(
            ndisc.pack_unsolicited_advertisement(MAC, VIP6, router=True),
            TO_ALL_NODES + "Flags [router, override] destination link-address option (2), length 8 (1): "
            "02:00:00:00:00:01 0x0000: 0200 0000 0001",
            id="neighbour advertisement of a router",
        ),
        pytest.param(
            ndisc.pack_probe(MAC, VIP6),
            "02:00:00:00:00:01 > 33:33:ff:12:34:56, ethertype IPv6 (0x86dd), length 78: (hlim 255, next-header ICMPv6 "
            "(58) payload length: 24) :: > ff02::1:ff12:3456: [icmp6 sum ok] ICMP6, neighbor solicitation, length 24, "
            f"who has {VIP6}",
            id="probe of duplicate address detection",
        ),
    ],
)
def test_tcpdump_reads_what_was_meant(frame: bytes, said: str) -> None:
    assert tcpdump(frame) == said


def test_all_bytes_of_a_gratuitous_arp() -> None:
    assert arp.pack_gratuitous(MAC, VIP).hex(" ") == (
        "ff ff ff ff ff ff 02 00 00 00 00 01 08 06"  # to all, from the sender, ARP
        " 00 01 08 00 06 04 00 01"  # Ethernet, IPv4, lengths, request
        " 02 00 00 00 00 01 c0 a8 01 64"
        " ff ff ff ff ff ff c0 a8 01 64"
    )


def test_an_announcement_is_of_the_addresss_family() -> None:
    assert pack_announcement(MAC, VIP) == arp.pack_gratuitous(MAC, VIP)
    assert pack_announcement(MAC, VIP6, router=True) == ndisc.pack_unsolicited_advertisement(MAC, VIP6, router=True)


@pytest.mark.parametrize("pack, address", [(arp.pack_probe, VIP6), (ndisc.pack_probe, VIP), (pack_announcement, "x")])
def test_the_wrong_family_is_an_error(pack: object, address: str) -> None:
    with pytest.raises(OSError, match="illegal IP address"):
        pack(MAC, address)  # type: ignore[operator]


@given(st.ip_addresses(v=4).map(str), st.binary(max_size=18))
def test_arp_comes_back_whatever_the_padding(address: str, padding: bytes) -> None:
    assert arp.parse(arp.pack_gratuitous(MAC, address) + padding) == arp.Arp(arp.REQUEST, MAC, address, address)
    assert arp.parse(arp.pack_probe(MAC, address) + padding) == arp.Arp(arp.REQUEST, MAC, "0.0.0.0", address)


@given(st.binary(min_size=16, max_size=16).map(partial(socket.inet_ntop, socket.AF_INET6)), st.binary(max_size=18))
def test_neighbour_discovery_comes_back_whatever_the_padding(address: str, padding: bytes) -> None:
    advertised = ndisc.parse(ndisc.pack_unsolicited_advertisement(MAC, address) + padding)
    assert advertised == ndisc.Neighbour(ndisc.ADVERTISEMENT, MAC, address, address)
    probed = ndisc.parse(ndisc.pack_probe(MAC, address) + padding)
    assert probed == ndisc.Neighbour(ndisc.SOLICITATION, MAC, "::", address)


ADVERTISEMENT = ndisc.pack_unsolicited_advertisement(MAC, VIP6)


@given(st.integers(0, len(ADVERTISEMENT) - 1), st.integers(1, 255))
def test_a_damaged_advertisement_never_names_another_target(place: int, change: int) -> None:
    """All but the Ethernet header is covered by the checksum or checked; a damaged MAC is Ethernet's to find."""
    damaged = bytearray(ADVERTISEMENT)
    damaged[place] ^= change
    packet = ndisc.parse(bytes(damaged))
    assert packet is None or packet.target == VIP6


@given(st.binary(max_size=120))
def test_noise_is_nothing(frame: bytes) -> None:
    arp.parse(frame)
    ndisc.parse(frame)
    # Behind headers that are right, noise reaches the parser of options.
    ndisc.parse(ADVERTISEMENT[:54] + frame)
    ndisc.parse(ADVERTISEMENT[:78] + frame)


@pytest.mark.parametrize("place, byte", [(21, 254), (20, 17), (55, 1), (54, 128)])
def test_what_rfc_4861_drops(place: int, byte: int) -> None:
    """Through a router, not ICMPv6, a code that is not 0, an echo request: each with a wrong checksum too."""
    damaged = bytearray(ADVERTISEMENT)
    damaged[place] = byte
    assert ndisc.parse(bytes(damaged)) is None


def arp_frame(operation: int, mac: bytes, sender: str, target: str) -> bytes:
    addresses = [bytes(map(int, address.split("."))) for address in (sender, target)]
    body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mac, addresses[0], MAC, addresses[1])
    return MAC + mac + b"\x08\x06" + body


class TestProbing:
    def probing(self, *addresses: str, probes: int = 3, own: tuple[bytes, ...] = ()) -> conflict.Probing:
        return conflict.Probing(MAC, addresses or (VIP, VIP6), probes, 0.5, own)

    def test_probes_go_out_at_their_times_and_the_last_is_waited_for(self) -> None:
        probing = self.probing()
        both = [arp.pack_probe(MAC, VIP), ndisc.pack_probe(MAC, VIP6)]
        assert probing.due(10.0) == both
        assert probing.due(10.4) == []
        assert probing.wake() == 10.5
        assert probing.due(10.5) == both
        assert probing.due(11.0) == both
        assert probing.due(11.4) == []
        assert probing.due(11.5) is None
        assert probing.conflicts == {}

    def test_late_is_not_early(self) -> None:
        probing = self.probing()
        probing.due(10.0)
        probing.due(13.0)
        assert probing.wake() == 13.5

    def test_who_has_it_is_named_and_not_asked_again(self) -> None:
        probing = self.probing()
        probing.due(10.0)
        probing.heard(arp_frame(arp.REPLY, OTHER, VIP, "0.0.0.0"))
        probing.heard(arp_frame(arp.REPLY, MAC[:5] + b"\x09", VIP, "0.0.0.0"))
        assert probing.conflicts == {VIP: "02:00:00:00:00:02"}
        assert probing.due(10.5) == [ndisc.pack_probe(MAC, VIP6)]
        probing.heard(ndisc.pack_unsolicited_advertisement(OTHER, VIP6))
        assert probing.due(10.6) is None
        assert probing.conflicts == {VIP: "02:00:00:00:00:02", VIP6: "02:00:00:00:00:02"}

    @pytest.mark.parametrize(
        "frame, is_conflict",
        [
            pytest.param(arp_frame(arp.REQUEST, OTHER, VIP, "192.168.1.1"), True, id="it asks from the address"),
            pytest.param(arp.pack_gratuitous(OTHER, VIP), True, id="it announces the address"),
            pytest.param(arp.pack_probe(OTHER, VIP), True, id="it probes for the address too"),
            pytest.param(arp_frame(arp.REQUEST, OTHER, "192.168.1.1", VIP), False, id="it asks for the address"),
            pytest.param(arp_frame(arp.REPLY, OTHER, "192.168.1.1", VIP), False, id="it has another"),
            pytest.param(arp.pack_gratuitous(MAC, VIP), False, id="that was ourselves"),
            pytest.param(arp.pack_gratuitous(OTHER[:5] + b"\x07", VIP), False, id="that was our other NIC"),
            pytest.param(ndisc.pack_probe(OTHER, VIP6), True, id="it detects duplicates of the address too"),
            pytest.param(ndisc.pack_probe(MAC, VIP6), False, id="our own probe came back"),
            pytest.param(ndisc.pack_unsolicited_advertisement(OTHER, "2001:db8::1"), False, id="another IPv6 address"),
            pytest.param(b"", False, id="nothing"),
        ],
    )
    def test_what_is_a_conflict(self, frame: bytes, is_conflict: bool) -> None:
        probing = self.probing(own=(OTHER[:5] + b"\x07",))
        probing.due(10.0)
        probing.heard(frame)
        assert bool(probing.conflicts) == is_conflict
