# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that was checked and settled -> the plan of the VRRP process; pure.

Every word of ``vrrp_instance``, ``vrrp_sync_group`` and ``global_defs`` that VRRP has a use for, with keepalived's
defaults, and from whom an unset one is inherited (keepalived.conf(5)).
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ..conf import address, model, values
from ..conf.merge import fields
from ..conf.problem import BadValue, ConfigurationError, Problem
from . import from_conf_addresses, from_conf_routes
from .instance import SECOND, Instance, Peer, auth_data
from .packet import AUTH_AH, AUTH_NONE, AUTH_PASS, ChecksumForm
from .plan import GroupPlan, Holding, InstancePlan, NotifyWords, Plan, Track, TrackKind, Vmac

Words = Mapping[str, Any]
T = TypeVar("T")

_RT_PRIORITY = 50
_AUTH_TYPES = {"PASS": AUTH_PASS, "AH": AUTH_AH}
# the IANA's address blocks for virtual routers (RFC 9568 section 7.3)
_VMAC = {4: "00:00:5e:00:01", 6: "00:00:5e:00:02"}
# what a weight is when nobody gives one: keepalived's default of the block that is named
_DEFAULT_WEIGHT = {TrackKind.SCRIPT: 0, TrackKind.PROCESS: 1, TrackKind.FILE: 1, TrackKind.INTERFACE: 0}
_BLOCK_OF = {
    TrackKind.SCRIPT: "vrrp_script",
    TrackKind.PROCESS: "vrrp_track_process",
    TrackKind.FILE: "track_file",
}


def plan(configuration: Words) -> Plan:
    """The plan of a settled configuration (see conf/settle.py). Raises ConfigurationError.

    The checks of conf/ come first; what is raised here is only what they leave to the kernel.
    """
    said = configuration["global_defs"]
    problems: list[Problem] = []
    groups = _each(configuration["vrrp_sync_group"], lambda one: _group(one, configuration), problems)
    grouped = {name for group in groups for name in group.members}
    instances = _each(configuration["vrrp_instance"], lambda one: _instance(one, configuration, grouped), problems)
    if problems:
        raise ConfigurationError(problems)
    known = {instance.name for instance in instances}
    return Plan(
        instances=tuple(instances),
        groups=tuple(group for group in groups if known.issuperset(group.members)),
        garp_interval=_ns(said.get("vrrp_garp_interval")),
        gna_interval=_ns(said.get("vrrp_gna_interval")),
        rt_priority=_whole(said, "vrrp_rt_priority", _RT_PRIORITY),
        rlimit_rttime_us=_whole(said, "vrrp_rlimit_rttime", 0),
        cpus=tuple(int(cpu) for cpu in str(said.get("vrrp_cpu_affinity", "")).split()),
        log_unknown_vrids=model.is_on(said.get("log_unknown_vrids")),
    )


def _each(blocks: Iterable[Words], make: Callable[[Words], T], problems: list[Problem]) -> list[T]:
    found: list[T] = []
    for block in blocks:
        try:
            found.append(make(block))
        except BadValue as bad:
            problems.append(Problem(str(block.get("name")), bad.what, bad.instead))
    return found


def _ns(value: Any) -> int:
    """Seconds as the file has them in nanoseconds, exactly."""
    return int((values.number(value) or decimal.Decimal(0)) * SECOND)


def _whole(block: Words, word: str, default: int) -> int:
    found = model.whole(block.get(word))
    return default if found is None else found


# ---- instances


