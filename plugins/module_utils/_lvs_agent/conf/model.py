# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about a configuration (see :mod:`.merge`) that checks, renderer and firewall all ask."""

from __future__ import annotations

import decimal
import ipaddress
import typing as t

from . import address, values
from .merge import Fields, fields, items
from .problem import BadValue
from .quoting import split

DEFAULT_PRIORITY = 100
OWNER = 255  # the priority of the owner of the address
DEFAULT_ALGORITHM = "wlc"
DEFAULT_METHOD = "NAT"
DEFAULT_PROTOCOL = "TCP"
_PLAIN = 10**18  # numbers below it are numbers for values.number, too


def whole(value: t.Any) -> int | None:
    """A whole number or None."""
    # nearly always one of these two, and a large file has a million of them
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and -_PLAIN < value < _PLAIN:
        return int(value)
    found = values.number(value)
    return int(found) if found is not None and found == found.to_integral_value() else None


def lines(value: t.Any) -> list[list[str]]:
    """The words of every readable line of a LINES word."""
    found: list[list[str]] = []
    for item in value if isinstance(value, (list, tuple)) else ():
        try:
            found.append(split(str(item)))
        except BadValue:
            continue
    return [line for line in found if line]


def vips(instance: t.Mapping[str, t.Any], *names: str) -> list[address.Address]:
    """The addresses of an instance, normalised: advertised ones, or those of the words ``names``."""
    found: list[address.Address] = []
    for name in names or ("virtual_ipaddress",):
        for line in lines(instance.get(name)):
            at = address.try_parse(line[0].partition("/")[0])
            if at is not None:
                found.append(at)
    return found


def all_vips(instance: t.Mapping[str, t.Any]) -> list[address.Address]:
    """Advertised and excluded addresses of an instance."""
    return vips(instance, "virtual_ipaddress", "virtual_ipaddress_excluded")


def version(instance: t.Mapping[str, t.Any], global_defs: t.Mapping[str, t.Any]) -> int:
    """The VRRP version an instance speaks: its own, IPv6's 3, the global one, or 2."""
    # keepalived sends version 2 with IPv6, too, where the instance says so; vrrp_version does not
    own = whole(instance.get("version"))
    if own:
        return own
    if any(at.version == 6 for at in vips(instance)):
        return 3
    return whole(global_defs.get("vrrp_version")) or 2


def priority(instance: t.Mapping[str, t.Any]) -> int:
    """The priority an instance has: its own, or keepalived's defaults, 255 for state MASTER and 100."""
    said = whole(instance.get("priority"))
    if said is not None:
        return said
    return OWNER if instance.get("state") == "MASTER" else DEFAULT_PRIORITY


def interval(instance: t.Mapping[str, t.Any]) -> decimal.Decimal:
    """Seconds between adverts; 1 when not given or not readable."""
    return values.number(instance.get("advert_int")) or decimal.Decimal(1)


def method(server: t.Mapping[str, t.Any], word: str, default: str = DEFAULT_METHOD) -> str:
    """NAT, DR or TUN, without TUN's options."""
    said = server.get(word)
    words = str(said).split() if said is not None else ()
    return words[0] if words else default


def is_on(value: t.Any) -> bool:
    """A flag or switch that is set."""
    return values.boolean(value) is True


def signs(instance: t.Mapping[str, t.Any]) -> bool:
    """The instance's adverts have an authentication header (AH)."""
    given = instance.get("authentication")
    return isinstance(given, t.Mapping) and given.get("auth_type") == "AH"


def is_persistent(server: t.Mapping[str, t.Any]) -> bool:
    """Whether a virtual server is persistent: with a ``persistence_timeout``, or ``persistence_granularity`` alone."""
    said = server.get("persistence_timeout")
    if said is None:
        return server.get("persistence_granularity") is not None
    return said is True or bool(values.number(said))


