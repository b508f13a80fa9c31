# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings under /proc/sys, and the files of sysctl.d(5) that keep them over a reboot.

A setting is named by its path below /proc/sys as a tuple, ("net", "ipv4", "conf", "eth0.100", "arp_ignore"), because
in the dotted spelling the dot of an interface's name cannot be told from a separator.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Key = tuple[str, ...]

_PROC_SYS = "/proc/sys"
_FILE_HEADER = "# Kernel settings kept by the Ansible collection linuxha.lvs; see sysctl.d(5).\n"

# How `all` and the interface's own value combine. IN_DEV_MAXCONF and IN_DEV_ORCONF in include/linux/inetdevice.h;
# in ip-sysctl.rst "the max value from conf/{all,interface}" and "at least one of conf/{all,interface}".
_MAX_OF_BOTH = frozenset({"arp_ignore", "arp_announce", "rp_filter"})
_EITHER_OF_BOTH = frozenset({"send_redirects"})

# What a network namespace starts with (ipv4_devconf in net/ipv4/devinet.c).
_KERNEL_DEFAULTS = {"arp_ignore": 0, "arp_announce": 0, "rp_filter": 0, "send_redirects": 1}

IP_FORWARD: Key = ("net", "ipv4", "ip_forward")


class SysctlError(KernelError):
    """A setting could not be read or written; ``subject`` is its path."""


def conf_key(interface: str, name: str) -> Key:
    """net.ipv4.conf.INTERFACE.NAME; the interface may be ``all`` or ``default``."""
    return ("net", "ipv4", "conf", interface, name)


def path_of(key: Key) -> str:
    """The file of a setting. Raises ValueError for a part that would leave its directory."""
    if any(part in ("", ".", "..") or "/" in part for part in key):
        raise ValueError(f"{key!r} names no setting")
    return "/".join((_PROC_SYS, *key))


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


def _advice(key: Key) -> str:
    if key[:3] == ("net", "ipv4", "conf"):
        return f"check that interface {key[3]} exists and that this runs as root on a writable /proc/sys"
    return "check that the kernel has this setting and that this runs as root on a writable /proc/sys"


def effective(name: str, all_value: int, own_value: int) -> int:
    """The value the kernel acts on for one interface, from ``conf/all`` and the interface's own.

    Raises KeyError for a setting whose rule is not known here.
    """
    if name in _MAX_OF_BOTH:
        return max(all_value, own_value)
    if name in _EITHER_OF_BOTH:
        return int(bool(all_value or own_value))
    raise KeyError(name)


def undone(key: Key, planned: Mapping[Key, str]) -> str:
    """The running value of a setting that is no longer wanted.

    An interface gets what a new one would get, the value of ``conf/default``, as ``planned`` if it is in there;
    ``all``, ``default`` and ip_forward get what the kernel starts with. Raises SysctlError.
    """
    if key == IP_FORWARD:
        return "0"
    interface, name = key[3:]
    if interface in ("all", "default"):
        return str(_KERNEL_DEFAULTS[name])
    default = conf_key("default", name)
    return planned[default] if default in planned else read(default)


def spell(key: Key) -> str:
    """The name in a sysctl.d file: with dots, or with slashes when a part has a dot of its own."""
    return ("/" if any("." in part for part in key) else ".").join(key)


def parse_name(name: str) -> Key:
    """A name in a sysctl.d file. The first separator decides; after a dot, a slash stands for a dot (sysctl.d(5))."""
    if name.find("/") != -1 and not -1 < name.find(".") < name.find("/"):
        return tuple(name.split("/"))
    return tuple(part.replace("/", ".") for part in name.split("."))


def _parse_line(line: str) -> tuple[Key, str] | None:
    """Key and value, or None for a comment, an empty line or anything else that sets nothing."""
    text = line.strip()
    if not text or text[0] in "#;" or "=" not in text:
        return None
    name, value = text.split("=", 1)
    return parse_name(name.strip().lstrip("-")), value.strip()


def parse_file(text: str) -> dict[Key, str]:
    """What a sysctl.d file sets; of a setting given twice the last counts."""
    return dict(setting for setting in map(_parse_line, text.splitlines()) if setting)


def merge_file(text: str, changes: Mapping[Key, str | None]) -> str:
    """The file's new text with these settings, None meaning removed; all other lines stay as they are.

    A file left without any setting becomes "", for the caller to remove.
    """
    lines: list[str] = []
    pending = {key: value for key, value in changes.items() if value is not None}
    for line in text.splitlines():
        setting = _parse_line(line)
        if setting is None or setting[0] not in changes:
            lines.append(line)
        elif setting[0] in pending:
            value = pending.pop(setting[0])
            lines.append(line if setting[1] == value else f"{spell(setting[0])} = {value}")
    lines += [f"{spell(key)} = {value}" for key, value in pending.items()]
    if not any(map(_parse_line, lines)):
        return ""
    return ("" if text else _FILE_HEADER) + "".join(f"{line}\n" for line in lines)
