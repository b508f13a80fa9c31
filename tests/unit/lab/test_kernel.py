# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel the hosts boot, what the fast one is made of, and that a build leaves a whole one or none."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from _lab import kernel, kernel_build, kernel_config
from _lab.errors import LabError

PACKAGED = """\
CONFIG_UML=y
CONFIG_DEBUG_INFO=y
# CONFIG_DEBUG_INFO_NONE is not set
CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y
CONFIG_SECURITY_SELINUX=y
# CONFIG_NF_TABLES_IPV4 is not set
CONFIG_NF_TABLES=m
CONFIG_NF_CONNTRACK=m
CONFIG_NF_CONNTRACK_H323=m
CONFIG_NF_NAT_FTP=m
CONFIG_IP_VS_RR=m
CONFIG_NETFILTER_XT_MATCH_MARK=m
CONFIG_NET_SCH_NETEM=m
CONFIG_NET_SCH_CAKE=m
CONFIG_CEPH_FS=m
CONFIG_HOSTNAME="(none)"
"""


@pytest.fixture
def fast(cache: Path) -> Path:
    """The directory of a fast kernel that was built."""
    directory = kernel.fast_dir()
    assert directory.is_relative_to(cache)
    (directory / "modules/7.2.13").mkdir(parents=True)
    (directory / "linux").write_bytes(b"kernel")
    return directory


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the modules of the package's kernel."""
    modules = tmp_path / "uml/modules"
    (modules / "6.1.176").mkdir(parents=True)
    monkeypatch.setattr(kernel, "PACKAGE_MODULES", modules)
    return modules


