# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl_arp on real interfaces; sysctl, systemd-sysctl and a neighbour's ARP say what happened."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

REAL_SERVER = [{"interfaces": ["all", "ens37"], "arp_ignore": 1, "arp_announce": 2}]
VIP = "192.168.1.100"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "90-linuxha-lvs.conf"


def running(host: Any) -> str:
    return str(host.run("sysctl", "-a", "--pattern", r"^net\.ipv4\.(conf|ip_forward)"))


def test_life_of_the_settings(host: Any, kept: Path) -> None:
    before = running(host)
    task = {"settings": REAL_SERVER, "sysctl_file": str(kept)}

    first = host.module("sysctl_arp", check=True, **task)
    assert first["changed"]
    assert running(host) == before
    assert not kept.exists()

    done = host.module("sysctl_arp", **task)
    assert done["diff"] == first["diff"]
    assert done["effective"] == first["effective"]
    assert "net.ipv4.conf.ens37.arp_ignore = 0\n" in done["diff"][0]["before"]
    assert "net.ipv4.conf.ens37.arp_ignore = 1\n" in done["diff"][0]["after"]
    for interface in ("all", "ens37"):
        assert host.sysctl(interface, "arp_ignore") == "1"
        assert host.sysctl(interface, "arp_announce") == "2"
    # `all` makes it so on the other interface too, whose own value is still 0.
    assert host.sysctl("ens33", "arp_ignore") == "0"
    assert done["effective"]["ens33"] == {"arp_ignore": 1, "arp_announce": 2}
    assert kept.stat().st_mode & 0o777 == 0o644

    for check in (True, False):
        assert not host.module("sysctl_arp", check=check, **task)["changed"]

    # Another task shares the file.
    host.module("sysctl_arp", sysctl_file=str(kept), settings=[{"interfaces": ["eth0.100"], "rp_filter": 2}])
    assert not host.module("sysctl_arp", check=True, **task)["changed"]

    changed = host.module("sysctl_arp", **{**task, "settings": [{"interfaces": ["ens37"], "arp_ignore": 2}]})
    assert changed["effective"] == {"ens37": {"arp_ignore": 2}}
    assert host.sysctl("ens37", "arp_ignore") == "2"

    gone = {**task, "settings": [{"interfaces": ["all", "ens37"]}], "state": "absent"}
    assert host.module("sysctl_arp", check=True, **gone)["changed"]
    assert host.sysctl("all", "arp_ignore") == "1"
    assert host.module("sysctl_arp", **gone)["changed"]
    assert not host.module("sysctl_arp", **gone)["changed"]
    assert host.sysctl("all", "arp_ignore") == "0"
    assert host.sysctl("ens37", "arp_announce") == "0"
    assert host.sysctl("eth0.100", "rp_filter") == "2"

    host.module("sysctl_arp", sysctl_file=str(kept), settings=[{"interfaces": ["eth0.100"]}], state="absent")
    assert not kept.exists()


@pytest.mark.parametrize(
    "task, words",
    [
        ({"sysctl_file": "made/90-x.conf"}, ["sysctl_file: the directory ", "/made does not exist; make it first"]),
        ({"sysctl_file": "file/90-x.conf"}, ["/file is no directory"]),
        ({"sysctl_file": "."}, ["is a directory; name a file in it"]),
        ({"sysctl_file": "90-x.conf", "expire_nodest_conn": True}, ["/proc/sys/net/ipv4/vs", "modprobe ip_vs"]),
        ({"sysctl_file": "90-x.conf", "settings": [{"interfaces": ["ens3"], "arp_ignore": 1}]}, ["did you mean ens3"]),
    ],
)
def test_check_mode_fails_where_the_task_does(
    host: Any, tmp_path: Path, task: dict[str, Any], words: list[str]
) -> None:
    if "expire_nodest_conn" in task and Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has ip_vs; tests/integration/uml asks one without")
    (tmp_path / "file").write_text("")
    path = os.path.normpath(tmp_path / task["sysctl_file"])
    arguments = {"settings": [{"interfaces": ["ens37"], "arp_ignore": 1}], **task, "sysctl_file": path}
    before = running(host)
    for check in (True, False):
        result = host.module("sysctl_arp", check=check, **arguments)
        assert result["failed"]
        assert all(word in result["msg"] for word in words), result["msg"]
    assert running(host) == before
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_file_brings_everything_back(host: Any, kept: Path) -> None:
    director = [
        {"interfaces": ["all", "default", "ens33", "eth0.100"], "send_redirects": False},
        {"interfaces": ["eth0.100"], "rp_filter": 2, "arp_ignore": 1},
    ]
    host.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    host.module("sysctl_arp", settings=director, ip_forward=False, sysctl_file=str(kept))
    assert host.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
    assert host.sysctl("eth0.100", "send_redirects") == "0"
    wanted = running(host)

    host.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    for interface in ("all", "default", "ens33", "eth0.100"):
        host.set_sysctl(interface, "send_redirects", 1)
    host.set_sysctl("eth0.100", "rp_filter", 0)
    host.set_sysctl("eth0.100", "arp_ignore", 0)
    assert running(host) != wanted
    host.run("/lib/systemd/systemd-sysctl", str(kept))
    assert running(host) == wanted