def _instance(given: Words, configuration: Words, grouped: set[str]) -> InstancePlan:
    said = configuration["global_defs"]
    if model.is_on(given.get("no_accept")) or model.is_on(given.get("strict_mode", said.get("vrrp_strict"))):
        raise BadValue("no_accept and strict mode, which drop packets to the VIPs, are not supported", "remove them")
    interface = str(given.get("interface", given.get("vrf", "")))
    family = _family(given)
    vrid = _whole(given, "virtual_router_id", 0)
    vmac = _vmac(given, said, vrid, family)
    vips = _holdings(given, "virtual_ipaddress", interface, vmac)
    source_word = "unicast_src_ip" if model.lines(given.get("unicast_peer")) else "mcast_src_ip"
    source = address.try_parse(given.get(source_word) or given.get("mcast_src_ip") or given.get("unicast_src_ip"))
    peers = tuple(_peer(line) for line in model.lines(given.get("unicast_peer")))
    auth_type, secret = _authentication(given)
    group_word = "vrrp_mcast_group4" if family == 4 else "vrrp_mcast_group6"
    group = address.try_parse(given.get("mcast_dst_ip", said.get(group_word)))
    as_v2 = model.is_on(said.get("v3_checksum_as_v2"))
    instance = Instance(
        name=str(given["name"]),
        vrid=vrid,
        source=source.packed if source is not None else b"",
        addresses=tuple(holding.address for holding in vips if _fits(holding, family)),
        version=model.version(given, said),
        priority=model.priority(given),
        advert_int=int(model.interval(given) * SECOND),
        unicast_peers=peers,
        unicast_ttl=_whole(given, "unicast_ttl", 255),
        multicast_group=group.packed if group is not None else b"",
        check_unicast_src=model.is_on(given.get("check_unicast_src", said.get("vrrp_check_unicast_src"))),
        auth_type=auth_type,
        auth_data=secret,
        checksum_form=ChecksumForm.MESSAGE if as_v2 else ChecksumForm.PSEUDO_HEADER,
        nopreempt=model.is_on(given.get("nopreempt")),
        preempt_delay=_ns(given.get("preempt_delay")),
        startup_delay=_ns(said.get("vrrp_startup_delay")),
        down_timer_adverts=_whole(given, "down_timer_adverts", _whole(said, "vrrp_down_timer_adverts", 3)),
        lower_prio_no_advert=model.is_on(given.get("lower_prio_no_advert", said.get("vrrp_lower_prio_no_advert"))),
        higher_prio_send_advert=_answers_higher(given, said),
        in_group=str(given["name"]) in grouped,
        **_garp(given, said),
    )
    return InstancePlan(
        instance=instance,
        family=family,
        interface=interface,
        vips=vips,
        excluded=_holdings(given, "virtual_ipaddress_excluded", interface, vmac),
        routes=tuple(from_conf_routes.route(line) for line in model.lines(given.get("virtual_routes"))),
        rules=tuple(from_conf_routes.rule(line) for line in model.lines(given.get("virtual_rules"))),
        tracks=_tracks(given, configuration),
        track_source=model.is_on(given.get("track_src_ip")),
        track_primary=not model.is_on(given.get("dont_track_primary")),
        promote_secondaries=model.is_on(given.get("promote_secondaries")),
        no_peer_fault=model.is_on(given.get("unicast_fault_no_peer")) and not peers,
        vmac=vmac,
        notify=_notify(given, said),
    )


def _family(given: Words) -> int:
    """The addresses decide; without any it is the source's or the first peer's."""
    vips = model.vips(given)
    if vips:
        return vips[0].version
    candidates = [given.get("mcast_src_ip"), given.get("unicast_src_ip"), given.get("mcast_dst_ip")]
    candidates += [line[0] for line in model.lines(given.get("unicast_peer"))]
    return next((found for found in map(model.family, candidates) if found), 4)


def _fits(holding: Holding, family: int) -> bool:
    return len(holding.address) == (4 if family == 4 else 16)


def _holdings(given: Words, word: str, interface: str, vmac: Vmac | None) -> tuple[Holding, ...]:
    return tuple(
        from_conf_addresses.holding(line, interface, vmac=vmac is not None) for line in model.lines(given.get(word))
    )


def _peer(words: list[str]) -> Peer:
    options = dict(zip(words[1::2], map(int, words[2::2])))
    return Peer(address.parse(words[0]).packed, options.get("min_ttl", 0), options.get("max_ttl", 255))


def _authentication(given: Words) -> tuple[int, bytes]:
    block = fields(given.get("authentication"))
    if not block:
        return AUTH_NONE, bytes(8)
    return _AUTH_TYPES[str(block["auth_type"])], auth_data(str(block["auth_pass"]))


def _answers_higher(given: Words, said: Words) -> bool:
    """On unless the file says off: see ``Instance.higher_prio_send_advert``."""
    value = given.get("higher_prio_send_advert", said.get("vrrp_higher_prio_send_advert"))
    return value is None or model.is_on(value)


