# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be checked: a configuration with every default filled in, as plain values that can be pickled.

Made by :mod:`.from_conf` where the configuration is read. Addresses are packed, times are nanoseconds, names of
interfaces are text: whether they exist is found out when a check runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Union

from ..spawn import Command


class CheckId(NamedTuple):
    """Which check of which real server, in the words people see; see :func:`.from_conf.service_key`.

    ``kind`` is keepalived's word (``TCP_CHECK``); ``ordinal`` counts the checks of one kind of one real server from 0.
    """

    service: str
    server: str
    kind: str
    ordinal: int = 0

    def __str__(self) -> str:
        """As logs and ``lvsctl`` show it."""
        number = f" {self.ordinal + 1}" if self.ordinal else ""
        return f"{self.kind}{number} of {self.server} of {self.service}"


@dataclass(frozen=True)
class Timing:
    """When a check runs, how long it may take, and how many results in a row count.

    ``timeout_ns`` is keepalived's ``connect_timeout``: the most for each step. ``deadline_ns`` is the most for a whole
    run and never 0. ``warmup_ns`` is the most the first run is put off, 0 for not at all. ``fall`` failures in a row
    make it down, each after the first comes ``retry_delay_ns`` after the one before.
    """

    interval_ns: int
    timeout_ns: int
    retry_delay_ns: int
    warmup_ns: int
    deadline_ns: int
    rise: int = 1
    fall: int = 2
    alpha: bool = False
    log_all_failures: bool = False


@dataclass(frozen=True)
class Endpoint:
    """Where to and where from. ``interface`` is the scope of a link-local ``address``, "" for any other.

    ``source`` is b"" for whichever the kernel takes, ``source_port`` 0 likewise; ``source_interface`` is the scope of a
    link-local ``source``; ``fwmark`` 0 for none. ``port`` is 0 for PING_CHECK.
    ``via`` is the real server through which a VIP is checked, b"" otherwise: without a ``source`` it is this host's
    address towards that one, as the VIP may be this host's too.
    """

    family: int
    address: bytes
    port: int
    interface: str = ""
    source: bytes = b""
    source_port: int = 0
    source_interface: str = ""
    fwmark: int = 0
    via: bytes = b""


@dataclass(frozen=True)
class TcpCheck:
    """A connection can be made."""

    endpoint: Endpoint


@dataclass(frozen=True)
class UrlPlan:
    """One page, and what it must be. ``host`` is the Host header, "" for the endpoint's address.

    ``statuses`` are inclusive ranges. ``digest`` is the 16 bytes of the body's MD5, b"" for any. ``regex`` is "" for
    any; ``regex_flags`` are those of :mod:`re`. A match starts at one of the bytes ``min_offset`` to ``max_offset``
    (None: to the end). ``server_name`` is what is sent as TLS server name, "" for none. ``headers`` are sent too, each
    as ``Name: value``, as is ``authorization`` in the header of that name, "" for none.
    """

    path: str
    host: str = ""
    statuses: tuple[tuple[int, int], ...] = ((200, 299),)
    digest: bytes = b""
    regex: str = ""
    regex_flags: int = 0
    regex_no_match: bool = False
    min_offset: int = 0
    max_offset: int | None = None
    server_name: str = ""
    method: str = "GET"
    headers: tuple[str, ...] = ()
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True)
class TlsPlan:
    """How SSL_GET speaks TLS. Files are PEM; "" for none, an empty ``ca_file`` with ``verify`` is the system's.

    ``verify`` off is keepalived's way: any certificate will do. With it the certificate must have the URL's server
    name, or the address where that is "". ``compliant``: end with a close_notify alert.
    """

    verify: bool = False
    ca_file: str = ""
    certificate: str = ""
    key: str = ""
    password: str = field(default="", repr=False)
    compliant: bool = False


@dataclass(frozen=True)
class HttpCheck:
    """HTTP_GET, and SSL_GET with ``tls``. ``protocol`` is 1.0, 1.0C (with ``Connection: close``) or 1.1."""

    endpoint: Endpoint
    urls: tuple[UrlPlan, ...]
    protocol: str = "1.0"
    tls: TlsPlan | None = None


@dataclass(frozen=True)
class SmtpCheck:
    """A mail server that greets and takes HELO with ``helo_name``."""

    endpoint: Endpoint
    helo_name: str


@dataclass(frozen=True)
class DnsCheck:
    """``qtype`` is the number of RFC 1035 section 3.2.2 (AAAA: RFC 3596); ``name`` "." is the root."""

    endpoint: Endpoint
    name: str = "."
    qtype: int = 6


@dataclass(frozen=True)
class UdpCheck:
    """``payload`` b"" for random bytes.

    ``reply`` is what an answer must begin with, as far as both reach, in the bits that are set in ``mask`` (same
    length); b"" for anything. ``min_reply`` and ``max_reply`` are bytes, and count with ``require_reply`` only.
    """

    endpoint: Endpoint
    payload: bytes = b""
    require_reply: bool = False
    reply: bytes = b""
    mask: bytes = b""
    min_reply: int = 0
    max_reply: int = 255


@dataclass(frozen=True)
class PingCheck:
    """An echo request is answered."""

    endpoint: Endpoint


@dataclass(frozen=True)
class MiscCheck:
    """A program says so; ``command`` is None when it may not be run, ``refused`` says why.

    ``timeout_ns`` is ``misc_timeout``, never 0. ``dynamic``: exit status 2 to 255 is success and sets the weight.
    """

    command: Command | None
    timeout_ns: int
    dynamic: bool = False
    refused: str = ""


@dataclass(frozen=True)
class FileCheck:
    """The number in the file ``path`` of the ``track_file`` ``name``, times ``weight``, negated with ``reverse``.

    ``init`` is written at start, None for nothing; ``overwrite``: even if the file is there. ``dynamic``: the product
    changes the weight (and the quorum).
    """

    name: str
    path: str
    weight: int = 1
    reverse: bool = False
    dynamic: bool = False
    init: int | None = None
    overwrite: bool = False


Check = Union[TcpCheck, HttpCheck, SmtpCheck, DnsCheck, UdpCheck, PingCheck, MiscCheck, FileCheck]


@dataclass(frozen=True)
class CheckPlan:
    """One check of one real server.

    ``via_vip``: its endpoint is the VIP, and its packets have a ``fwmark`` of their server's own (see
    :mod:`.from_conf`), by which IPVS brings them to that server only.
    """

    id: CheckId
    timing: Timing
    check: Check
    via_vip: bool = False