def test_default_changes_the_others_in_the_same_call(host: Any, kept: Path) -> None:
    # ens37 was never set itself nor given an address, so it follows `default`; it must still end with its own value.
    host.set_sysctl("default", "rp_filter", 1)
    assert host.sysctl("ens37", "rp_filter") == "1"
    settings = [{"interfaces": ["ens37"], "rp_filter": 1}, {"interfaces": ["default"], "rp_filter": 0}]
    task = {"settings": settings, "sysctl_file": str(kept)}
    host.module("sysctl_arp", **task)
    assert host.sysctl("default", "rp_filter") == "0"
    assert host.sysctl("ens37", "rp_filter") == "1"
    assert not host.module("sysctl_arp", **task)["changed"]


@pytest.mark.parametrize(
    "name, all_value, own_value",
    [("arp_ignore", 0, 0), ("arp_ignore", 1, 0), ("arp_ignore", 0, 1), ("arp_ignore", 8, 1)],
)
def test_effective_is_what_the_network_sees(
    hosts: tuple[Any, Any], kept: Path, name: str, all_value: int, own_value: int
) -> None:
    """The peer asks on ens33, by ARP before its ping, for an address that is on ens37 only."""
    host, peer = hosts
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "ens37")
    result = host.module(
        "sysctl_arp",
        sysctl_file=str(kept),
        settings=[{"interfaces": ["all"], name: all_value}, {"interfaces": ["ens33"], name: own_value}],
    )
    asked = subprocess.run(peer.command("ping", "-c", "1", "-W", "1", VIP), capture_output=True, check=False)
    (neighbour,) = peer.ip("neighbour", "show", "to", VIP)
    assert ("lladdr" in neighbour) == (asked.returncode == 0)
    assert (asked.returncode == 0) == (result["effective"]["ens33"][name] == 0)


@pytest.mark.parametrize(
    "settings, words",
    [
        ([{"interfaces": ["ens73"], "arp_ignore": 1}], ["ens73", "ens33", "did you mean ens37"]),
        ([{"interfaces": ["ens37"]}], ["ens37", "arp_ignore"]),
        (
            [{"interfaces": ["all"], "arp_ignore": 1}, {"interfaces": ["all"], "arp_ignore": 2}],
            ["arp_ignore", "all", "twice"],
        ),
        ([{"interfaces": ["../../kernel"], "arp_ignore": 1}], ["../../kernel"]),
    ],
)
def test_one_clear_message_and_nothing_changed(
    host: Any, kept: Path, settings: list[dict[str, Any]], words: list[str]
) -> None:
    before = running(host)
    result = host.module("sysctl_arp", settings=settings, sysctl_file=str(kept))
    assert result["failed"]
    assert all(word in result["msg"] for word in words), result["msg"]
    assert running(host) == before
    assert not kept.exists()


@pytest.fixture
def etc(host: Any) -> Iterator[Path]:
    """The host's own /etc/sysctl.d and /etc/sysctl.conf, both empty, linked as on Debian 12 (ip-netns(8))."""
    etc = Path("/etc/netns") / host.name
    (etc / "sysctl.d").mkdir(parents=True)
    (etc / "sysctl.conf").write_text("")
    (etc / "sysctl.d" / "99-sysctl.conf").symlink_to("../sysctl.conf")
    yield etc
    shutil.rmtree(etc)


def warned(result: dict[str, Any]) -> list[str]:
    """The warnings, whichever form this ansible-core gives them."""
    return [str(warning) for warning in result.get("warnings", [])]


OURS = "/etc/sysctl.d/90-linuxha-lvs.conf"
SYSTEMD = ["/lib/systemd/systemd-sysctl", "--prefix=/net/ipv4/conf/ens37", "--prefix=/net/ipv4/ip_forward"]
PROCPS = ["sysctl", "--system", "--pattern", r"^net\.ipv4\.(conf\.(ens37|all)\.(arp_ignore|forwarding)|ip_forward)$"]


