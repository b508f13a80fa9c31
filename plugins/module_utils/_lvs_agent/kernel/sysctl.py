# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings under /proc/sys, and what the kernel makes of them; the files that keep them are in sysctl_d.

A setting is named by its path below /proc/sys as a tuple, ("net", "ipv4", "conf", "eth0.100", "arp_ignore"), because
in the dotted spelling the dot of an interface's name cannot be told from a separator.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from .errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Key = tuple[str, ...]

_PROC_SYS = "/proc/sys"

# How `all` and the interface's own value combine: IN_DEV_MAXCONF and IN_DEV_ORCONF in include/linux/inetdevice.h, in
# ip-sysctl.rst "the max value from conf/{all,interface}" and "at least one of conf/{all,interface}".
_MAX_OF_BOTH = frozenset({"arp_ignore", "arp_announce", "rp_filter"})
_EITHER_OF_BOTH = frozenset({"send_redirects", "accept_local"})

# What a network namespace starts with (ipv4_devconf in net/ipv4/devinet.c).
_KERNEL_DEFAULTS = {"arp_ignore": 0, "arp_announce": 0, "rp_filter": 0, "send_redirects": 1, "accept_local": 0}

IP_FORWARD: Key = ("net", "ipv4", "ip_forward")
IPV6_FORWARD: Key = ("net", "ipv6", "conf", "all", "forwarding")
# Two names of one setting (devinet_sysctl_forward)
_SAME_AS_IP_FORWARD: Key = ("net", "ipv4", "conf", "all", "forwarding")


class SysctlError(KernelError):
    """A setting could not be read or written; ``subject`` is its path."""


def conf_key(interface: str, name: str, family: str = "ipv4") -> Key:
    """net.FAMILY.conf.INTERFACE.NAME; the interface may be ``all`` or ``default``."""
    return ("net", family, "conf", interface, name)


def ipvs_key(name: str) -> Key:
    """net.ipv4.vs.NAME (Documentation/networking/ipvs-sysctl.rst)."""
    return ("net", "ipv4", "vs", name)


def same(key: Key) -> Key:
    """The name under which a setting with two names is known here."""
    return IP_FORWARD if key == _SAME_AS_IP_FORWARD else key


def path_of(key: Key) -> str:
    """The file of a setting. Raises ValueError for a part that would leave its directory."""
    if any(part in ("", ".", "..") or "/" in part for part in key):
        raise ValueError(f"{key!r} names no setting")
    return "/".join((_PROC_SYS, *key))


def exists(key: Key) -> bool:
    """Whether the running kernel has the setting; those of IPVS come with its module."""
    return os.path.exists(path_of(key))


def read(key: Key) -> str:
    """The running value. Raises SysctlError."""
    path = path_of(key)
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError as error:
        raise SysctlError(error.errno or 0, path, _advice(key)) from error


def write(key: Key, value: str) -> None:
    """Set the running value. Raises SysctlError."""
    path = path_of(key)
    try:
        # One write() call: the kernel takes each as a whole value.
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{value}\n".encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SysctlError(error.errno or 0, path, f"setting it to {value} failed; {_advice(key)}") from error


@contextlib.contextmanager
def secondaries_stay(interface: str) -> Iterator[None]:
    """Keep the kernel from deleting an IPv4 network's other addresses with its first one (ip-sysctl.rst).

    Raises SysctlError.
    """
    own = conf_key(interface, "promote_secondaries")
    if read(own) != "0" or read(conf_key("all", "promote_secondaries")) != "0":
        yield
        return
    write(own, "1")
    try:
        yield
    finally:
        write(own, "0")


def _advice(key: Key) -> str:
    if key[:2] == ("net", "ipv6") and not os.path.isdir(path_of(key[:2])):
        return "this kernel runs without IPv6 (ipv6.disable=1)"
    if key[2:3] == ("vs",) and not os.path.isdir(path_of(key[:3])):
        return "IPVS is not loaded: run `modprobe ip_vs`, and list it in /etc/modules-load.d"
    if key[2:3] == ("conf",):
        return f"check that interface {key[3]} exists and that this runs as root on a writable /proc/sys"
    return "check that the kernel has this setting and that this runs as root on a writable /proc/sys"


def effective(name: str, all_value: int, own_value: int, *, forwarding: bool = False) -> int:
    """The value the kernel acts on for one interface, from ``conf/all`` and the interface's own.

    ``forwarding`` is the interface's own setting of that name: ICMP redirects are for hosts, so that a router accepts
    them only if both say so, a host if either does (IN_DEV_RX_REDIRECTS). Raises KeyError for a setting whose rule is
    not known here.
    """
    if name in _MAX_OF_BOTH:
        return max(all_value, own_value)
    if name in _EITHER_OF_BOTH or (name == "accept_redirects" and not forwarding):
        return int(bool(all_value or own_value))
    if name == "accept_redirects":
        return int(bool(all_value and own_value))
    raise KeyError(name)


def undone(key: Key, planned: Mapping[Key, str]) -> str:
    """The running value of a setting that is no longer wanted.

    An interface gets what a new one would get, the value of ``conf/default``, as ``planned`` if it is in there;
    ``all``, ``default``, forwarding and IPVS get what the kernel starts with. Raises SysctlError.
    """
    if key in (IP_FORWARD, IPV6_FORWARD) or key[2:3] == ("vs",):
        return "0"
    interface, name = key[3:]
    if interface not in ("all", "default"):
        default = conf_key("default", name)
        return planned[default] if default in planned else read(default)
    if name == "accept_redirects":
        # Turning forwarding on or off sets this one of `all` to the opposite (inet_forward_change).
        forward = planned[IP_FORWARD] if IP_FORWARD in planned else read(IP_FORWARD)
        return "0" if interface == "all" and forward != "0" else "1"
    return str(_KERNEL_DEFAULTS[name])
