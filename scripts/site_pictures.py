# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw every example inventory: its hosts, their NICs and addresses, and where the VIPs are.

scripts/run test python scripts/site_pictures.py
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).parents[1]
INVENTORIES = ROOT / "playbooks/inventories"
PICTURES = ROOT / "docs/sites"
sys.path.insert(0, str(ROOT / "plugins/module_utils"))

from _lab.inventory import lab_hosts  # noqa: E402
from _lvs_agent.conf import model  # noqa: E402
from _lvs_agent.conf.director import Director  # noqa: E402

WIDE, GAP, LINE, MARGIN = 176, 18, 16, 24  # of a box, between boxes, of a line of text, around all; pixels
ROW_GAP = 46  # between a row of boxes and the next wire
GREEN, RED, GREY, DARK = "#27632f", "#a33", "#555", "#345"


@dataclass(frozen=True)
class Text:
    """A line in a box."""

    text: str
    colour: str = "#000"
    bold: bool = False


@dataclass(frozen=True)
class Box:
    """A host: the wires its NICs are plugged into, and what is written in it."""

    name: str
    kind: str  # "director", "real_server", "client" or "router"
    wires: tuple[str, ...]
    lines: tuple[Text, ...]

    @property
    def height(self) -> int:
        """In pixels."""
        return LINE * len(self.lines) + 14


@dataclass
class Row:
    """Boxes side by side, above or below a wire."""

    boxes: list[Box] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Of the highest box."""
        return max((box.height for box in self.boxes), default=0)

    @property
    def width(self) -> int:
        """Of all boxes with the gaps between them."""
        return len(self.boxes) * (WIDE + GAP) - GAP


def boxes(path: Path) -> list[Box]:
    """The hosts of an inventory, as its lab boots them, with the client."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(path)])
    hostvars = HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)
    groups = inventory.get_groups_dict()
    names = [str(host) for host in inventory.get_hosts()]
    hosts = lab_hosts(names, hostvars, groups.get("real_servers", ()))
    found = [_box(host, hostvars[host["name"]] if host["name"] in names else {}, groups) for host in hosts]
    return found + _router(found, hosts)


