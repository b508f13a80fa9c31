# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong within one director's VRRP blocks although every single word is right."""

from __future__ import annotations

import decimal
import typing as t

from ..spelling import nearest
from . import address, fixed_priority, model, values
from .advert_room import ETHERNET_MTU, room
from .director import Director
from .merge import blocks, fields
from .problem import ERROR, WARNING, Problem

Instance = t.Mapping[str, t.Any]
_MOST_NAMED = 5  # VIPs in a message
_HIGHEST_V3 = decimal.Decimal("40.95")


def problems(director: Director) -> list[Problem]:
    """All findings in the VRRP part of one director."""
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        for check in (_interval, _authentication, _families, _room, _start, _sources, _tracking):
            found += check(director, instance)
    found += _routers_used_twice(director)
    found += _addresses_used_twice(director)
    found += _groups(director)
    found += _weights(director)
    found += _sync_daemons(director)
    return found


def _interval(director: Director, instance: Instance) -> list[Problem]:
    where, interval = director.path(instance, "advert_int"), model.interval(instance)
    version = model.version(instance, director.configuration["global_defs"])
    whole = interval == interval.to_integral_value()
    if version == 2 and not whole:
        what = f"{interval} s is not a whole number of seconds, and VRRPv2 knows no other"
        return [director.problem(where, what, "write whole seconds, or version 3 in the instance")]
    if version == 3 and interval > _HIGHEST_V3:
        return [director.problem(where, f"{interval} s is above {_HIGHEST_V3} s, the limit of VRRPv3")]
    if version == 3 and interval * 100 != (interval * 100).to_integral_value():
        return [director.problem(where, f"{interval} s is not a multiple of 0.01 s, the unit of VRRPv3")]
    return []


def _authentication(director: Director, instance: Instance) -> list[Problem]:
    if "authentication" not in instance:
        return []
    where, given = director.path(instance, "authentication"), fields(instance["authentication"])
    global_defs = director.configuration["global_defs"]
    found: list[Problem] = []
    length = len(str(given.get("auth_pass", "")).encode())
    if length > 8:
        what = f"it has {length} bytes, and the first 8 are used"
        found.append(director.problem(f"{where}.auth_pass", what, "write 8 characters or fewer", WARNING))
    if model.version(instance, global_defs) == 3 or any(at.version == 6 for at in model.vips(instance)):
        advice = "remove it, or use version 2 with IPv4"
        found.append(director.problem(where, "VRRPv3 (and IPv6 with it) has no authentication", advice))
    elif model.is_on(global_defs.get("vrrp_strict")) or model.is_on(instance.get("strict_mode")):
        found.append(director.problem(where, "strict mode has no authentication", "remove one of the two"))
    return found


def _families(director: Director, instance: Instance) -> list[Problem]:
    vips = model.vips(instance)
    found: list[Problem] = []
    if len({at.version for at in vips}) > 1:
        where = director.path(instance, "virtual_ipaddress")
        found.append(
            director.problem(
                where,
                "it mixes IPv4 and IPv6",
                "make an instance for each, or move one kind to virtual_ipaddress_excluded",
            )
        )
        return found
    family = vips[0].version if vips else None
    for word in ("mcast_src_ip", "unicast_src_ip", "mcast_dst_ip"):
        own = model.family(instance.get(word))
        if own is not None and family is not None and own != family:
            what = f"it is IPv{own}, the instance's addresses are IPv{family}"
            found.append(director.problem(director.path(instance, word), what))
    for peer in model.lines(instance.get("unicast_peer")):
        own = model.family(peer[0])
        if own is not None and family is not None and own != family:
            what = f"{peer[0]} is IPv{own}, the instance's addresses are IPv{family}"
            found.append(director.problem(director.path(instance, "unicast_peer"), what))
    return found


def _room(director: Director, instance: Instance) -> list[Problem]:
    """More VIPs than an advert has room for: keepalived treats the rest as excluded ones."""
    vips = model.vips(instance)
    families = {at.version for at in vips}
    if len(families) != 1:
        return []
    version = model.version(instance, director.configuration["global_defs"])
    most = room(ETHERNET_MTU, families.pop(), version, signed=model.signs(instance))
    if len(vips) <= most:
        return []
    rest = vips[most:]
    names = ", ".join(map(str, rest[:_MOST_NAMED]))
    names += f" and {len(rest) - _MOST_NAMED} more" if len(rest) > _MOST_NAMED else ""
    what = f"an advert has room for {most} of its {len(vips)} VIPs (MTU {ETHERNET_MTU}); not in the adverts: {names}"
    where = director.path(instance, "virtual_ipaddress")
    return [director.problem(where, what, "move them to virtual_ipaddress_excluded", WARNING)]