@pytest.mark.parametrize(
    "name, text, boot_words, where",
    [
        pytest.param(
            "sysctl.conf", "#\n\nnet.ipv4.conf.ens37.arp_ignore=0\n", SYSTEMD, "/etc/sysctl.conf line 3", id="linked"
        ),
        pytest.param("sysctl.conf", "net.ipv4.ip_forward=1\n", PROCPS, "/etc/sysctl.conf line 1", id="forwarding"),
        pytest.param(
            "sysctl.d/99-x.conf",
            "-net/ipv4/conf/ens37/arp_ignore=0\n",
            SYSTEMD,
            "/etc/sysctl.d/99-x.conf line 1",
            id="x",
        ),
        pytest.param(
            "sysctl.d/99-x.conf",
            "net.ipv4.conf.all.forwarding=1\n",
            PROCPS,
            "/etc/sysctl.d/99-x.conf line 1",
            id="alias",
        ),
        pytest.param("sysctl.d/10-x.conf", "net.ipv4.conf.ens37.arp_ignore=0\n", SYSTEMD, None, id="applied before"),
        pytest.param("sysctl.d/99-x", "net.ipv4.conf.ens37.arp_ignore=0\n", SYSTEMD, None, id="not read"),
        pytest.param("sysctl.d/99-x.conf", "net.ipv4.conf.*.arp_ignore=0\n", SYSTEMD, None, id="a pattern"),
        pytest.param("sysctl.d/99-x.conf", "net.ipv4.conf.ens37.arp_ignore=8\n", SYSTEMD, None, id="the same"),
        pytest.param("sysctl.d/90-linuxha-lvs.conf.bak", "net.ipv4.ip_forward=1\n", PROCPS, None, id="a backup"),
    ],
)
def test_a_boot_that_undoes_a_setting_is_refused(
    host: Any, etc: Path, *, name: str, text: str, boot_words: list[str], where: str | None
) -> None:
    """What systemd-sysctl and sysctl make of the files is what the module says of them."""
    task = {"settings": [{"interfaces": ["ens37"], "arp_ignore": 8}], "ip_forward": False}
    host.module("sysctl_arp", **task)
    (etc / name).write_text(text)
    set_by_hand = running(host)
    host.run(*boot_words)
    undone = running(host) != set_by_hand
    assert undone == (where is not None)

    before = running(host), (etc / "sysctl.d/90-linuxha-lvs.conf").read_text()
    for check in (True, False):
        result = host.module("sysctl_arp", check=check, **task)
        assert bool(result.get("failed")) == undone
        if where:
            assert all(word in result["msg"] for word in ("nothing was changed", "boot", where, "the task says"))
        assert (running(host), (etc / "sysctl.d/90-linuxha-lvs.conf").read_text()) == before


def test_a_sysctl_conf_that_only_sysctl_reads_counts_too(host: Any, etc: Path) -> None:
    (etc / "sysctl.d" / "99-sysctl.conf").unlink()
    (etc / "sysctl.conf").write_text("net.ipv4.ip_forward=1\n")
    assert "/etc/sysctl.conf line 1" in host.module("sysctl_arp", ip_forward=False)["msg"]
    assert host.module("sysctl_arp", ip_forward=True)["changed"]
    assert (etc / "sysctl.d/90-linuxha-lvs.conf").exists()


def test_a_file_that_is_not_read_at_boot_is_said(host: Any, etc: Path, kept: Path) -> None:
    assert etc.exists()
    for path in (str(kept), "/etc/sysctl.d/linuxha"):
        (warning,) = warned(host.module("sysctl_arp", ip_forward=False, sysctl_file=path))
        assert all(word in warning for word in (path, "boot", "/etc/sysctl.d", ".conf"))
    assert warned(host.module("sysctl_arp", ip_forward=False)) == []


def test_an_exclusive_file_takes_back_what_is_not_listed(host: Any, etc: Path) -> None:
    """A virtual IP moves from ens37 to lo: ens37 answers ARP for its own addresses again."""
    ours = etc / "sysctl.d/90-linuxha-lvs.conf"
    nic = [{"interfaces": ["all"], "arp_ignore": 1}, {"interfaces": ["ens37", "eth0.100"], "arp_ignore": 8}]
    host.module("sysctl_arp", settings=nic, ipv6_forwarding=True, exclusive=True)
    ours.write_text(ours.read_text() + "kernel.panic = 5\n")
    assert not host.module("sysctl_arp", settings=nic, ipv6_forwarding=True, exclusive=True, check=True)["changed"]
    # Not the task's file: nothing is taken back.
    assert not host.module("sysctl_arp", settings=nic[:1])["changed"]
    host.run("ip", "link", "delete", "eth0.100")

    task = {"settings": nic[:1], "exclusive": True}
    before = ours.read_text()
    first = host.module("sysctl_arp", check=True, **task)
    assert first["changed"]
    assert (host.sysctl("ens37", "arp_ignore"), ours.read_text()) == ("8", before)
    done = host.module("sysctl_arp", **task)
    assert done["diff"] == first["diff"]
    assert done["effective"] == first["effective"]
    assert done["effective"]["ens37"] == {"arp_ignore": 1}
    assert host.sysctl("ens37", "arp_ignore") == "0"
    assert host.run("sysctl", "-n", "net.ipv6.conf.all.forwarding").strip() == "0"
    assert ours.read_text().splitlines()[1:] == ["net.ipv4.conf.all.arp_ignore = 1", "kernel.panic = 5"]
    for check in (True, False):
        assert not host.module("sysctl_arp", check=check, **task)["changed"]

    gone = {"exclusive": True, "state": "absent"}
    assert host.module("sysctl_arp", check=True, **gone)["changed"]
    assert host.module("sysctl_arp", **gone)["changed"]
    assert host.sysctl("all", "arp_ignore") == "0"
    assert ours.read_text().splitlines()[1:] == ["kernel.panic = 5"]
    assert not host.module("sysctl_arp", **gone)["changed"]


