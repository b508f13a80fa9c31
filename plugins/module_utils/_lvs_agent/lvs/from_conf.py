# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that was checked and settled -> the plan of the IPVS table; pure.

Every word of ``virtual_server``, ``real_server`` and ``virtual_server_group``, and those of ``global_defs`` about IPVS,
with keepalived's defaults and from whom an unset word is inherited (keepalived.conf(5) of 2.2.7).
"""

from __future__ import annotations

import decimal
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from ..conf import address, model, values
from ..conf.merge import blocks
from ..conf.problem import BadValue, ConfigurationError, Problem
from ..conf.schema_lvs import REAL_SERVER, VIRTUAL_SERVER
from ..conf.validate import label
from ..health.from_conf import service_key
from ..health.plan import CheckPlan
from ..kernel.ipvs_types import FWD_DROUTE, FWD_MASQ, FWD_TUNNEL, Destination, Service, Timeouts
from ..kernel.ipvsadm import TUN_FLAG_NUMBERS, TUN_TYPE_NUMBERS, place
from . import from_conf_names, from_conf_services
from .plan import (
    Floor,
    FlushOnStop,
    LvsPlan,
    RealServerPlan,
    SorryPlan,
    SyncDaemonPlan,
    VirtualServerPlan,
)
from .sorry import server_key

Words = Mapping[str, Any]
_Checks = Mapping[tuple[str, str], list[CheckPlan]]

_SECOND = 1_000_000_000
_TWICE = ("write it once", "write it once; with DR and TUN its port counts for nothing")
_METHODS = {"NAT": FWD_MASQ, "DR": FWD_DROUTE, "TUN": FWD_TUNNEL}


def plan(configuration: Words, checks: Iterable[CheckPlan] = ()) -> LvsPlan:
    """The plan of a settled configuration (see conf/settle.py). Raises ConfigurationError.

    ``checks`` are those of health/from_conf.py, and of :mod:`.sorry`. The checks of conf/ come first; what is raised
    here is what they do not see.
    """
    said = configuration["global_defs"]
    found, problems = _virtual_servers(configuration, _by_server(checks))
    problems += _used_twice(configuration, found)
    if problems:
        raise ConfigurationError(problems)
    return LvsPlan(
        virtual_servers=tuple(found),
        sync_daemon=_sync_daemon(configuration),
        timeouts=_timeouts(said.get("lvs_timeouts")),
        flush=model.is_on(said.get("lvs_flush")),
        flush_on_stop=_flush_on_stop(said.get("lvs_flush_on_stop")),
        init_notifies=model.is_on(said.get("rs_init_notifies")),
        names=from_conf_names.names(configuration),
    )


def _by_server(checks: Iterable[CheckPlan]) -> dict[tuple[str, str], list[CheckPlan]]:
    found: dict[tuple[str, str], list[CheckPlan]] = {}
    for check in checks:
        found.setdefault((check.id.service, check.id.server), []).append(check)
    return found


def _virtual_servers(configuration: Words, checks: _Checks) -> tuple[list[VirtualServerPlan], list[Problem]]:
    groups = model.groups_of(configuration)
    holders = _holders(configuration)
    found: list[VirtualServerPlan] = []
    problems: list[Problem] = []
    for number, server in enumerate(configuration["virtual_server"]):
        where = f"virtual_server[{label(VIRTUAL_SERVER, server, number)}]"
        try:
            found.append(_virtual_server(server, groups, configuration["global_defs"], checks, holders))
        except _BadServer as bad:
            problems.append(Problem(f"{where}.real_server[{bad.label}]", bad.what, bad.instead))
        except BadValue as bad:
            problems.append(Problem(where, bad.what, bad.instead))
    return found, problems


def _used_twice(configuration: Words, found: Iterable[VirtualServerPlan]) -> list[Problem]:
    """Two virtual servers, or two entries of a group, that are one to the kernel."""
    owners: dict[Any, str] = {}
    problems: list[Problem] = []
    for one in found:
        for service in one.services:
            other = owners.setdefault(service.key, one.name)
            if other is not one.name:
                what = f"{service.key} is in {other} and in {one.name}"
                problems.append(Problem(_where(configuration, one.name), what, "write it once"))
    return problems


def _where(configuration: Words, name: str) -> str:
    """The last virtual server of that name."""
    places = [
        f"virtual_server[{label(VIRTUAL_SERVER, server, number)}]"
        for number, server in enumerate(configuration["virtual_server"])
        if service_key(server) == name
    ]
    return places[-1]


class _BadServer(BadValue):
    """A BadValue of one real server; ``label`` is its place."""

    def __init__(self, label: str, bad: BadValue) -> None:
        super().__init__(bad.what, bad.instead)
        self.label = label


# ---- virtual servers


def _virtual_server(
    server: Words,
    groups: Mapping[str, Words],
    said: Words,
    checks: _Checks,
    holders: Mapping[str, list[str]],
) -> VirtualServerPlan:
    name = service_key(server)
    services = from_conf_services.services(server, groups)
    families = {service.key.af for service in services}
    floor = str(server.get("depool_floor", "0"))
    suspends = model.is_on(server.get("ha_suspend")) and not any(service.key.fwmark for service in services)
    held = {holder for service in services for holder in holders.get(service.key.addr, ())} if suspends else ()
    return VirtualServerPlan(
        name=name,
        services=services,
        servers=_real_servers(server, name, families, said, checks),
        sorry=_sorry(server, name, families, checks),
        quorum=_whole(server, "quorum", 1),
        hysteresis=_whole(server, "hysteresis", 0),
        floor=Floor(int(floor.rstrip("%")), floor.endswith("%")),
        omega=model.is_on(server.get("omega")),
        holders=tuple(sorted(held)),
        served_by=_served_by(server, services, said, holders),
        quorum_up=_command(server.get("quorum_up")),
        quorum_down=_command(server.get("quorum_down")),
        smtp_alert=model.is_on(_mail(server, said)),
        keep_others=model.is_on(server.get("keep_other_servers")),
    )


def _holders(configuration: Words) -> dict[str, list[str]]:
    """Address -> the instances that hold it."""
    found: dict[str, list[str]] = {}
    for instance in configuration["vrrp_instance"]:
        for vip in model.all_vips(instance):
            found.setdefault(str(vip), []).append(str(instance.get("name")))
    return found


def _served_by(
    server: Words, services: Iterable[Service], said: Words, holders: Mapping[str, list[str]]
) -> tuple[tuple[str, ...], ...]:
    """``lvs_master_only``: whom each service follows. A firewall mark has no address, so it follows every instance."""
    if not model.is_on(server.get("lvs_master_only", said.get("lvs_master_only"))):
        return ()
    every = sorted({name for names in holders.values() for name in names})
    return tuple(
        tuple(every if service.key.fwmark else sorted(set(holders.get(service.key.addr, ())))) for service in services
    )


def _mail(server: Words, said: Words) -> Any:
    return server.get("smtp_alert", said.get("smtp_alert_checker", said.get("smtp_alert")))


def _command(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else str(value)


def _whole(block: Words, word: str, default: int) -> int:
    found = model.whole(block.get(word))
    return default if found is None else found


def _ns(value: Any) -> int:
    return int((values.number(value) or decimal.Decimal(0)) * _SECOND)


# ---- real servers


def _real_servers(
    server: Words, service: str, families: set[int], said: Words, checks: _Checks
) -> tuple[RealServerPlan, ...]:
    found: list[RealServerPlan] = []
    template = _Defaults(server, said)
    names: set[tuple[str, int | None]] = set()
    for number, real in enumerate(blocks(server.get("real_server"))):
        try:
            one = template.server(real, service, families, checks)
            place_of = one.destination
            # with DR and TUN the port is the packet's
            known = (place_of.addr, place_of.port if place_of.fwd_method == FWD_MASQ else None)
            if known in names:
                raise BadValue(f"the real server {one.name} is in this pool twice", _TWICE[known[1] is None])
            names.add(known)
            found.append(one)
        except BadValue as bad:
            raise _BadServer(label(REAL_SERVER, real, number), bad) from bad
    return tuple(found)


class _Defaults:
    """What the real servers of one virtual server inherit."""

    def __init__(self, server: Words, said: Words) -> None:
        self._method = method(server.get("lb_kind", model.DEFAULT_METHOD))
        self._methods: dict[str, tuple[int, int, int, int]] = {}
        self._weight = _whole(server, "weight", 1)
        self._inhibit = model.is_on(server.get("inhibit_on_failure"))
        self._slow_start = _ns(server.get("slow_start"))
        mail = said.get("smtp_alert_checker", said.get("smtp_alert"))
        self._mail = mail is None or model.is_on(mail)

    def server(self, real: Words, service: str, families: set[int], checks: _Checks) -> RealServerPlan:
        """One real server."""
        addr = str(real["ip"])
        family = socket.AF_INET6 if ":" in addr else socket.AF_INET
        forward = self._forward(real)
        if forward[0] != FWD_TUNNEL and families != {family}:
            what = "a real server of another address family than its virtual server is reached by tunnel only"
            raise BadValue(what, "write lb_kind TUN, or its other address")
        said = model.whole(real.get("port"))
        port = said or 0
        # health/from_conf.server_key, for an address that is settled already
        name = place(addr, port) if said is not None else addr
        own = checks.get((service, name), ())
        return RealServerPlan(
            name,
            Destination(
                family,
                addr,
                port,
                forward[0],
                _whole(real, "weight", self._weight),
                _whole(real, "uthreshold", 0),
                _whole(real, "lthreshold", 0),
                *forward[1:],
            ),
            tuple([check.id for check in own]),
            tuple([check.id for check in own if check.timing.alpha]),
            model.is_on(real["inhibit_on_failure"]) if "inhibit_on_failure" in real else self._inhibit,
            _ns(real["slow_start"]) if "slow_start" in real else self._slow_start,
            _command(real.get("notify_up")),
            _command(real.get("notify_down")),
            model.is_on(real["smtp_alert"]) if "smtp_alert" in real else self._mail,
        )

    def _forward(self, real: Words) -> tuple[int, int, int, int]:
        said = real.get("lvs_method")
        if said is None:
            return self._method
        known = self._methods.get(str(said))
        if known is None:
            known = self._methods[str(said)] = method(said)
        return known


def method(said: Any) -> tuple[int, int, int, int]:
    """A forwarding method with its options -> (fwd_method, tun_type, tun_port, tun_flags) of kernel/ipvs_types.py."""
    kind, *options = str(said).split()
    type_name = options[options.index("type") + 1] if "type" in options else "ipip"
    port = int(options[options.index("port") + 1]) if "port" in options else 0
    flags = TUN_FLAG_NUMBERS.get(options[-1], 0) if options else 0
    return _METHODS[kind], TUN_TYPE_NUMBERS[type_name], port, flags


def _sorry(server: Words, service: str, families: set[int], checks: _Checks) -> SorryPlan | None:
    said = str(server.get("sorry_server", "")).split()
    if not said:
        return None
    addr = str(address.parse(said[0]))
    port = int(said[1]) if len(said) > 1 else 0  # the packet keeps its own
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    forward = method(server.get("sorry_server_lvs_method", server.get("lb_kind", model.DEFAULT_METHOD)))
    if forward[0] != FWD_TUNNEL and families != {family}:
        what = "the sorry server has another address family than its virtual server"
        raise BadValue(what, "write sorry_server_lvs_method TUN, or its other address")
    destination = Destination(family, addr, port, forward[0], 1, 0, 0, *forward[1:])
    checked_port = port or model.whole(server.get("port"))
    name = place(addr, checked_port) if checked_port else addr
    own = tuple(one.id for one in checks.get((service, server_key(name)), ()))
    return SorryPlan(place(addr, port), destination, model.is_on(server.get("sorry_server_inhibit")), own)


# ---- global words


def _sync_daemon(configuration: Words) -> SyncDaemonPlan | None:
    """``INTERFACE [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]``."""
    lines = model.lines([configuration["global_defs"].get("lvs_sync_daemon", "")])
    if not lines:
        return None
    (interface, *rest) = lines[0]
    instance = ""
    if rest and rest[0] not in ("id", "maxlen", "port", "ttl", "group"):
        rest = rest[1:] if rest[0] == "inst" else rest
        instance, rest = rest[0], rest[1:]
    options = dict(zip(rest[::2], rest[1::2]))
    ids = {str(one.get("name")): _whole(one, "virtual_router_id", 0) for one in configuration["vrrp_instance"]}
    return SyncDaemonPlan(
        interface=interface,
        instance=instance,
        sync_id=int(options.get("id", ids.get(instance, 0))),
        maxlen=int(options.get("maxlen", 0)),
        port=int(options.get("port", 0)),
        ttl=int(options.get("ttl", 0)),
        group=str(address.parse(options["group"])) if "group" in options else "",
    )


def _timeouts(said: Any) -> Timeouts | None:
    """``[tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]``."""
    words = str(said).split() if said is not None else []
    options = {name: int(value) for name, value in zip(words[::2], words[1::2])}
    if not options:
        return None
    return Timeouts(options.get("tcp", 0), options.get("tcpfin", 0), options.get("udp", 0))


def _flush_on_stop(said: Any) -> FlushOnStop:
    if said is None or said is False:
        return FlushOnStop.NOTHING
    return FlushOnStop.OURS if str(said) == "VS" else FlushOnStop.EVERYTHING
