# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that was checked and settled -> the plan of the VRRP process; pure.

Every word of ``vrrp_instance``, ``vrrp_sync_group`` and ``global_defs`` that VRRP has a use for, with keepalived's
defaults, and from whom an unset one is inherited (keepalived.conf(5)).
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..conf import address, check_limits, fixed_priority, model, values
from ..conf.merge import fields
from ..conf.problem import BadValue, ConfigurationError, Problem
from ..kernel import route_names
from . import from_conf_addresses, from_conf_routes, from_conf_static, from_conf_vmac
from .instance import SECOND, Instance, Peer, auth_data
from .packet import AUTH_AH, AUTH_NONE, AUTH_PASS, ChecksumForm
from .plan import GarpGroup, GroupPlan, Holding, InstancePlan, LinkDelay, NotifyWords, Plan, Track, TrackKind

Words = Mapping[str, Any]
T = TypeVar("T")

_RT_PRIORITY = 50
_AUTH_TYPES = {"PASS": AUTH_PASS, "AH": AUTH_AH}
# what a weight is when nobody gives one, in keepalived 2.2.7 and 2.3.3; of processes their manual says 1
_DEFAULT_WEIGHT = {TrackKind.SCRIPT: 0, TrackKind.PROCESS: 0, TrackKind.FILE: 1, TrackKind.INTERFACE: 0}
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
    names = _names(said)
    groups = [_group(one, configuration) for one in configuration["vrrp_sync_group"]]
    instances: list[InstancePlan] = []
    fixed = fixed_priority.reasons(configuration)
    for one in configuration["vrrp_instance"]:
        reading = _Instance(one, configuration, names, problems, fixed=str(one.get("name")) in fixed)
        try:
            instances.append(reading.plan())
        except BadValue as bad:
            problems.append(Problem(reading.where, bad.what, bad.instead))
    static = from_conf_static.plan(configuration, names, problems)
    if problems:
        raise ConfigurationError(problems)
    known = {instance.name for instance in instances}
    return Plan(
        instances=tuple(instances),
        groups=tuple(group for group in groups if known.issuperset(group.members)),
        garp_interval=_ns(said.get("vrrp_garp_interval")),
        gna_interval=_ns(said.get("vrrp_gna_interval")),
        rt_priority=_whole(said, "vrrp_rt_priority", _RT_PRIORITY),
        rlimit_rttime_us=check_limits.used("vrrp_rlimit_rttime", _whole(said, "vrrp_rlimit_rttime", 0)),
        cpus=tuple(int(cpu) for cpu in str(said.get("vrrp_cpu_affinity", "")).split()),
        log_unknown_vrids=model.is_on(said.get("log_unknown_vrids")),
        static=static,
        garp_groups=tuple(_garp_group(one) for one in configuration["garp_group"]),
        link_delays=tuple(_link_delay(line) for line in model.lines(configuration["interface_up_down_delays"])),
        after_boot=_ns(said.get("vrrp_delay_after_boot")),
        disable_local_igmp=model.is_on(said.get("disable_local_igmp")),
    )


def _names(said: Words) -> route_names.Names:
    """iproute2's names, from where the file says that they are."""
    usr, etc = route_names.DIRECTORIES
    return route_names.Names((str(said.get("iproute_usr_dir", usr)), str(said.get("iproute_etc_dir", etc))))


def _garp_group(given: Words) -> GarpGroup:
    interfaces = [line[0] for line in model.lines(given.get("interfaces"))]
    if "interface" in given:
        interfaces.append(str(given["interface"]))
    intervals = [_ns(given[word]) if word in given else None for word in ("garp_interval", "gna_interval")]
    return GarpGroup(tuple(interfaces), *intervals)


def _link_delay(words: list[str]) -> LinkDelay:
    return LinkDelay(words[0], _ns(words[1]), _ns(words[-1]))


def _ns(value: Any) -> int:
    """Seconds as the file has them in nanoseconds, exactly."""
    return int((values.number(value) or decimal.Decimal(0)) * SECOND)


def _whole(block: Words, word: str, default: int) -> int:
    found = model.whole(block.get(word))
    return default if found is None else found


# ---- instances


