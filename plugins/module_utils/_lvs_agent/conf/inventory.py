# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's variables as the files of a ready inventory."""

from __future__ import annotations

import re
import textwrap
import typing as t

from . import model, yaml_text
from .merge import merge
from .problem import BadValue
from .site import Site

GROUP_FILE = "group_vars/directors.yml"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_SECRETS = re.compile(r"^\s*(?:- )?(auth_pass|key): ", re.MULTILINE)


def files(site: Site, addresses: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Path in the inventory -> text: ``hosts.yml``, the group's variables, each host's.

    ``addresses`` are those by which the hosts are reached, over those that the files tell. Raises :class:`BadValue`
    for a host's name that cannot be one.
    """
    for name in site.hosts:
        check_name(name)
    hosts = {name: {"ansible_host": at} for name, at in {**site.addresses, **(addresses or {})}.items()}
    listed = {name: hosts.get(name, {}) for name in site.hosts}
    head = ["The directors are reached, and send VRRP, by ansible_host."]
    if not all(listed.values()):
        head.append("It is missing where no file tells it: write the host's address.")
    for note in site.notes:
        first, *more = textwrap.wrap(note, 110)
        head += [f"- {first}", *(f"  {line}" for line in more)]
    found = {"hosts.yml": yaml_text.document({"directors": {"hosts": listed}}, {(): head}) + _suggestion(site)}
    found[GROUP_FILE] = yaml_text.document(site.group, {**site.comments, (): _header(site.comments, site.group)})
    for name, variables in site.hosts.items():
        comments = site.host_comments[name]
        text = yaml_text.document(variables, {**comments, (): _header(comments, variables)})
        found[f"host_vars/{name}.yml"] = text
    return found


def check_name(name: str) -> None:
    """Raise :class:`BadValue` when an inventory cannot have a host of this name, and a file for it."""
    if not _NAME.match(name):
        raise BadValue(f"{name!r} cannot be the name of a host", "write letters, digits, dots, - and _")


def has_secrets(text: str) -> bool:
    """A password stands in the text of a file."""
    return _SECRETS.search(text) is not None


def _header(comments: t.Mapping[t.Any, t.Sequence[str]], variables: t.Mapping[str, t.Any]) -> list[str]:
    lines = list(comments.get((), ()))
    if has_secrets(yaml_text.document(variables)):
        lines.append("There is a password in here: ansible-vault encrypt keeps it.")
    return lines


def _suggestion(site: Site) -> str:
    """The real servers behind the directors, as a comment: their names, and how they are set up, only people know."""
    configurations = [merge({**site.group, **own}) for own in site.hosts.values()]
    servers = [server for one in configurations for server in one["virtual_server"]]
    reals: dict[str, set[str]] = {}
    for server in servers:
        for real in model.real_servers(server):
            how = model.method(real, "lvs_method", model.method(server, "lb_kind"))
            reals.setdefault(str(real["ip"]), set()).add(how)
    if not reals:
        return ""
    vips = sorted({str(server["ip"]) for server in servers if server.get("ip") is not None})
    hosts = {f"real-{re.sub('[.:]', '-', at)}": {"ansible_host": at} for at in reals}
    methods = sorted({how for found in reals.values() for how in found})
    suggested = yaml_text.document(
        {
            "real_servers": {
                "hosts": hosts,
                "vars": {"real_server_mode": methods[0], **_for_method(methods[0], vips)},
            }
        }
    )
    lines = [
        "",
        "# The servers behind them, by the addresses in the virtual servers. To have the role real_server set them up,",
        "# give them their names and take the signs of comment away; see its README for the variables.",
    ]
    if len(methods) > 1:
        lines.append(f"# The virtual servers use {' and '.join(methods)}: real_server_mode differs between the hosts.")
    lines += [yaml_text.comment(line) for line in suggested.splitlines()[1:]]
    return "\n".join(lines) + "\n"


def _for_method(method: str, vips: list[str]) -> dict[str, t.Any]:
    if method == "NAT":
        return {"real_server_gateway": "the address that the directors share on this network"}
    return {"real_server_vips": vips}
