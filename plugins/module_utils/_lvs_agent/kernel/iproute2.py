# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading interfaces through ``ip -json`` (iproute2), which every host has before anything is installed on it.

The modules decide from this, so that check mode on a fresh host tells the truth and a run that changes nothing does
not pay for pyroute2; changes are made by rtnl.Rtnl.
"""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import errno
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .addresses import DADFAILED, DEPRECATED, PREFERRED, TENTATIVE, Address
from .errors import InterfaceNotFound, KernelError
from .interfaces import missing_interface

if TYPE_CHECKING:
    from collections.abc import Collection

_TIMEOUT_SECONDS = 10
_POLL_SECONDS = 0.1


class Iproute2Error(KernelError):
    """``ip`` is missing or failed; the advice holds what it said."""


class Interface(NamedTuple):
    """An interface with its addresses; ``link_type`` is ``ip link``'s word, "ether" for Ethernet.

    ``lladdr`` is its link-layer address in colon form, "" when it has none. ``arp`` is off for a dummy.
    """

    name: str
    up: bool
    link_type: str
    addresses: list[Address]
    lladdr: str = ""
    arp: bool = True


def interfaces() -> dict[str, Interface]:
    """All interfaces by name, in index order. Raises Iproute2Error."""
    return {entry["ifname"]: parse_interface(entry) for entry in _ip("address", "show")}


def undecided(interface: str, addresses: Collection[str], seconds: float) -> dict[str, str]:
    """Wait for duplicate address detection: address -> state of those that do not serve when it is over.

    It is over when none is tentative any more, or after ``seconds``. Raises Iproute2Error, InterfaceNotFound.
    """
    end = time.monotonic() + seconds
    while True:
        found = interfaces()
        if interface not in found:
            raise InterfaceNotFound(errno.ENODEV, f"interface {interface}", missing_interface(interface, list(found)))
        held = {address.address: address.state for address in found[interface].addresses}
        states = {address: held.get(address, "absent") for address in addresses}
        if TENTATIVE not in states.values() or time.monotonic() >= end:
            return {address: state for address, state in states.items() if state not in (PREFERRED, DEPRECATED)}
        time.sleep(min(_POLL_SECONDS, max(0.0, end - time.monotonic())))


def host_routes(interface: str) -> set[str]:
    """The single addresses that the main table routes by this interface, without a gateway. Raises Iproute2Error."""
    return {
        route["dst"]
        for family in ("-4", "-6")
        for route in _ip(family, "route", "show", "table", "main", "dev", interface)
        if is_host_route(route)
    }


def gateways(interface: str) -> list[str]:
    """The gateways of the main table's routes by this interface. Raises Iproute2Error."""
    routes = [
        route for family in ("-4", "-6") for route in _ip(family, "route", "show", "table", "main", "dev", interface)
    ]
    # A gateway of the other family is ``via``.
    return [route.get("gateway") or route["via"]["host"] for route in routes if "gateway" in route or "via" in route]


def has_neighbour(address: str) -> bool:
    """Whether the link-layer address of a neighbour is known. Raises Iproute2Error."""
    return any(parse_resolved(entry) for entry in _ip("neighbour", "show", "to", address))


def parse_interface(entry: dict[str, Any]) -> Interface:
    """One object of ``ip -json address show``."""
    addresses = [
        Address(
            info["local"],
            info["prefixlen"],
            info.get("label", "") if info["family"] == "inet" else "",
            info["scope"],
            bool(info.get("noprefixroute", False)),
            # A failed one keeps its tentative flag.
            next((state for state in (DADFAILED, TENTATIVE, DEPRECATED) if info.get(state)), PREFERRED),
            bool(info.get("dynamic", False)),
            bool(info.get("secondary", False)),
        )
        for info in entry.get("addr_info", ())
        if info.get("family") in ("inet", "inet6")
    ]
    return Interface(
        entry["ifname"],
        "UP" in entry["flags"],
        entry["link_type"],
        addresses,
        entry.get("address", ""),
        "NOARP" not in entry["flags"],
    )


def is_host_route(route: dict[str, Any]) -> bool:
    """Whether one object of ``ip -json route show`` is a set route to a single address, without a gateway.

    ip prints such a destination without a prefix. The routes of protocol "kernel" come and go with an IPv6 /128.
    """
    to_one = "/" not in route["dst"] and route["dst"] != "default"
    return to_one and "gateway" not in route and route.get("protocol") != "kernel"


def parse_resolved(entry: dict[str, Any]) -> bool:
    """Whether one object of ``ip -json neighbour show`` has a link-layer address that has not failed."""
    return "lladdr" in entry and not {"FAILED", "INCOMPLETE"} & set(entry["state"])


def _ip(*arguments: str) -> list[dict[str, Any]]:
    command = ["ip", "-json", *arguments]
    subject = " ".join(command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    except FileNotFoundError as error:
        raise Iproute2Error(errno.ENOENT, subject, "install the package iproute2") from error
    except subprocess.TimeoutExpired as error:
        raise Iproute2Error(errno.ETIMEDOUT, subject, f"no end in {_TIMEOUT_SECONDS} s") from error
    if done.returncode:
        raise Iproute2Error(0, subject, done.stderr.strip() or f"exit status {done.returncode}")
    # Nothing at all stands for an empty list in some versions, an empty object for what a filter left out.
    return [entry for entry in json.loads(done.stdout or "[]") if entry]
