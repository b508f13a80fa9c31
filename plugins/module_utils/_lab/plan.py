# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a lab, decided without touching anything: hosts, NICs, MACs, taps, bridges.

A plan is plain data; equal plans mean that nothing has to be done.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .errors import LabError

IFNAMSIZ = 15  # usable characters of an interface name, linux/if.h
_MACHINE_NAME_SIZE = 62  # of User Mode Linux's umid, LAB.HOST
DEFAULT_SEGMENT = "lan"
MANAGEMENT_NIC = "lab0"
MANAGEMENT_BRIDGE = "mgmt"
# RFC 2544's benchmarking range: no site uses it for real.
MANAGEMENT_NETWORK = "198.18.0.0/24"


@dataclass(frozen=True)
class Nic:
    """A network card: `addresses` with prefix length, `segment` the wire it is plugged into."""

    name: str
    addresses: tuple[str, ...] = ()
    segment: str = DEFAULT_SEGMENT
    gateway: str | None = None


@dataclass(frozen=True)
class Host:
    """A host to boot. `web_ports`: where a small nginx answers with the host's name; `aliases`: the
    names and addresses by which an inventory calls it (``ansible_host``)."""

    name: str
    nics: tuple[Nic, ...]
    web_ports: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    lab_only: bool = False


@dataclass(frozen=True)
class Port:
    """One NIC as the lab plugs it: the guest's kernel calls it ``vecINDEX`` until it is renamed."""

    nic: str
    tap: str
    mac: str
    bridge: str


@dataclass(frozen=True)
class Guest:
    """A host with everything the lab decided for it. `management_address` has a prefix length."""

    host: Host
    index: int
    management_address: str
    ports: tuple[Port, ...]

    @property
    def name(self) -> str:
        return self.host.name


@dataclass(frozen=True)
class Plan:
    """A whole lab. `routers`: addresses (with prefix) that the lab itself holds on a bridge, because
    hosts name them as their gateway and no host has them."""

    name: str
    guests: tuple[Guest, ...]
    memory_mb: int
    image: str
    management_router: str
    routers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return f"lab-{self.name}"

    @property
    def bridges(self) -> list[str]:
        return sorted({port.bridge for guest in self.guests for port in guest.ports})

    def guest(self, name: str) -> Guest:
        """The guest called `name`; LabError names the ones there are."""
        for guest in self.guests:
            if guest.name == name:
                return guest
        known = ", ".join(guest.name for guest in self.guests)
        raise LabError(f"lab {self.name} has no host {name!r}; its hosts: {known}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan_from_dict(data: Mapping[str, Any]) -> Plan:
    """The inverse of Plan.to_dict after a trip through JSON."""
    guests = tuple(
        Guest(
            host=host_from_dict(guest["host"]),
            index=guest["index"],
            management_address=guest["management_address"],
            ports=tuple(Port(**port) for port in guest["ports"]),
        )
        for guest in data["guests"]
    )
    return Plan(
        name=data["name"],
        guests=guests,
        memory_mb=data["memory_mb"],
        image=data["image"],
        management_router=data["management_router"],
        routers={bridge: tuple(addresses) for bridge, addresses in data["routers"].items()},
    )


def host_from_dict(data: Mapping[str, Any]) -> Host:
    """A Host from module options or JSON; LabError when a NIC's address or gateway is not one."""
    nics = []
    for nic in data.get("nics") or ():
        addresses = tuple(_interface_address(data["name"], nic["name"], text) for text in nic.get("addresses") or ())
        gateway = _gateway(data["name"], nic["name"], nic["gateway"]) if nic.get("gateway") else None
        nics.append(Nic(nic["name"], addresses, nic.get("segment") or DEFAULT_SEGMENT, gateway))
    return Host(
        name=data["name"],
        nics=tuple(nics),
        web_ports=tuple(data.get("web_ports") or ()),
        aliases=tuple(data.get("aliases") or ()),
        lab_only=bool(data.get("lab_only")),
    )


def check_lab_name(name: str) -> None:
    """LabError unless `name` can be a directory, a namespace and a machine id; files are removed by it."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise LabError(f"lab name {name!r}: use lower-case letters, digits and dashes, at most 31 characters")


def make_plan(
    name: str,
    hosts: Sequence[Host],
    image: str,
    memory_mb: int = 192,
    management_network: str = MANAGEMENT_NETWORK,
) -> Plan:
    """Decide a lab's shape. Raises LabError for names Linux cannot take and for addresses that clash."""
    check_lab_name(name)
    if not hosts:
        raise LabError(f"lab {name}: the inventory has no hosts to boot")
    try:
        management = ipaddress.IPv4Network(management_network)
    except ValueError as error:
        raise LabError(f"lab {name}: the management network is no IPv4 network: {error}") from None
    if len(hosts) > management.num_addresses - 3:
        raise LabError(f"lab {name}: {len(hosts)} hosts do not fit into the management network {management}")
    _check_names(hosts)
    longest = max((host.name for host in hosts), key=len)
    if len(name) + len(longest) >= _MACHINE_NAME_SIZE:
        raise LabError(
            f"lab {name}, host {longest}: lab and host name together have more than {_MACHINE_NAME_SIZE - 1} "
            "characters, which User Mode Linux cannot tell apart; give the lab a shorter name"
        )
    _check_addresses(hosts, management)
    guests = tuple(
        Guest(
            host=host,
            index=index,
            management_address=f"{management[index + 1]}/{management.prefixlen}",
            ports=_ports(host, index),
        )
        for index, host in enumerate(hosts)
    )
    return Plan(
        name=name,
        guests=guests,
        memory_mb=memory_mb,
        image=image,
        management_router=f"{management[-2]}/{management.prefixlen}",
        routers=_routers(hosts),
    )


def keep_places(plan: Plan, before: Plan | None) -> Plan:
    """The plan with every host at the place (taps, MACs, management address) it had in `before`.

    So a host that is added or removed leaves the others as they are.
    """
    if before is None or before.management_router != plan.management_router:
        return plan
    places = {guest.name: guest.index for guest in before.guests}
    kept = {places[guest.name] for guest in plan.guests if guest.name in places}
    free = (index for index in itertools.count() if index not in kept)
    management = ipaddress.ip_interface(plan.management_router).network
    guests = []
    for guest in plan.guests:
        index = places[guest.name] if guest.name in places else next(free)
        address = f"{management[index + 1]}/{management.prefixlen}"
        guests.append(Guest(guest.host, index, address, _ports(guest.host, index)))
    return replace(plan, guests=tuple(guests))


def _ports(host: Host, index: int) -> tuple[Port, ...]:
    wires = [(MANAGEMENT_NIC, MANAGEMENT_BRIDGE)] + [(nic.name, nic.segment) for nic in host.nics]
    return tuple(
        # 02:… is a locally administered address (IEEE 802): host and NIC number, stable over a reboot.
        Port(nic, f"h{index}n{number}", f"02:1a:b0:{index >> 8:02x}:{index & 255:02x}:{number:02x}", f"br-{bridge}")
        for number, (nic, bridge) in enumerate(wires)
    )


# vecN is what a guest's kernel calls its NICs before they are renamed.
_TAKEN_NICS = {".", "..", "lo", MANAGEMENT_NIC, *(f"vec{number}" for number in range(32))}


def _check_names(hosts: Sequence[Host]) -> None:
    seen: set[str] = set()
    for host in hosts:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62})", host.name):
            raise LabError(f"host name {host.name!r} cannot be a Linux host name; rename it in the inventory")
        if host.name in seen:
            raise LabError(f"host {host.name} is there twice")
        seen.add(host.name)
        names = [nic.name for nic in host.nics]
        for nic in host.nics:
            if not re.fullmatch(r"[^\s/:]{1,%d}" % IFNAMSIZ, nic.name) or nic.name in _TAKEN_NICS:
                raise LabError(
                    f"host {host.name}: {nic.name!r} cannot be the name of a NIC "
                    f"(at most {IFNAMSIZ} characters, not lo, not {MANAGEMENT_NIC})"
                )
            if names.count(nic.name) > 1:
                raise LabError(f"host {host.name}: NIC {nic.name} is there twice")
            if not re.fullmatch(r"[a-z0-9-]{1,12}", nic.segment) or nic.segment == MANAGEMENT_BRIDGE:
                raise LabError(
                    f"host {host.name}, NIC {nic.name}: segment {nic.segment!r} must be 1 to 12 lower-case letters, "
                    f"digits or dashes, and not {MANAGEMENT_BRIDGE!r}"
                )