def _garp(given: Words, said: Words) -> dict[str, int]:
    """The garp_* words; ``vrrp_min_garp`` changes what the others are by default."""
    least = model.is_on(said.get("vrrp_min_garp"))
    delay = _whole(said, "vrrp_garp_master_delay", 0 if least else 5)
    repeat = _whole(said, "vrrp_garp_master_repeat", 1 if least else 5)
    inherited = {
        "garp_master_delay": delay,
        "garp_master_repeat": repeat,
        "garp_master_refresh": _whole(said, "vrrp_garp_master_refresh", 0),
        "garp_master_refresh_repeat": _whole(said, "vrrp_garp_master_refresh_repeat", 1),
        "garp_lower_prio_delay": _whole(said, "vrrp_garp_lower_prio_delay", delay),
        "garp_lower_prio_repeat": _whole(said, "vrrp_garp_lower_prio_repeat", repeat),
    }
    found = {word: _whole(given, word, value) for word, value in inherited.items()}
    seconds = ("garp_master_delay", "garp_master_refresh", "garp_lower_prio_delay")
    return {word: value * SECOND if word in seconds else value for word, value in found.items()}


def _vmac(given: Words, said: Words, vrid: int, family: int) -> Vmac | None:
    value = given.get("use_vmac")
    if value is None or value is False:
        return None
    if family == 6 and not model.is_on(given.get("vmac_xmit_base")):
        raise BadValue("use_vmac on IPv6 is only supported with vmac_xmit_base", "add vmac_xmit_base")
    prefix = str(said.get("vmac_prefix", "vrrp"))
    name = f"{prefix}.{vrid}" if family == 4 else f"{prefix}6.{vrid}"
    mac = f"{_VMAC[family]}:{vrid:02x}"
    words = [] if value is True else str(value).split()
    for word in words:
        if ":" in word:
            mac = word if word.count(":") == 5 else f"{word}:{vrid:02x}"
        elif word not in ("name", "netlink_notify_msg", "group"):
            name = word
    return Vmac(name, bytes.fromhex(mac.replace(":", "")), model.is_on(given.get("vmac_xmit_base")))


# ---- groups, tracking, notification


def _group(given: Words, configuration: Words) -> GroupPlan:
    return GroupPlan(
        str(given["name"]),
        tuple(line[0] for line in model.lines(given.get("group"))),
        _tracks(given, configuration),
        _notify(given, configuration["global_defs"]),
    )


def _tracks(given: Words, configuration: Words) -> tuple[Track, ...]:
    found: list[Track] = []
    for kind in TrackKind:
        defaults = _default_weights(configuration, kind)
        for line in model.lines(given.get(f"track_{kind.value}")):
            weight, reverse = _weight(line[2:]) or defaults.get(line[0], (_DEFAULT_WEIGHT[kind], False))
            found.append(Track(kind, line[0], weight, reverse))
    return tuple(found)


def _default_weights(configuration: Words, kind: TrackKind) -> dict[str, tuple[int, bool]]:
    """Name of a tracked block -> its own weight."""
    found: dict[str, tuple[int, bool]] = {}
    for block in configuration[_BLOCK_OF[kind]] if kind in _BLOCK_OF else ():
        own = _weight(str(block["weight"]).split()) if "weight" in block else None
        found[str(block.get("name"))] = own or (_DEFAULT_WEIGHT[kind], False)
    return found


def _weight(words: list[str]) -> tuple[int, bool] | None:
    """``NUMBER [reverse|noreverse]``; None without words."""
    return (int(words[0]), words[1:] == ["reverse"]) if words else None


def _notify(given: Words, said: Words) -> NotifyWords:
    def command(word: str) -> str:
        value = given.get(word)
        return "" if value is None or isinstance(value, bool) else str(value)

    mail = given.get("smtp_alert", said.get("smtp_alert_vrrp", said.get("smtp_alert")))
    changes = given.get("notify_priority_changes", said.get("vrrp_notify_priority_changes"))
    words = ("notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted")
    return NotifyWords(
        **{word: command(word) for word in (*words, "notify_master_rx_lower_pri")},
        deleted_state=given.get("notify_deleted") not in (None, False),
        smtp_alert=model.is_on(mail),
        notify_priority_changes=model.is_on(changes),
    )