def _start(director: Director, instance: Instance) -> list[Problem]:
    found: list[Problem] = []
    state, priority = instance.get("state"), model.whole(instance.get("priority"))
    where = director.path(instance, "state")
    if priority == 255 and state == "BACKUP":
        what = "priority 255 is the owner of the address, which starts as MASTER"
        found.append(director.problem(where, what, "write state MASTER, or a priority below 255"))
    for word in ("nopreempt", "preempt_delay"):
        value = instance.get(word)
        used = model.is_on(value) if word == "nopreempt" else bool(values.number(value))
        if state == "MASTER" and used:
            found.append(director.problem(where, f"{word} does not work with state MASTER", "write state BACKUP"))
    if state == "MASTER" and model.signs(instance):
        found.append(
            director.problem(where, "keepalived starts no instance with AH as MASTER", "it is left out", WARNING)
        )
    if model.is_on(instance.get("nopreempt")) and model.is_on(instance.get("preempt")):
        found.append(
            director.problem(director.path(instance, "preempt"), "it contradicts nopreempt", "keep one of them")
        )
    if str(instance.get("interface")) == "lo":
        what = "VRRP cannot run on the loopback interface"
        found.append(director.problem(director.path(instance, "interface"), what, "write the interface of the network"))
    if model.is_on(instance.get("vmac_xmit_base")) and not instance.get("use_vmac"):
        found.append(
            director.problem(director.path(instance, "vmac_xmit_base"), "it needs use_vmac", "add use_vmac")
        )
    if instance.get("vrf") is not None and instance.get("interface") is not None:
        what = "an instance has an interface or a VRF, and keepalived ignores one of them"
        found.append(director.problem(director.path(instance, "vrf"), what, "remove it: the interface is in its VRF"))
    return found


def _sources(director: Director, instance: Instance) -> list[Problem]:
    peers = {address.try_parse(line[0]) for line in model.lines(instance.get("unicast_peer"))} - {None}
    own = address.try_parse(instance.get("unicast_src_ip"))
    found: list[Problem] = []
    if own is not None and own in peers:
        where = director.path(instance, "unicast_peer")
        found.append(director.problem(where, f"{own} is this director itself", "list the other directors only"))
    vips = {at: str(one.get("name")) for one in director.configuration["vrrp_instance"] for at in model.all_vips(one)}
    for word in ("unicast_src_ip", "mcast_src_ip"):
        source = address.try_parse(instance.get(word))
        if source in vips:
            what = f"{source} is a VIP of {vips[source]}, and moves to another host: lvs-agent sends no adverts from it"
            found.append(director.problem(director.path(instance, word), what, "write an address that stays", WARNING))
    unicast_words = ("unicast_src_ip", "check_unicast_src", "unicast_ttl", "old_unicast_checksum")
    for word in unicast_words if "unicast_peer" not in instance else ():
        if instance.get(word) is not None and instance[word] is not False:
            found.append(
                director.problem(director.path(instance, word), "there is no unicast_peer", "list the other directors")
            )
    if peers and "mcast_dst_ip" in instance:
        found.append(
            director.problem(director.path(instance, "mcast_dst_ip"), "the instance is unicast", "remove one of them")
        )
    return found


def _tracking(director: Director, instance: Instance) -> list[Problem]:
    found = _scripts(director, instance, director.path(instance, "track_script"))
    interface = str(instance.get("interface"))
    if [interface] in [line[:1] for line in model.lines(instance.get("track_interface"))]:
        where = director.path(instance, "track_interface")
        what = f"{interface} is the instance's own interface, which it tracks anyway"
        found.append(director.problem(where, what, "it is left out", WARNING))
    return found


def _scripts(director: Director, block: t.Mapping[str, t.Any], where: str) -> list[Problem]:
    known = [str(script.get("name")) for script in director.configuration["vrrp_script"]]
    unknown = [line[0] for line in model.lines(block.get("track_script")) if line[0] not in known]
    advice = "there is no vrrp_script at all" if not known else ""
    return [
        director.problem(where, f"there is no vrrp_script {name}", advice or nearest(name, known)) for name in unknown
    ]