def _box(host: Mapping[str, Any], variables: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Box:
    name = str(host["name"])
    wires = tuple(dict.fromkeys(str(nic.get("segment") or "lan") for nic in host["nics"]))
    lines = [Text(name, bold=True)]
    for nic in host["nics"]:
        lines += [Text(f"{nic['name']} {one}") for one in nic.get("addresses") or ()]
    kind = "client"
    if name in groups.get("directors", ()):
        kind = "director"
        lines += _vips_of_director(Director.of(name, variables))
    elif name in groups.get("real_servers", ()):
        kind = "real_server"
        lines += _on_real_server(variables)
    return Box(name, kind, wires, tuple(lines))


def _vips_of_director(director: Director) -> list[Text]:
    found: list[Text] = []
    for instance in director.configuration["vrrp_instance"]:
        state = f"{instance.get('state', 'BACKUP')}, {model.priority(instance)}"
        found.append(Text(f"{instance['name']}: {state}", GREEN, bold=True))
        found += [Text(f"VIP {at}", GREEN) for at in model.vips(instance)]
    return found


def _on_real_server(variables: Mapping[str, Any]) -> list[Text]:
    mode = str(variables.get("real_server_mode", "DR"))
    if mode == "NAT":
        return [Text(f"gateway {variables.get('real_server_gateway')}", RED)]
    device = str(variables.get("real_server_vip_interface") or ("tunl0" if mode == "TUN" else "lo"))
    vips = [str(vip).partition("/")[0] for vip in variables.get("real_server_vips", ())]
    return [Text(f"{device} {vip}, silent", RED) for vip in vips]


def _router(found: Sequence[Box], hosts: Sequence[Mapping[str, Any]]) -> list[Box]:
    """The router between wires that no host joins; the lab plays it."""
    gateways: dict[str, str] = {}
    for host in hosts:
        for nic in host["nics"]:
            if nic.get("gateway"):
                gateways.setdefault(str(nic.get("segment") or "lan"), str(nic["gateway"]))
    joined = any(len(box.wires) > 1 for box in found)
    if joined or len(gateways) < 2:
        return []
    lines = [Text("router", bold=True), *(Text(at) for at in gateways.values())]
    return [Box("router", "router", tuple(gateways), tuple(lines))]


def picture(found: Sequence[Box], networks: Mapping[str, str]) -> str:
    """The drawing, as SVG. ``networks``: wire -> what is written at it."""
    wires = list(dict.fromkeys(wire for box in found for wire in box.wires))
    rows: list[tuple[str, Row | str]] = [("row", Row([one for one in found if _above(one, wires)]))]
    for number, wire in enumerate(wires):
        rows.append(("wire", wire))
        between = [one for one in found if one.wires and one.wires[0] == wire and not _above(one, wires)]
        between += [one for one in found if not one.wires and not number]
        rows.append(("row", Row(between)))
    width = max(row.width for _kind, row in rows if isinstance(row, Row)) + 2 * MARGIN
    places: dict[str, int] = {}
    y = MARGIN
    drawn: list[tuple[Box, int, int]] = []
    for _kind, row in rows:
        if isinstance(row, str):
            places[row] = y
            y += ROW_GAP
            continue
        x = (width - row.width) // 2
        for box in row.boxes:
            drawn.append((box, x, y))
            x += WIDE + GAP
        y += row.height + (ROW_GAP if row.boxes else 0)
    height = y - ROW_GAP + MARGIN
    font = 'font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {font}>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for at in places.values():
        ends = f'x1="{MARGIN}" y1="{at}" x2="{width - MARGIN}" y2="{at}"'
        parts.append(f'<line {ends} stroke="{GREY}" stroke-width="3"/>')
    for box, x, top in drawn:
        parts += _drawn(box, x, top, places)
    for wire, at in places.items():
        place = f'x="{width - MARGIN}" y="{at - 6}" text-anchor="end"'
        halo = 'stroke="#fff" stroke-width="4" paint-order="stroke"'
        parts.append(f'<text {place} fill="{GREY}" {halo}>{escape(networks.get(wire, wire))}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _above(box: Box, wires: Sequence[str]) -> bool:
    """Directors and the client of the first wire are above it."""
    return box.wires == (wires[0],) and box.kind in ("director", "client")


def _drawn(box: Box, x: int, y: int, places: Mapping[str, int]) -> list[str]:
    parts: list[str] = []
    middle = x + WIDE // 2
    for number, wire in enumerate(box.wires):
        at = places[wire]
        column = middle + 24 * number
        end = y + box.height if at > y else y
        parts.append(f'<line x1="{column}" y1="{end}" x2="{column}" y2="{at}" stroke="{GREY}" stroke-width="1.5"/>')
    fill = "#e3f3e6" if any("MASTER" in line.text for line in box.lines) else "#f4f6fa"
    edge = GREEN if box.kind == "director" else DARK
    size = f'width="{WIDE}" height="{box.height}" rx="6"'
    parts.append(f'<rect x="{x}" y="{y}" {size} fill="{fill}" stroke="{edge}" stroke-width="1.5"/>')
    for number, line in enumerate(box.lines):
        weight = ' font-weight="bold"' if line.bold else ""
        place = f'x="{middle}" y="{y + LINE * (number + 1) + 3}" text-anchor="middle"'
        parts.append(f'<text {place} fill="{line.colour}"{weight}>{escape(line.text)}</text>')
    return parts


def networks(found: Sequence[Box]) -> dict[str, str]:
    """What is written at each wire: its networks."""
    said: dict[str, list[str]] = {}
    for box in found:
        for line in box.lines[1:]:
            _nic, _space, text = line.text.partition(" ")
            if "/" not in text:
                continue
            network = ipaddress.ip_interface(text).network
            wire = box.wires[0] if len(box.wires) == 1 else None
            if wire is not None and str(network) not in said.setdefault(wire, []):
                said[wire].append(str(network))
    return {wire: ", ".join(one) for wire, one in said.items()}


def draw(path: Path) -> str:
    """An inventory's picture."""
    found = boxes(path)
    return picture(found, networks(found))


if __name__ == "__main__":
    for hosts in sorted(INVENTORIES.glob("*/hosts.yml")):
        target = PICTURES / f"{hosts.parent.name}.svg"
        target.parent.mkdir(exist_ok=True)
        target.write_text(draw(hosts.parent), encoding="utf-8")
