# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts in network namespaces of their own, on one wire, for the tests of what touches the kernel's network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
COLLECTIONS = HERE.parents[2] / "build" / "collections"
DEBIAN_PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.root


class Host:
    """A network namespace, with commands and modules run in it."""

    def __init__(self, name: str, python: str, library: Path) -> None:
        self.name = name
        self.python = python
        self.library = library

    def command(self, *words: str) -> list[str]:
        """The command line that runs ``words`` in this namespace."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str) -> str:
        """Standard output of a command that must succeed."""
        return subprocess.run(self.command(*words), check=True, capture_output=True, text=True, timeout=60).stdout

    def ip(self, *words: str) -> list[dict[str, Any]]:
        """What ``ip -json`` prints."""
        return [entry for entry in json.loads(self.run("ip", "-json", *words) or "[]") if entry]

    def addresses(self, interface: str) -> list[str]:
        """All of an interface's, each as ADDRESS/PREFIX."""
        return [
            f"{info['local']}/{info['prefixlen']}"
            for info in self.ip("address", "show", "dev", interface)[0]["addr_info"]
        ]

    def sysctl(self, interface: str, name: str) -> str:
        """What the command sysctl reads below net.ipv4.conf."""
        return self.run("sysctl", "-n", f"net/ipv4/conf/{interface}/{name}").strip()

    def set_sysctl(self, interface: str, name: str, value: int) -> None:
        """Set one as somebody else would."""
        self.run("sysctl", "-q", "-w", f"net/ipv4/conf/{interface}/{name}={value}")

    def module(self, name: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """The result of one of the collection's modules, run with diff, by this host's Python."""
        arguments.update(_ansible_check_mode=check, _ansible_diff=True)
        done = subprocess.run(
            self.command(self.python, "-W", "error", str(HERE / "run_module.py"), name),
            input=json.dumps(arguments),
            env={**os.environ, "PYTHONPATH": f"{self.library}:{COLLECTIONS}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """A network namespace that goes when the test ends."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.fixture(scope="session")
def ansible_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing but the ansible package, for a Python that has no ansible of its own."""
    library = tmp_path_factory.mktemp("library")
    (library / "ansible").symlink_to(Path(ansible.__file__).parent)
    return library


@pytest.fixture(scope="session", params=["test", "debian"])
def python(request: pytest.FixtureRequest) -> str:
    """The Python of the tests with its pyroute2, then Debian's with Debian's python3-pyroute2."""
    chosen = sys.executable if request.param == "test" else DEBIAN_PYTHON
    if subprocess.run([chosen, "-c", "import pyroute2"], capture_output=True, check=False).returncode:
        pytest.fail(f"{chosen} has no pyroute2: install it (for Debian's Python the package python3-pyroute2)")
    return chosen


@pytest.fixture
def hosts(python: str, ansible_library: Path) -> Iterator[tuple[Host, Host]]:
    """A host with ens33, ens37 and eth0.100, and its peer on the same three wires; all links up but eth0.100."""
    tag = uuid.uuid4().hex[:8]
    with namespace(f"lvs-{tag}-a") as a, namespace(f"lvs-{tag}-b") as b:
        host, peer = Host(a, python, ansible_library), Host(b, python, ansible_library)
        for end in (host, peer):
            # No link-local addresses of the kernel's own, whose duplicate detection would make timing matter.
            end.run("sysctl", "-q", "-w", "net.ipv6.conf.default.addr_gen_mode=1", "net.ipv6.conf.all.addr_gen_mode=1")
            end.run("ip", "link", "set", "lo", "up")
        for wire in ("ens33", "ens37", "eth0.100"):
            host.run("ip", "link", "add", wire, "type", "veth", "peer", "name", wire, "netns", b)
        for end in (host, peer):
            for wire in ("ens33", "ens37"):
                end.run("ip", "link", "set", wire, "up")
        host.run("ip", "address", "add", "192.168.1.129/24", "dev", "ens33")
        peer.run("ip", "address", "add", "192.168.1.130/24", "dev", "ens33")
        yield host, peer


@pytest.fixture
def host(hosts: tuple[Host, Host]) -> Host:
    """The first of the two."""
    return hosts[0]