def _routers_used_twice(director: Director) -> list[Problem]:
    seen: dict[tuple[t.Any, ...], str] = {}
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        number = model.whole(instance.get("virtual_router_id"))
        families = sorted({at.version for at in model.vips(instance)})
        if number is None or not families:
            continue
        peers = tuple(sorted(line[0] for line in model.lines(instance.get("unicast_peer"))))
        key = (number, str(instance.get("interface")), families[0], str(instance.get("mcast_dst_ip")), peers)
        if key in seen:
            place = f"on {instance.get('interface')} for IPv{families[0]}"
            what = f"VRID {number} is already used by {seen[key]} {place}"
            found.append(
                director.problem(director.path(instance, "virtual_router_id"), what, "choose another from 1 to 255")
            )
        seen.setdefault(key, str(instance.get("name")))
    return found


def _addresses_used_twice(director: Director) -> list[Problem]:
    seen: dict[address.Address, tuple[str, list[str]]] = {}
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        name = str(instance.get("name"))
        for word in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
            for line in model.lines(instance.get(word)):
                at = address.try_parse(line[0].partition("/")[0])
                if at is None:
                    continue
                owner, options = seen.setdefault(at, (name, line))
                if options is line:
                    continue
                twice = "twice here" if owner == name else f"in {owner} too"
                # with another label or interface, keepalived takes it, and the kernel decides
                severity = WARNING if owner == name and options[1:] != line[1:] else ERROR
                where = director.path(instance, word)
                found.append(director.problem(where, f"the VIP {at} is {twice}", "write it once", severity))
    return found


def _groups(director: Director) -> list[Problem]:
    known = list(director.instances())
    found: list[Problem] = []
    owners: dict[str, str] = {}
    for group in director.configuration["vrrp_sync_group"]:
        name = str(group.get("name"))
        where = f"director_vrrp_sync_groups[{name}].group"
        members = [line[0] for line in model.lines(group.get("group"))]
        for member in members:
            if member not in known:
                found.append(director.problem(where, f"there is no vrrp_instance {member}", nearest(member, known)))
            if member in owners:
                found.append(
                    director.problem(where, f"{member} is in {owners[member]} already", "an instance has one group")
                )
            owners.setdefault(member, name)
        if len(members) == 1 and set(group) - {"name", "group"}:
            what = "keepalived refuses a group of one instance"
            found.append(director.problem(where, what, f"write the other words of the group in {members[0]}"))
        found += _scripts(director, group, f"director_vrrp_sync_groups[{name}].track_script")
    return found


def _weights(director: Director) -> list[Problem]:
    """Weights where nothing may change the priority."""
    reasons = fixed_priority.reasons(director.configuration)
    blocks_of = {"track_script": "vrrp_script", "track_file": "track_file", "track_bfd": "bfd_instance"}
    own_weights = {
        word: {str(one.get("name")): one.get("weight") for one in blocks(director.configuration.get(key))}
        for word, key in blocks_of.items()
    }
    found: list[Problem] = []
    for name, instance in director.instances().items():
        if name not in reasons:
            continue
        owner = fixed_priority.is_owner(instance)
        for word in (*blocks_of, "track_interface"):
            for line in model.lines(instance.get(word)):
                own = line[2] if line[1:2] == ["weight"] and len(line) > 2 else own_weights.get(word, {}).get(line[0])
                default = "1" if word == "track_file" else "0"
                weight = model.whole((str(own).split() or [default])[0] if own is not None else default)
                done = fixed_priority.treatment(word, weight or 0, said=own is not None, owner=owner)
                if done:
                    what = f"{line[0]} has a weight and {done}: {reasons[name]}"
                    advice = "write weight 0" + (
                        "" if owner else ", track it in the group, or write sync_group_tracking_weight there"
                    )
                    found.append(director.problem(director.path(instance, word), what, advice, WARNING))
    return found


def _sync_daemons(director: Director) -> list[Problem]:
    wanted = model.sync_daemon_interfaces(director.configuration)
    found: list[Problem] = []
    if len(wanted) > 1:
        what = "the kernel runs one sync daemon, and more than one is configured: " + ", ".join(
            f"{interface} for {instance or 'no instance'}" for interface, instance in wanted
        )
        found.append(
            director.problem("director_vrrp_instances", what, "keep lvs_sync_daemon_interface in one instance")
        )
    known = list(director.instances())
    for _interface, instance in wanted:
        if instance and instance not in known:
            where = "director_global_defs.lvs_sync_daemon"
            found.append(director.problem(where, f"there is no vrrp_instance {instance}", nearest(instance, known)))
    return found
