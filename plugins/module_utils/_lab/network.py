# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's wires: a network namespace, a bridge a segment, a tap a NIC. All by ip(8), in few calls."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from contextlib import suppress

from .commands import run
from .errors import LabError
from .plan import MANAGEMENT_BRIDGE, Guest, Plan

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_PARTITION_PREFIX = "pt-"


def namespace_exists(namespace: str) -> bool:
    return os.path.exists(f"/run/netns/{namespace}")


def create(plan: Plan) -> bool:
    """Make what is missing of the plan's namespace, bridges and routers' addresses. True when anything was."""
    changed = False
    if not namespace_exists(plan.namespace):
        run(["ip", "netns", "add", plan.namespace])
        changed = True
    present = _links(plan.namespace)
    lines = [] if "UP" in present.get("lo", ()) else ["link set lo up"]
    for bridge in plan.bridges:
        if bridge not in present:
            # Snooping would withhold multicast from guests that never sent an IGMP report: VRRP is flooded.
            lines.append(f"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
            lines.append(f"link set {bridge} up")
    addresses = {bridge: list(held) for bridge, held in plan.routers.items()}
    addresses[f"br-{MANAGEMENT_BRIDGE}"] = [plan.management_router]
    held = _addresses(plan.namespace)
    for bridge, wanted in sorted(addresses.items()):
        lines += [f"address add {text} dev {bridge}" for text in wanted if (bridge, text) not in held]
    if lines:
        _batch(plan.namespace, lines)
        _sysctl(plan.namespace, "net/ipv4/ip_forward", "1")
        # The lab's router answers only for what the very bridge holds, as a router on that wire would.
        _sysctl(plan.namespace, "net/ipv4/conf/all/arp_ignore", "1")
        for bridge in plan.bridges:
            _offloads_off(plan.namespace, bridge)
        changed = True
    return changed


def plug(plan: Plan, guest: Guest) -> None:
    """Make the guest's taps and put each on its bridge; taps that are there stay."""
    present = _links(plan.namespace)
    lines = []
    for port in guest.ports:
        if port.tap not in present:
            lines.append(f"tuntap add dev {port.tap} mode tap")
    if lines:
        _batch(plan.namespace, lines)
    lines = []
    for port in guest.ports:
        lines.append(f"link set {port.tap} master {port.bridge} alias {guest.name}:{port.nic}")
        lines.append(f"link set {port.tap} up")
    _batch(plan.namespace, lines)
    for port in guest.ports:
        _sysctl(plan.namespace, f"net/ipv6/conf/{port.tap}/disable_ipv6", "1")
        # Without this TCP into a guest crawls: it refuses the host's segmentation offload.
        _offloads_off(plan.namespace, port.tap)


def unplug(plan: Plan, guest: Guest) -> None:
    """Remove the guest's taps."""
    present = _links(plan.namespace)
    _batch(plan.namespace, [f"link delete {port.tap}" for port in guest.ports if port.tap in present])


def delete(namespace: str) -> bool:
    """Remove the namespace and with it every bridge and tap. True when it was there."""
    if not namespace_exists(namespace):
        return False
    for link in _links(namespace):
        # A bridge or tap that a dying process still holds would outlive the namespace's name for a moment.
        if link.startswith(("br-", _PARTITION_PREFIX)):
            run(["ip", "-n", namespace, "link", "delete", link], check=False)
    run(["ip", "netns", "delete", namespace])
    return True


def end_connections(plan: Plan, guest: Guest) -> None:
    """End the ssh connections to a guest that lost its power: nobody will tell them, and shared ones would hang."""
    address = guest.management_address.partition("/")[0]
    for pid in run(["ip", "netns", "pids", plan.namespace], check=False).split():
        if _words(pid)[:2] == ["nc", address]:
            _terminate(pid)


def end_processes(namespace: str) -> None:
    """End whatever still runs in the namespace (connections, captures): it would outlive its name otherwise."""
    for pid in run(["ip", "netns", "pids", namespace], check=False).split():
        _terminate(pid)


def set_cable(plan: Plan, guest: Guest, nic: str, plugged: bool) -> None:
    """Pull the cable of one NIC (its tap leaves the bridge) or plug it in again.

    The tap stays up: a guest that sends into one that is down gets an error, and never hears anything from it again.
    """
    for port in guest.ports:
        if port.nic == nic:
            place = f"master {port.bridge}" if plugged else "nomaster"
            _batch(plan.namespace, [f"link set {port.tap} {place}"])
            return
    names = ", ".join(port.nic for port in guest.ports)
    raise LabError(f"host {guest.name} has no NIC {nic!r}; its NICs: {names}")


def partition(plan: Plan, names: list[str]) -> None:
    """Cut the hosts `names` off from the others: they keep seeing each other. Management goes on."""
    present = _links(plan.namespace)
    lines = []
    moved = [port for name in names for port in plan.guest(name).ports if port.bridge != f"br-{MANAGEMENT_BRIDGE}"]
    for bridge in sorted({port.bridge for port in moved}):
        other = _PARTITION_PREFIX + bridge[len("br-") :]
        if other not in present:
            lines.append(f"link add {other} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
            lines.append(f"link set {other} up")
    lines += [f"link set {port.tap} master {_PARTITION_PREFIX}{port.bridge[len('br-'):]}" for port in moved]
    _batch(plan.namespace, lines)


def heal(plan: Plan) -> None:
    """Every tap back on its own bridge and up; the partition's bridges go."""
    lines = []
    present = _links(plan.namespace)
    for guest in plan.guests:
        for port in guest.ports:
            if port.tap in present:
                lines.append(f"link set {port.tap} master {port.bridge}")
                lines.append(f"link set {port.tap} up")
    lines += [f"link delete {link}" for link in present if link.startswith(_PARTITION_PREFIX)]
    _batch(plan.namespace, lines)


def cable_states(plan: Plan) -> dict[str, str]:
    """tap -> ``up``, ``pulled`` or ``partitioned``, of the taps there are."""
    states = {}
    for link in json.loads(run(["ip", "-n", plan.namespace, "-json", "link", "show"]) or "[]"):
        if link.get("master", "").startswith(_PARTITION_PREFIX):
            states[link["ifname"]] = "partitioned"
        else:
            states[link["ifname"]] = "up" if "UP" in link["flags"] and "master" in link else "pulled"
    return states


def socket_in(namespace: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """An IPv4 socket that lives in `namespace`. A thread enters it: setns(2) is a thread's, not a process's."""
    made: list[socket.socket] = []

    def enter() -> None:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        with suppress(OSError), open(f"/run/netns/{namespace}", "rb") as handle:
            if libc.setns(handle.fileno(), _CLONE_NEWNET) == 0:
                made.append(socket.socket(socket.AF_INET, kind))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if not made:
        raise LabError(f"cannot enter the network namespace {namespace}: is the lab up, and are you root?")
    return made[0]


def _words(pid: str) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            return handle.read().decode(errors="replace").split("\0")
    except OSError:
        return []


def _terminate(pid: str) -> None:
    try:
        os.kill(int(pid), signal.SIGTERM)
    except ProcessLookupError:
        pass  # it ended by itself


def _links(namespace: str) -> dict[str, list[str]]:
    links = json.loads(run(["ip", "-n", namespace, "-json", "link", "show"]) or "[]")
    return {link["ifname"]: link["flags"] for link in links}


def _addresses(namespace: str) -> set[tuple[str, str]]:
    links = json.loads(run(["ip", "-n", namespace, "-json", "address", "show"]) or "[]")
    return {
        (link["ifname"], f"{info['local']}/{info['prefixlen']}") for link in links for info in link["addr_info"]
    }


def _batch(namespace: str, lines: list[str]) -> None:
    if lines:
        run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")


def _sysctl(namespace: str, path: str, value: str) -> None:
    run(["ip", "netns", "exec", namespace, "sysctl", "-qw", f"{path}={value}"])


def _offloads_off(namespace: str, link: str) -> None:
    words = ["tso", "off", "gso", "off", "tx", "off", "gro", "off"]
    run(["ip", "netns", "exec", namespace, "ethtool", "-K", link, *words], check=False)