def test_what_is_taken_back_gets_what_another_file_says(host: Any, etc: Path) -> None:
    (etc / "sysctl.d/10-hardening.conf").write_text("net.ipv4.conf.ens37.rp_filter = 2\n")
    settings = [{"interfaces": ["ens37"], "rp_filter": 0, "arp_ignore": 8}]
    host.module("sysctl_arp", settings=settings)
    assert host.sysctl("ens37", "rp_filter") == "0"
    done = host.module("sysctl_arp", settings=settings, state="absent")
    assert done["running"] == {"net.ipv4.conf.ens37.arp_ignore": "0", "net.ipv4.conf.ens37.rp_filter": "2"}
    assert host.sysctl("ens37", "rp_filter") == "2"
    # As a boot would have it now.
    host.run("/lib/systemd/systemd-sysctl", "--prefix=/net/ipv4/conf/ens37")
    assert host.sysctl("ens37", "rp_filter") == "2"


@pytest.mark.parametrize("forward", [True, False])
def test_forwarding_and_redirects(host: Any, etc: Path, forward: bool) -> None:
    """Turning forwarding changes accept_redirects of `all`: check mode tells so, and it ends as it was asked."""
    host.run("sysctl", "-q", "-w", f"net.ipv4.ip_forward={int(not forward)}")
    settings = [{"interfaces": ["ens33", "eth0.100"], "accept_redirects": True, "accept_local": True}]
    task = {"settings": settings, "ip_forward": forward, "ipv6_forwarding": forward}
    first = host.module("sysctl_arp", check=True, **task)
    done = host.module("sysctl_arp", **task)
    assert done["effective"] == first["effective"]
    # A router heeds redirects only if `all` says so too, which forwarding has just switched off.
    assert done["effective"]["eth0.100"] == {"accept_redirects": int(not forward), "accept_local": 1}
    assert host.sysctl("all", "accept_redirects") == str(int(not forward))
    assert host.sysctl("eth0.100", "accept_local") == "1"
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        assert host.run("sysctl", "-n", name).strip() == str(int(forward))
    overruled = [text for text in warned(done) if "accept_redirects is 1, but the kernel acts on 0" in text]
    assert len(overruled) == (2 if forward else 0)
    again = host.module("sysctl_arp", **task)
    assert not again["changed"]

    # Named for `all`, it is what was asked, whatever forwarding made of it; at the next boot too.
    both = {**task, "settings": [*settings, {"interfaces": ["all"], "accept_redirects": forward}]}
    assert host.module("sysctl_arp", **both)["effective"]["ens33"]["accept_redirects"] == 1
    wanted = running(host)
    host.run("sysctl", "-q", "-w", f"net.ipv4.ip_forward={int(not forward)}")
    host.run("/lib/systemd/systemd-sysctl", OURS)
    assert running(host) == wanted


def test_a_value_that_all_overrules_is_said(host: Any, etc: Path) -> None:
    assert etc.exists()
    host.set_sysctl("all", "rp_filter", 1)
    result = host.module("sysctl_arp", settings=[{"interfaces": ["ens37"], "rp_filter": 0}])
    assert result["effective"] == {"ens37": {"rp_filter": 1}}
    (warning,) = warned(result)
    assert all(word in warning for word in ("ens37.rp_filter is 0", "acts on 1", "`all`"))


def test_a_proc_sys_that_cannot_be_written_is_named(host: Any, etc: Path, tmp_path: Path) -> None:
    """As in a container."""
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\n{read_only} && exec {host.python} "$@"\n')
    program.chmod(0o755)
    host.python = str(program)
    result = host.module("sysctl_arp", settings=REAL_SERVER)
    assert all(word in result["msg"] for word in ("/proc/sys/net/ipv4/conf/all/arp_", "EROFS", "writable /proc/sys"))
    assert not (etc / "sysctl.d/90-linuxha-lvs.conf").exists()