@pytest.mark.parametrize("said", [None, "", "package"])
def test_the_packages_kernel_unless_another_is_asked_for(
    said: str | None, packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAB_KERNEL", raising=False)
    if said is not None:
        monkeypatch.setenv("LAB_KERNEL", said)
    assert kernel.chosen() == (Path("/usr/bin/linux.uml"), packaged / "6.1.176", ())
    assert kernel.chosen().version == "6.1.176"


def test_the_fast_kernel(fast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KERNEL", "fast")
    assert kernel.chosen() == (fast / "linux", fast / "modules/7.2.13", ("seccomp=on",))


def test_its_identity_changes_with_it(fast: Path) -> None:
    first = kernel.find("fast")
    before = first.identity
    os.utime(fast / "linux", (1, 1))
    assert first.identity != before
    assert first._replace(words=()).identity != first.identity


@pytest.mark.usefixtures("cache")
def test_a_fast_kernel_that_is_not_there() -> None:
    with pytest.raises(LabError, match=r"no kernel modules in .*: run `make lab-kernel`, or set LAB_KERNEL .* package"):
        kernel.find("fast")


def test_no_package(packaged: Path) -> None:
    shutil.rmtree(packaged)
    with pytest.raises(LabError, match="install Debian's package user-mode-linux"):
        kernel.find("package")


def test_an_unknown_kernel() -> None:
    with pytest.raises(LabError, match=r"unknown kernel 'faster': set LAB_KERNEL \(lab_kernel\) to package or fast"):
        kernel.find("faster")


def test_what_stays_of_the_packages_configuration() -> None:
    lines = kernel_config.configuration(PACKAGED).splitlines()
    stays = [
        *("UML=y", "DEBUG_INFO=y", "NF_TABLES=m", "NF_CONNTRACK=m", "NF_NAT_FTP=m", "IP_VS_RR=m"),
        *("NETFILTER_XT_MATCH_MARK=m", "NET_SCH_NETEM=m", 'HOSTNAME="(none)"'),
    ]
    assert lines[: len(stays)] == [f"CONFIG_{option}" for option in stays]
    assert {"CONFIG_NF_TABLES_IPV4=y", "# CONFIG_SECURITY_SELINUX is not set", "CONFIG_DEBUG_INFO_NONE=y"} <= set(lines)
    assert len(lines) == len(stays) + len(kernel_config.OPTIONS)


def test_the_module_options_are_what_the_tests_load() -> None:
    def stays(option: str) -> bool:
        return any(re.fullmatch(pattern, option) for pattern in kernel_config.MODULES)

    wanted = "IP_VS IP_VS_MH IP_VS_PE_SIP NET_IPIP NET_IPGRE NET_FOU IPV6_TUNNEL IPV6_SIT DUMMY MACVLAN VETH BRIDGE"
    wanted += " VLAN_8021Q BONDING NET_VRF NLMON NET_SCH_NETEM NET_SCH_TBF SOFT_WATCHDOG NF_NAT NF_CONNTRACK"
    assert all(stays(option) for option in wanted.split())
    assert not any(stays(option) for option in ("CEPH_FS", "BATMAN_ADV", "NF_CONNTRACK_SNMP", "DM_CRYPT"))


def test_what_the_source_refuses() -> None:
    config = kernel_config.configuration(PACKAGED) + "CONFIG_IP_VS=m\n"
    kernel_config.check(config)
    kernel_config.check(config.replace("# CONFIG_SECURITY_SELINUX is not set\n", ""))  # unknown is as good as off
    with pytest.raises(LabError, match="refuses IP_NF_FILTER=m, IP_VS=m: adapt OPTIONS"):
        kernel_config.check(config.replace("CONFIG_IP_NF_FILTER=m\n", "").replace("CONFIG_IP_VS=m\n", ""))


def test_its_key_is_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    before = kernel_config.key()
    assert kernel_config.key() == before
    monkeypatch.setattr(kernel_config, "OPTIONS", {**kernel_config.OPTIONS, "AUDIT": "y"})
    assert kernel_config.key() != before


@pytest.mark.usefixtures("fast")
def test_a_kernel_that_is_there_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_build, "run", refuse)
    assert not kernel_build.build(print)


def test_a_second_builder_waits_for_the_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = kernel.fast_dir()
    monkeypatch.setattr(kernel_build, "run", refuse)
    target.parent.mkdir(parents=True)
    with open(cache / "kernels/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def waiting(text: str) -> None:
            assert text == "another process is building it: waiting"
            target.mkdir()
            fcntl.flock(lock, fcntl.LOCK_UN)

        assert not kernel_build.build(waiting)
    assert target.exists()


def refuse(argv: list[str], **_more: object) -> str:
    raise LabError(f"{argv[0]} ended with 1")


@pytest.mark.parametrize("end", [LabError("make ended with 2"), KeyboardInterrupt(), SystemExit(143)])
def test_a_build_that_ends_early_leaves_nothing(
    cache: Path, end: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(work: Path, _progress: object) -> None:
        (work / "source").mkdir()
        raise end

    monkeypatch.setattr(kernel_build, "_fetch", fetch)
    monkeypatch.setattr(kernel_build, "_check_space", lambda directory: None)
    (cache / "kernels/building-of-a-builder-that-was-killed").mkdir(parents=True)
    with pytest.raises(type(end)):
        kernel_build.build(print)
    assert [path.name for path in (cache / "kernels").iterdir()] == ["lock"]


def test_what_was_made_is_there_as_a_whole(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def compile_(_tree: Path, _package: Path, work: Path, _progress: object) -> Path:
        (work / "made/modules/7.2.13").mkdir(parents=True)
        return work / "made"

    monkeypatch.setattr(kernel_build, "_fetch", lambda work, progress: (work, work))
    monkeypatch.setattr(kernel_build, "_unpack", lambda source, work, progress: source)
    monkeypatch.setattr(kernel_build, "_compile", compile_)
    monkeypatch.setattr(kernel_build, "_check_space", lambda directory: None)
    assert kernel_build.build(print)
    assert kernel.find("fast").version == "7.2.13"
    assert {path.name for path in (cache / "kernels").iterdir()} == {"lock", kernel.fast_dir().name}


@pytest.mark.usefixtures("cache")
def test_no_room_for_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3999 << 20))
    with pytest.raises(LabError, match=r"out of disk: .* 4000 MB in .*, 3999 MB are free; .* XDG_CACHE_HOME"):
        kernel_build.build(print)


@pytest.mark.parametrize(
    "targets, expected",
    [
        (["http://other.example.org/ Docker", "http://deb.example.org/debian/ Debian"], "http://deb.example.org/debian/"),
        (["http://deb.example.org/debian-security/ Debian-Security", ""], None),
    ],
)
def test_the_archive_is_this_machines_own(
    targets: list[str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_build, "run", lambda argv: "\n".join(targets))
    if expected:
        assert kernel_build.archive() == expected
    else:
        with pytest.raises(LabError, match="apt knows no Debian archive: run apt-get update"):
            kernel_build.archive()


def test_the_package_of_the_source() -> None:
    records = "Package: linux-source\nDepends: linux-source-7.2 (= 7.2.13-1)\n"
    assert kernel_build.source_package(records) == "linux-source-7.2"
    with pytest.raises(LabError, match="names its version"):
        kernel_build.source_package("Package: linux-source\n")


def test_make_tells_its_progress_and_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_build, "_PROGRESS_S", 0.0)
    said: list[str] = []
    kernel_build.run_make(["printf", "  CC      a.o\n  AR      b.a\n  CC [M]  c.o\n"], said.append)
    assert said == ["compiled 1 files", "compiled 1 files", "compiled 2 files"]
    with pytest.raises(LabError, match=r"sh -c .* ended with 2:\n  a.c:1: error"):
        kernel_build.run_make(["sh", "-c", "echo a.c:1: error >&2; exit 2"], said.append)


def test_an_interrupted_make_ends_with_its_compilers(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text("all:\n\t@echo '  CC  a.o'; echo $$$$ >child; exec sleep 600\n")
    code = (
        "import signal, sys; from _lab import kernel_build as b; b._PROGRESS_S = 0.0\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))\n"
        f"b.run_make(['make', '-C', {str(tmp_path)!r}, '--no-print-directory'], lambda text: print(text, flush=True))"
    )
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(Path(kernel_build.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"compiled 1 files\n"
        child = tmp_path / "child"
        while not child.exists() or not child.read_text().endswith("\n"):
            time.sleep(0.01)
        builder.send_signal(signal.SIGTERM)
        assert builder.wait(20) == 143
    assert not Path(f"/proc/{int(child.read_text())}").exists()
