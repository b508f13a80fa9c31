# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending and receiving whole Ethernet frames on one interface (packet(7))."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from typing import TYPE_CHECKING

from .errors import KernelError
from .interfaces import require_interface

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_ARPHRD_ETHER = 1
# linux/if_arp.h: what else an interface may be, in ip's words
_OTHER_KINDS = {512: "ppp", 768: "ipip", 769: "ip6tnl", 772: "loopback", 776: "sit", 778: "gre", 823: "ip6gre"}
_IFF_UP, _IFF_NOARP = 0x1, 0x80
_SIOCGIFFLAGS = 0x8913
_IFREQ_FLAGS = struct.Struct("16sH22x")
# linux/ethtool.h
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A
_IFREQ_DATA = struct.Struct("16sP16x")
_ETHTOOL_VALUE = struct.Struct("II")
_SO_ATTACH_FILTER = 26
# linux/if_packet.h
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_MULTICAST = 263, 1, 0
_PACKET_MREQ = struct.Struct("iHH8s")
_SOCK_FILTER = struct.Struct("HBBI")
_FRAME_SIZE = 2048


class EthernetError(KernelError):
    """A frame could not be sent or received; ``subject`` names the interface."""


class NotEthernet(EthernetError):
    """The interface has neither ARP nor neighbour discovery: loopback, a tunnel, a dummy, or one with ``arp off``."""


class Wire:
    """An interface's wire, a context manager. Neither opening nor any method waits.

    ``mac`` is the interface's address, six bytes, as it was when the wire was opened. Opening needs CAP_NET_RAW and
    raises InterfaceNotFound, NotEthernet, EthernetError. VLAN, bond, bridge and macvlan interfaces are Ethernet.
    """

    def __init__(self, interface: str, ethertype: int = 0, only: bytes = b"", groups: Iterable[bytes] = ()) -> None:
        """Receive frames of this type (0: none), and of these only what the classic BPF program ``only`` lets in.

        ``groups`` are Ethernet multicast addresses that the interface has to listen to meanwhile.
        """
        ifindex = require_interface(interface)
        self.interface = interface
        try:
            # Bound only when the filter is there, so that nothing comes in past it.
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except OSError as error:
            raise EthernetError(
                error.errno or 0, f"interface {interface}", "ARP and neighbour discovery need root (CAP_NET_RAW)"
            ) from error
        try:
            self._sock.setblocking(False)
            self._flags = self._read_flags()
            if only:
                _attach_filter(self._sock, only)
            for group in groups:
                request = _PACKET_MREQ.pack(ifindex, _PACKET_MR_MULTICAST, len(group), group)
                self._sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
            self._sock.bind((interface, ethertype))
            self.mac: bytes = self._sock.getsockname()[4]
            self._require_ethernet()
        except EthernetError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise self._failed(error) from error

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def fileno(self) -> int:
        """For select and its like."""
        return self._sock.fileno()

    def send(self, frame: bytes) -> None:
        """Hand a frame to the interface: one system call, which never waits. Raises EthernetError."""
        try:
            self._sock.send(frame)
        except OSError as error:
            raise self._failed(error) from error

    def receive(self) -> bytes | None:
        """The next frame that came in, None when there is none. Raises EthernetError."""
        try:
            return self._sock.recv(_FRAME_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._failed(error) from error

    def require_carrier(self) -> None:
        """Raise EthernetError when nobody can hear: the link was down at opening, or has no carrier."""
        if not self._flags & _IFF_UP:
            raise EthernetError(errno.ENETDOWN, f"interface {self.interface}", "bring it up first")
        if not self._has_carrier():
            raise EthernetError(errno.ENETDOWN, f"interface {self.interface}", "it has no carrier; look at its cable")

    def _has_carrier(self) -> bool:
        """Asked of the driver: the flag IFF_RUNNING follows up to a second later (net/core/link_watch.c)."""
        import ctypes

        answer = ctypes.create_string_buffer(_ETHTOOL_VALUE.pack(_ETHTOOL_GLINK, 0), _ETHTOOL_VALUE.size)
        try:
            fcntl.ioctl(self._sock, _SIOCETHTOOL, _IFREQ_DATA.pack(self.interface.encode(), ctypes.addressof(answer)))
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                # The driver cannot tell: then nobody can.
                return True
            raise self._failed(error) from error
        return bool(_ETHTOOL_VALUE.unpack(answer.raw)[1])

    def _read_flags(self) -> int:
        request = _IFREQ_FLAGS.pack(self.interface.encode(), 0)
        return int(_IFREQ_FLAGS.unpack(fcntl.ioctl(self._sock, _SIOCGIFFLAGS, request))[1])

    def _require_ethernet(self) -> None:
        hardware = self._sock.getsockname()[3]
        why = ""
        if hardware != _ARPHRD_ETHER:
            why = f"it is of type {_OTHER_KINDS.get(hardware, hardware)}, not Ethernet"
        elif self._flags & _IFF_NOARP:
            why = "it is a dummy, or its ARP is switched off (ip link set INTERFACE arp on)"
        if why:
            raise NotEthernet(
                errno.EAFNOSUPPORT, f"interface {self.interface}", f"{why}: nobody there can be told or asked"
            )

    def _failed(self, error: OSError) -> EthernetError:
        number = error.errno or 0
        return EthernetError(number, f"interface {self.interface}", _ADVICE.get(number, "the kernel refused the frame"))


_ADVICE = {
    errno.ENETDOWN: "bring it up first",
    errno.ENODEV: "it has just been removed",
    errno.ENXIO: "it has just been removed",
    errno.ENOBUFS: "its queue is full, or it has no carrier",
    errno.EAGAIN: "its queue is full",
}


def _attach_filter(sock: socket.socket, program: bytes) -> None:
    """SO_ATTACH_FILTER of socket(7). Raises OSError."""
    import ctypes

    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog of linux/filter.h; the kernel copies the code.
    fprog = struct.pack("HP", len(program) // _SOCK_FILTER.size, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)


def only_icmpv6(*types: int) -> bytes:
    """A classic BPF program that lets only these ICMPv6 types in, so that a busy NIC does not flood the socket.

    IPv6 packets with extension headers stay out; neighbour discovery has none.
    """
    load_byte, equal, give = 0x30, 0x15, 0x06
    end = len(types)
    program = [(load_byte, 0, 0, 14 + 6), (equal, 0, end + 1, 58), (load_byte, 0, 0, 14 + 40)]
    program += [(equal, end - place, 0, number) for place, number in enumerate(types)]
    program += [(give, 0, 0, 0), (give, 0, 0, _FRAME_SIZE)]
    return b"".join(_SOCK_FILTER.pack(*instruction) for instruction in program)
