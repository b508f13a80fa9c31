# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The default route of a NAT real server: the role's own tasks in a network namespace, and what ip(8) shows."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.netns.conftest import DEBIAN_PYTHON, Host, namespace

pytestmark = pytest.mark.root

TASKS = Path(__file__).parents[3] / "roles/real_server/tasks"
VARIABLES = yaml.safe_load((TASKS.parent / "vars/main.yml").read_text())
NETWORK = {"-4": ("192.0.2.1/24", "192.0.2.254", "192.0.2.9"), "-6": ("2001:db8::1/64", "2001:db8::254", "2001:db8::9")}
FAR = {"-4": "203.0.113.1", "-6": "2001:db8:ffff::1"}
Play = Callable[[str, str], None]


@pytest.fixture
def host(ansible_library: Path) -> Iterator[Host]:
    """A host with ens33."""
    with namespace(f"lvs-{uuid.uuid4().hex[:8]}") as name:
        one = Host(name, DEBIAN_PYTHON, ansible_library)
        one.run("ip", "link", "add", "ens33", "type", "veth", "peer", "name", "far")
        for link in ("far", "ens33"):
            one.run("ip", "link", "set", link, "up")
        yield one


@pytest.fixture
def play(host: Host, tmp_path: Path) -> Play:
    """Runs a file of tasks for a family on the host."""

    def run(file: str, option: str) -> None:
        (family,) = [one for one in VARIABLES["real_server_gateways"] if one["option"] == option]
        family = {**family, "gateway": NETWORK[option][2], "record": str(tmp_path / "record.json")}
        protocol = VARIABLES["real_server_route_protocol"]
        book = tmp_path / "play.yml"
        tasks = [{"ansible.builtin.include_tasks": str(TASKS / file)}]
        words = {"real_server_family": family, "real_server_route_protocol": protocol}
        book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": words, "tasks": tasks}]))
        command = host.command("ansible-playbook", "-i", "localhost,", "-c", "local", str(book))
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def routes(host: Host, option: str) -> list[dict[str, Any]]:
    """The default routes, the one that is used first."""
    return list(json.loads(host.run("ip", option, "-json", "route", "show", "default") or "[]"))


def used(host: Host, option: str) -> str:
    """The gateway of a packet to another network."""
    (route,) = json.loads(host.run("ip", option, "-json", "route", "get", FAR[option]))
    return str(route["gateway"])


@pytest.mark.parametrize("metric", [None, "100", "1024"])
@pytest.mark.parametrize("option", ["-4", "-6"])
def test_replies_go_through_the_director_until_the_route_is_taken_back(
    option: str, metric: str | None, host: Host, play: Play
) -> None:
    address, own, director = NETWORK[option]
    host.run("ip", option, "address", "add", address, "dev", "ens33", *(["nodad"] if option == "-6" else []))
    words = [] if metric is None else ["metric", metric]
    host.run("ip", option, "route", "add", "default", "via", own, "dev", "ens33", *words, "proto", "static")
    before = routes(host, option)
    assert used(host, option) == own
    for _time in range(2):
        play("gateway_family.yml", option)
        assert used(host, option) == director
    play("gateway_family_absent.yml", option)
    assert routes(host, option) == before
    assert used(host, option) == own
