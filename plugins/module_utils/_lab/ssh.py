# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's ssh: one key a lab, one host key a guest, one configuration file that knows every name."""

from __future__ import annotations

from pathlib import Path

from .commands import run
from .plan import Guest, Plan


def make_key(path: Path) -> None:
    """An Ed25519 key pair, the private part mode 0600, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "linuxha.lvs lab", "-f", str(path)])


def host_key_path(directory: Path, guest: Guest) -> Path:
    """Where the private host key of one guest is kept."""
    return directory / "hosts" / guest.name / "ssh_host_ed25519_key"


def client_key_path(directory: Path) -> Path:
    """Where the key that opens every guest is kept."""
    return directory / "id_ed25519"


def config_path(directory: Path) -> Path:
    """The ssh_config(5) of the lab: `ssh -F FILE HOST` reaches every guest from anywhere on this machine."""
    return directory / "ssh_config"


def write_config(directory: Path, plan: Plan) -> None:
    """Write ssh_config and known_hosts. Hosts answer to their name and to what the inventory calls them."""
    known, blocks = [], []
    for guest in plan.guests:
        public = host_key_path(directory, guest).with_suffix(".pub").read_text().split()
        known.append(f"{guest.name} {public[0]} {public[1]}")
        patterns = " ".join(dict.fromkeys([guest.name, *guest.host.aliases]))
        address = guest.management_address.partition("/")[0]
        blocks.append(f"Host {patterns}\n  HostName {address}\n  HostKeyAlias {guest.name}\n")
    (directory / "known_hosts").write_text("\n".join(known) + "\n")
    config_path(directory).write_text("\n".join(blocks) + _common(directory, plan))


def _common(directory: Path, plan: Plan) -> str:
    return f"""
Host *
  User root
  Port 22
  IdentityFile {client_key_path(directory)}
  IdentitiesOnly yes
  UserKnownHostsFile {directory / "known_hosts"}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  ProxyCommand ip netns exec {plan.namespace} nc %h %p
  ConnectTimeout 10
  ServerAliveInterval 5
  ServerAliveCountMax 3
  LogLevel ERROR
"""
