# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A director, a router and a server, each in a network namespace; the tests run in the director's."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from _lvs_agent.kernel.netns import inside

# what the server has, and what the router says is unreachable, prohibited, or nothing at all of
SERVER4, SERVER6 = "198.51.100.10", "2001:db8:2::10"
UNREACHABLE4, UNREACHABLE6 = "198.51.100.77", "2001:db8:2::77"
PROHIBITED4, PROHIBITED6 = "198.51.100.78", "2001:db8:2::78"
FILTERED4, FILTERED6 = "198.51.100.79", "2001:db8:2::79"
ROUTER4, ROUTER6 = "192.0.2.254", "2001:db8:1::fe"
SECOND_SOURCE4, SECOND_SOURCE6 = "192.0.2.2", "2001:db8:1::2"
LINK_LOCAL = "fe80::fe"  # the router's, on the director's eth0


class Net(NamedTuple):
    """The names of the namespaces."""

    director: str
    router: str
    server: str


def ip(netns: str, *lines: str) -> None:
    """Run commands of iproute2, each without its first word, in a namespace."""
    text = "\n".join(lines)
    subprocess.run(["ip", "-netns", netns, "-batch", "-"], input=text, text=True, check=True, timeout=30)


def write(netns: str, **values: str) -> None:
    """Values below /proc/sys/net, a path's slashes as two underscores."""
    with inside(netns):
        for name, value in values.items():
            with open(f"/proc/sys/net/{name.replace('__', '/')}", "w", encoding="ascii") as file:
                file.write(value)


@contextmanager
def first_packet(expression: str, *options: str) -> Iterator[list[str]]:
    """What tcpdump says of the first packet on the director's eth0 that ``expression`` fits; filled at the end."""
    words = ["tcpdump", "-n", "-l", "--immediate-mode", "-c", "1", "-i", "eth0", *options, expression]
    seen: list[str] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tcpdump:
        assert tcpdump.stderr is not None
        for line in tcpdump.stderr:
            if "listening on" in line:
                break
        yield seen
        try:
            seen.append(tcpdump.communicate(timeout=10)[0])
        finally:
            tcpdump.kill()


@contextmanager
def _namespaces() -> Iterator[Net]:
    tag = uuid.uuid4().hex[:8]
    net = Net(*(f"health-{tag}-{end}" for end in Net._fields))
    made = []
    try:
        for name in net:
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
        yield net
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with _namespaces() as made:
        for name in made:
            write(name, ipv6__conf__default__accept_dad="0", ipv6__conf__all__accept_dad="0")
        director, router, server = made
        ip(router, f"link add eth0 type veth peer name eth0 netns {director}")
        ip(router, f"link add eth1 type veth peer name eth0 netns {server}")
        ip(
            director,
            "link set lo up",
            "link set eth0 up",
            "address add 192.0.2.1/24 dev eth0",
            f"address add {SECOND_SOURCE4}/24 dev eth0",
            "address add 2001:db8:1::1/64 dev eth0 nodad",
            f"address add {SECOND_SOURCE6}/128 dev eth0 nodad",
            "address add fe80::1/64 dev eth0 nodad",
            f"route add default via {ROUTER4}",
            f"route add default via {ROUTER6} src 2001:db8:1::1",
        )
        ip(
            router,
            "link set lo up",
            "link set eth0 up",
            "link set eth1 up",
            f"address add {ROUTER4}/24 dev eth0",
            f"address add {ROUTER6}/64 dev eth0 nodad",
            f"address add {LINK_LOCAL}/64 dev eth0 nodad",
            "address add 198.51.100.254/24 dev eth1",
            "address add 2001:db8:2::fe/64 dev eth1 nodad",
            f"route add unreachable {UNREACHABLE4}",
            f"route add unreachable {UNREACHABLE6}",
            f"route add prohibit {PROHIBITED4}",
            f"route add prohibit {PROHIBITED6}",
            f"route add blackhole {FILTERED4}",
            f"route add blackhole {FILTERED6}",
        )
        ip(
            server,
            "link set lo up",
            "link set eth0 up",
            f"address add {SERVER4}/24 dev eth0",
            f"address add {SERVER6}/64 dev eth0 nodad",
            "route add default via 198.51.100.254",
            "route add default via 2001:db8:2::fe",
        )
        write(router, ipv4__ip_forward="1", ipv6__conf__all__forwarding="1", ipv4__icmp_ratelimit="0")
        write(router, ipv6__icmp__ratelimit="0")
        write(server, ipv4__icmp_ratelimit="0", ipv6__icmp__ratelimit="0")
        yield made


@pytest.fixture(autouse=True)
def in_the_director(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a test has a net, it runs on its director."""
    if "net" not in request.fixturenames:
        yield
        return
    with inside(request.getfixturevalue("net").director):
        yield
