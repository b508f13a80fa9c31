# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest gets to become the host of the inventory."""

from __future__ import annotations

import io
import tarfile

import pytest

from _lab.plan import Host, Nic, Plan, make_plan
from _lab.seed import hosts_file, network_commands, seed_archive


def archive(plan: Plan, name: str) -> bytes:
    return seed_archive(plan, plan.guest(name), "ssh-ed25519 C client\n", "PRIVATE\n", "ssh-ed25519 H host\n")


def members(data: bytes) -> dict[str, tuple[int, str]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {}
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            assert (member.uid, member.gid) == (0, 0)
            found[member.name] = (member.mode, content.read().decode())
        return found


def test_the_files_of_a_director(plan: Plan) -> None:
    files = members(archive(plan, "lvs01"))
    assert files.pop("etc/lab/network.ip") == (0o644, network_commands(plan.guest("lvs01")))
    assert files == {
        "etc/hostname": (0o644, "lvs01\n"),
        "etc/hosts": (0o644, hosts_file(plan)),
        "root/.ssh/authorized_keys": (0o600, "ssh-ed25519 C client\n"),
        "etc/ssh/ssh_host_ed25519_key": (0o600, "PRIVATE\n"),
        "etc/ssh/ssh_host_ed25519_key.pub": (0o644, "ssh-ed25519 H host\n"),
    }


def test_a_server_that_serves(plan: Plan) -> None:
    files = members(archive(plan, "web01"))
    assert files["var/www/html/index.html"] == (0o644, "web01\n")
    mode, text = files["etc/nginx/conf.d/lab.conf"]
    assert mode == 0o644
    assert "listen 80; listen [::]:80;" in text
    assert "listen 8080; listen [::]:8080;" in text


def test_equal_plans_make_equal_archives(plan: Plan) -> None:
    assert archive(plan, "web01") == archive(plan, "web01")


def test_network_commands() -> None:
    nics = (
        Nic("ens33", ("192.0.2.1/24", "fd00::1/64"), gateway="192.0.2.254"),
        Nic("ens37"),
        Nic("ens41", ("fd01::1/64",), gateway="fd01::fe"),
    )
    (guest,) = make_plan("t", [Host("a", nics)], "/base.img").guests
    # Duplicate detection would leave an IPv6 address unusable for the first second of every boot.
    assert network_commands(guest).splitlines() == [
        "link set vec0 name lab0",
        "link set lab0 up",
        "address add 198.18.0.1/24 dev lab0",
        "link set vec1 name ens33",
        "link set ens33 up",
        "address add 192.0.2.1/24 dev ens33",
        "address add fd00::1/64 dev ens33 nodad",
        "route add default via 192.0.2.254 dev ens33",
        "link set vec2 name ens37",
        "link set ens37 up",
        "link set vec3 name ens41",
        "link set ens41 up",
        "address add fd01::1/64 dev ens41 nodad",
        "route add default via fd01::fe dev ens41",
    ]


def test_every_host_is_known_by_its_first_address() -> None:
    hosts = [Host("a", (Nic("ens33"), Nic("ens37", ("192.0.2.1/24",)))), Host("b", (Nic("ens33"),))]
    lines = hosts_file(make_plan("t", hosts, "/base.img")).splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    # a host without an address of its own is at its management address
    assert lines[2:] == ["192.0.2.1 a", "198.18.0.2 b"]


@pytest.mark.parametrize("name", ["lvs01", "client"])
def test_who_does_not_serve_has_no_web_server(plan: Plan, name: str) -> None:
    assert not [path for path in members(archive(plan, name)) if "nginx" in path or "www" in path]