class _Instance:
    """One ``vrrp_instance`` being read. ``where`` is its path; problems of a line are appended with the line's.

    ``fixed``: nothing that it tracks may change its priority.
    """

    def __init__(
        self, given: Words, configuration: Words, names: route_names.Names, problems: list[Problem], *, fixed: bool
    ) -> None:
        self._given = given
        self._fixed = fixed
        self._configuration = configuration
        self._said: Words = configuration["global_defs"]
        self._names = names
        self._problems = problems
        self._family = _family(given)
        self._vrid = _whole(given, "virtual_router_id", 0)
        self.where = f"vrrp_instance[{given.get('name')}]"

    def plan(self) -> InstancePlan:
        """Raises BadValue."""
        given, said, family = self._given, self._said, self._family
        interface = str(given.get("interface", given.get("vrf", "")))
        vmac = from_conf_vmac.own(given, said, self._vrid, family)
        more = from_conf_vmac.More(given, said, self._vrid, family, vmac)

        def addresses(word: str) -> tuple[Holding, ...]:
            on_vmac = vmac is not None
            read = self._lines(word, lambda line: from_conf_addresses.holding(line, interface, vmac=on_vmac))
            return more.placed(read)

        vips, excluded = addresses("virtual_ipaddress"), addresses("virtual_ipaddress_excluded")
        instance = self._instance(vips)
        extra = str(given.get("garp_extra_if", said.get("vrrp_garp_extra_if", "0"))).split()
        return InstancePlan(
            instance=instance,
            family=family,
            interface=interface,
            vips=vips,
            excluded=excluded,
            routes=self._lines("virtual_routes", lambda line: from_conf_routes.route(line, self._names)),
            rules=self._lines("virtual_rules", lambda line: from_conf_routes.rule(line, self._names)),
            tracks=_tracks(given, self._configuration, fixed=self._fixed),
            track_primary=not model.is_on(given.get("dont_track_primary")),
            promote_secondaries=model.is_on(given.get("promote_secondaries")),
            garp_extra_if=_ns(extra[-1]),
            garp_extra_all=extra[0] == "all",
            no_peer_fault=model.is_on(given.get("unicast_fault_no_peer")) and not instance.unicast_peers,
            vmac=vmac,
            more_vmacs=more.vmacs,
            notify=_notify(given, said),
        )

    def _instance(self, vips: tuple[Holding, ...]) -> Instance:
        given, said, family = self._given, self._said, self._family
        source_word = "unicast_src_ip" if model.lines(given.get("unicast_peer")) else "mcast_src_ip"
        source = address.try_parse(given.get(source_word) or given.get("mcast_src_ip") or given.get("unicast_src_ip"))
        peers = tuple(_peer(line) for line in model.lines(given.get("unicast_peer")))
        auth_type, secret = _authentication(given)
        group_word = "vrrp_mcast_group4" if family == 4 else "vrrp_mcast_group6"
        group = address.try_parse(given.get("mcast_dst_ip", said.get(group_word)))
        old = given.get("old_unicast_checksum")
        return Instance(
            name=str(given["name"]),
            vrid=self._vrid,
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
            checksum_form=_checksum_form(given, said),
            accept_old_checksum=bool(peers) and old != "never",
            nopreempt=model.is_on(given.get("nopreempt")),
            preempt_delay=_ns(given.get("preempt_delay")),
            startup_delay=_ns(said.get("vrrp_startup_delay")),
            down_timer_adverts=_whole(given, "down_timer_adverts", _whole(said, "vrrp_down_timer_adverts", 3)),
            lower_prio_no_advert=model.is_on(given.get("lower_prio_no_advert", said.get("vrrp_lower_prio_no_advert"))),
            higher_prio_send_advert=_answers_higher(given, said),
            **_garp(given, said),
        )

    def _lines(self, word: str, make: Callable[[list[str]], T]) -> tuple[T, ...]:
        found: list[T] = []
        for number, line in enumerate(model.lines(self._given.get(word))):
            try:
                found.append(make(line))
            except BadValue as bad:
                self._problems.append(Problem(f"{self.where}.{word}[{number}]", bad.what, bad.instead))
        return tuple(found)


def _checksum_form(given: Words, said: Words) -> ChecksumForm:
    old = given.get("old_unicast_checksum")
    if old is not None and old is not False and old != "never" and model.lines(given.get("unicast_peer")):
        return ChecksumForm.OLD_UNICAST
    if model.is_on(said.get("v3_checksum_as_v2")):
        return ChecksumForm.MESSAGE
    return ChecksumForm.PSEUDO_HEADER


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
    found = {word: check_limits.used(word, _whole(given, word, value)) for word, value in inherited.items()}
    seconds = ("garp_master_delay", "garp_master_refresh", "garp_lower_prio_delay")
    return {word: value * SECOND if word in seconds else value for word, value in found.items()}


# ---- groups, tracking, notification


def _group(given: Words, configuration: Words) -> GroupPlan:
    return GroupPlan(
        str(given["name"]),
        tuple(line[0] for line in model.lines(given.get("group"))),
        _tracks(given, configuration),
        _notify(given, configuration["global_defs"]),
    )


def _tracks(given: Words, configuration: Words, *, fixed: bool = False) -> tuple[Track, ...]:
    """``fixed``: the priority must not change."""
    found: list[Track] = []
    owner = fixed_priority.is_owner(given)
    for kind in TrackKind:
        word = f"track_{kind.value}"
        weights = _own_weights(configuration, kind)
        for line in model.lines(given.get(word)):
            said = _weight(line[2:]) or weights.get(line[0])
            weight, reverse = said or (_DEFAULT_WEIGHT[kind], False)
            done = fixed_priority.treatment(word, weight, said=said is not None, owner=owner) if fixed else ""
            if done != fixed_priority.IGNORED:
                found.append(Track(kind, line[0], 0 if done == fixed_priority.WITHOUT_WEIGHT else weight, reverse))
    return tuple(found)


def _own_weights(configuration: Words, kind: TrackKind) -> dict[str, tuple[int, bool]]:
    """Name of a tracked block -> the weight that is written there."""
    blocks = configuration[_BLOCK_OF[kind]] if kind in _BLOCK_OF else ()
    weights = {str(block.get("name")): _weight(str(block["weight"]).split()) for block in blocks if "weight" in block}
    return {name: weight for name, weight in weights.items() if weight is not None}


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