def is_mark_only(server: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Mapping[str, t.Any]]) -> bool:
    """The virtual server is given by firewall marks alone, so it has no protocol and no port."""
    if server.get("fwmark") is not None:
        return True
    entries = lines(groups.get(str(server.get("group")), {}).get("entries"))
    return bool(entries) and all(entry[0] == "fwmark" for entry in entries)


def groups_of(configuration: t.Mapping[str, t.Any]) -> dict[str, Fields]:
    """The virtual server groups by name."""
    return {str(group.get("name")): group for group in configuration.get("virtual_server_group", [])}


def real_servers(server: t.Mapping[str, t.Any]) -> list[Fields]:
    """The real servers of a virtual server, ranges written out, addresses normalised where readable."""
    found: list[Fields] = []
    for real in items(server.get("real_server")):
        given = fields(real)
        said = str(given.get("ip"))
        try:
            addresses = [str(at) for at in address.expand(said)]
        except BadValue:
            addresses = [said]
        found += [{**given, "ip": at} for at in addresses]
    return found


def virtual_addresses(configuration: t.Mapping[str, t.Any]) -> set[address.Address]:
    """Every VIP of a configuration: of its instances, its virtual servers and their groups."""
    found = {at for instance in configuration["vrrp_instance"] for at in all_vips(instance)}
    for server in configuration["virtual_server"]:
        at = address.try_parse(server.get("ip"))
        found |= {at} if at is not None else set()
    for group in configuration["virtual_server_group"]:
        for entry in lines(group.get("entries")):
            try:
                found |= set(address.expand(entry[0])) if entry[0] != "fwmark" else set()
            except BadValue:
                continue
    return found


def sync_daemon_interfaces(configuration: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """(interface, instance) of every sync daemon asked for; the instance is "" when none is named."""
    found: list[tuple[str, str]] = []
    said = configuration["global_defs"].get("lvs_sync_daemon")
    for line in lines([said] if said is not None else []):
        rest = line[2:] if line[1:2] == ["inst"] else line[1:]
        options = ("id", "maxlen", "port", "ttl", "group")
        found.append((line[0], rest[0] if rest and rest[0] not in options else ""))
    for instance in configuration["vrrp_instance"]:
        if instance.get("lvs_sync_daemon_interface") is not None:
            found.append((str(instance["lvs_sync_daemon_interface"]), str(instance.get("name"))))
    return found


_NOTIFY = ("notify_master", "notify_backup", "notify_fault", "notify_stop", "notify", "notify_deleted")
_SCRIPT_WORDS: t.Mapping[str, tuple[str, ...]] = {
    "global_defs": (
        "startup_script",
        "shutdown_script",
        "notify_fifo_script",
        "vrrp_notify_fifo_script",
        "lvs_notify_fifo_script",
    ),
    "vrrp_sync_group": _NOTIFY,
    "vrrp_instance": (*_NOTIFY, "notify_master_rx_lower_pri"),
    "virtual_server": ("quorum_up", "quorum_down"),
    "real_server": ("notify_up", "notify_down"),
}


def script_words(block_name: str) -> tuple[str, ...]:
    """The words of a block that make keepalived run a script."""
    return _SCRIPT_WORDS.get(block_name, ())


def has_scripts(configuration: t.Mapping[str, t.Any]) -> bool:
    """keepalived will run at least one script."""

    def runs(name: str, block: t.Mapping[str, t.Any]) -> bool:
        return any(block.get(word) not in (None, False, True) for word in script_words(name))

    if configuration["vrrp_script"] or runs("global_defs", configuration["global_defs"]):
        return True
    for name in ("vrrp_sync_group", "vrrp_instance", "virtual_server"):
        if any(runs(name, block) for block in configuration[name]):
            return True
    reals = [real for server in configuration["virtual_server"] for real in items(server.get("real_server"))]
    return any(runs("real_server", fields(real)) or "MISC_CHECK" in fields(real) for real in reals)


def family(text: t.Any) -> int | None:
    """4 or 6 for an address, else None."""
    at: ipaddress.IPv4Address | ipaddress.IPv6Address | None = address.try_parse(text)
    return at.version if at is not None else None