def _check_addresses(hosts: Sequence[Host], management: ipaddress.IPv4Network) -> None:
    owner: dict[tuple[str, str], str] = {}
    for host in hosts:
        for nic in host.nics:
            for text in nic.addresses:
                address = ipaddress.ip_interface(text)
                where = f"{host.name} ({nic.name})"
                if address.version == 4 and address.network.overlaps(management):
                    raise LabError(
                        f"address clash: {text} of {where} lies in the lab's management network {management}; "
                        "give the lab another one with lab_management_network"
                    )
                key = (nic.segment, str(address.ip))
                if key in owner:
                    raise LabError(f"address clash: {address.ip} is given to {owner[key]} and to {where}")
                owner[key] = where


def _routers(hosts: Iterable[Host]) -> dict[str, tuple[str, ...]]:
    held = {str(ipaddress.ip_interface(text).ip) for host in hosts for nic in host.nics for text in nic.addresses}
    routers: dict[str, set[str]] = {}
    for host in hosts:
        for nic in host.nics:
            if nic.gateway is None or nic.gateway in held:
                continue
            gateway = ipaddress.ip_address(nic.gateway)
            for text in nic.addresses:
                network = ipaddress.ip_interface(text).network
                if gateway.version == network.version and gateway in network:
                    routers.setdefault(f"br-{nic.segment}", set()).add(f"{gateway}/{network.prefixlen}")
                    break
            else:
                raise LabError(
                    f"host {host.name}, NIC {nic.name}: gateway {gateway} lies in none of its networks "
                    f"({', '.join(nic.addresses) or 'it has no address'})"
                )
    return {bridge: tuple(sorted(addresses)) for bridge, addresses in sorted(routers.items())}


def _interface_address(host: str, nic: str, text: str) -> str:
    try:
        return str(ipaddress.ip_interface(text))
    except ValueError:
        raise LabError(
            f"host {host}, NIC {nic}: {text!r} is not an address with prefix length, such as 192.0.2.10/24"
        ) from None


def _gateway(host: str, nic: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise LabError(f"host {host}, NIC {nic}: gateway {text!r} is not an address, such as 192.0.2.1") from None
