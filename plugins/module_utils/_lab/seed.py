# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a booted image this very host: a tar archive, handed to it as its second disk.

The image's ``lab-seed.service`` unpacks it over the root once, on the host's first boot (image.py), so what
a role changes later stays changed over a reboot, as on a real host.
"""

from __future__ import annotations

import io
import ipaddress
import tarfile
from collections.abc import Iterable

from .plan import Guest, Plan

NETWORK_FILE = "etc/lab/network.ip"


def seed_archive(plan: Plan, guest: Guest, authorized_key: str, host_key: str, host_key_public: str) -> bytes:
    """The tar archive of one guest; deterministic for equal arguments."""
    files: list[tuple[str, str, int]] = [
        ("etc/hostname", guest.name + "\n", 0o644),
        ("etc/hosts", hosts_file(plan), 0o644),
        (NETWORK_FILE, network_commands(guest), 0o644),
        ("root/.ssh/authorized_keys", authorized_key, 0o600),
        ("etc/ssh/ssh_host_ed25519_key", host_key, 0o600),
        ("etc/ssh/ssh_host_ed25519_key.pub", host_key_public, 0o644),
    ]
    if guest.host.web_ports:
        files.append(("var/www/html/index.html", guest.name + "\n", 0o644))
        files.append(("etc/nginx/conf.d/lab.conf", web_server(guest.host.web_ports), 0o644))
    return _tar(files)


def network_commands(guest: Guest) -> str:
    """Lines for ``ip -batch`` (ip(8)): names, MACs are the kernel's already, addresses, default routes."""
    lines = [
        f"link set vec0 name {guest.ports[0].nic}",
        f"link set {guest.ports[0].nic} up",
        f"address add {guest.management_address} dev {guest.ports[0].nic}",
    ]
    for number, nic in enumerate(guest.host.nics, start=1):
        lines.append(f"link set vec{number} name {nic.name}")
        lines.append(f"link set {nic.name} up")
        for text in nic.addresses:
            nodad = " nodad" if ipaddress.ip_interface(text).version == 6 else ""
            lines.append(f"address add {text} dev {nic.name}{nodad}")
        if nic.gateway:
            lines.append(f"route add default via {nic.gateway} dev {nic.name}")
    return "\n".join(lines) + "\n"


def hosts_file(plan: Plan) -> str:
    """/etc/hosts with every host of the lab at its first own address."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for guest in plan.guests:
        addresses = [text for nic in guest.host.nics for text in nic.addresses] or [guest.management_address]
        lines.append(f"{ipaddress.ip_interface(addresses[0]).ip} {guest.name}")
    return "\n".join(lines) + "\n"


def web_server(ports: Iterable[int]) -> str:
    """nginx answering with the host's name: the stand-in for the application behind the VIP."""
    listen = "".join(f"    listen {port}; listen [::]:{port};\n" for port in ports)
    return f"server {{\n{listen}    root /var/www/html;\n    access_log off;\n}}\n"


def _tar(files: Iterable[tuple[str, str, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, text, mode in files:
            data = text.encode()
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), mode
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
