# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to bring a lab to its plan, what a machine lacks for one, and what is left on disk."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from _lab import commands, lab, network
from _lab.errors import LabError
from _lab.lab import Work, decide
from _lab.paths import lab_dir
from _lab.plan import Host, Nic, Plan, make_plan

RUNNING = {"lvs01": "running", "web01": "running", "client": "running"}


def replanned(plan: Plan, *hosts: Host, **more: Any) -> Plan:
    return make_plan(plan.name, hosts or [guest.host for guest in plan.guests], **{"image": plan.image, **more})


class TestDecide:
    def test_a_fresh_lab(self, plan: Plan) -> None:
        work = decide(plan, None, {})
        assert work == Work(create=("lvs01", "web01", "client"))
        assert work

    def test_a_lab_as_it_should_be(self, plan: Plan) -> None:
        work = decide(plan, plan, RUNNING)
        assert work == Work()
        assert not work

    @pytest.mark.parametrize("states", [{**RUNNING, "web01": "down"}, {"lvs01": "running", "client": "running"}])
    def test_a_crashed_host_keeps_its_disk(self, plan: Plan, states: dict[str, str]) -> None:
        assert decide(plan, plan, states) == Work(boot=("web01",))

    def test_a_frozen_host_goes_on(self, plan: Plan) -> None:
        assert decide(plan, plan, {**RUNNING, "web01": "frozen"}) == Work(thaw=("web01",))

    def test_another_nic_makes_a_host_anew(self, plan: Plan) -> None:
        lvs01, web01, client = (guest.host for guest in plan.guests)
        wanted = replanned(plan, lvs01, replace(web01, nics=(*web01.nics, Nic("ens41"))), client)
        assert decide(wanted, plan, {**RUNNING, "web01": "frozen"}) == Work(remove=("web01",), create=("web01",))

    def test_a_host_that_is_gone(self, plan: Plan) -> None:
        lvs01, web01, _client = (guest.host for guest in plan.guests)
        assert decide(replanned(plan, lvs01, web01), plan, RUNNING) == Work(remove=("client",))

    def test_a_host_more(self, plan: Plan) -> None:
        wanted = replanned(plan, *(guest.host for guest in plan.guests), Host("web02", (Nic("ens33"),)))
        assert decide(wanted, plan, RUNNING) == Work(create=("web02",))

    @pytest.mark.parametrize("change", [{"image": "/images/other.img"}, {"memory_mb": 256}])
    def test_another_image_or_memory_makes_all_anew(self, plan: Plan, change: dict[str, Any]) -> None:
        everything = ("lvs01", "web01", "client")
        wanted = replanned(plan, **change)
        assert decide(wanted, plan, {**RUNNING, "web01": "down"}) == Work(remove=everything, create=everything)


@pytest.fixture
def fit_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    exists = os.path.exists
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(lab, "missing_packages", lambda amx: [])
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/dev/net/tun" or exists(path))


@pytest.mark.usefixtures("fit_machine")
class TestCheckMachine:
    def test_a_fit_machine(self) -> None:
        lab.check_machine()

    def test_not_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(LabError, match="needs root"):
            lab.check_machine()

    def test_another_processor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
        with pytest.raises(LabError, match=r"x86-64.*aarch64"):
            lab.check_machine()

    def test_missing_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lab, "missing_packages", lambda amx: ["ethtool", "user-mode-linux"])
        with pytest.raises(LabError, match="apt-get install ethtool user-mode-linux"):
            lab.check_machine()

    def test_no_tun(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os.path, "exists", lambda path: False)
        with pytest.raises(LabError, match="/dev/net/tun"):
            lab.check_machine()


class TestCommands:
    def test_a_package_is_missing_until_all_its_tools_are_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commands, "_PATH", str(tmp_path))
        assert commands.missing_packages(amx=False) == sorted(set(commands.TOOLS.values()))
        for tool in sorted(set(commands.TOOLS) - {"bridge"}):
            (tmp_path / tool).touch(mode=0o755)
        assert commands.missing_packages(amx=False) == ["iproute2"]
        (tmp_path / "bridge").touch(mode=0o755)
        assert commands.missing_packages(amx=False) == []
        assert commands.missing_packages(amx=True) == ["gcc"]

    @pytest.mark.parametrize(
        "file, tools", [("debian-lab.txt", commands.TOOLS), ("debian-lab-amx.txt", commands.AMX_TOOLS)]
    )
    def test_the_make_targets_install_all_of_them(self, file: str, tools: dict[str, str]) -> None:
        listed = (Path(__file__).parents[3] / "requirements" / file).read_text(encoding="utf-8")
        assert set(tools.values()) <= set(re.findall(r"^[a-z0-9-]+", listed, re.MULTILINE))

    def test_a_tool_that_fails_is_quoted(self) -> None:
        with pytest.raises(LabError, match=r"^ls /nowhere ended with 2:\n  ls: .*/nowhere.*No such file"):
            commands.run(["ls", "/nowhere"])
        assert commands.run(["ls", "/nowhere"], check=False) == ""

    def test_a_tool_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(commands, "_PATH", "/nowhere")
        with pytest.raises(LabError, match="bridge is not installed: apt-get install iproute2"):
            commands.run(["bridge", "link"])


def save(plan: Plan) -> Path:
    directory = lab_dir(plan.name)
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(json.dumps(plan.to_dict()))
    return directory


class TestFiles:
    def test_the_saved_plan(self, plan: Plan, cache: Path) -> None:
        assert lab.saved_plan("t") is None
        assert save(plan) == cache / "labs/t"
        assert lab.saved_plan("t") == lab.existing_plan("t") == plan

    def test_a_missing_lab_is_answered_with_those_there_are(self, plan: Plan, cache: Path) -> None:
        with pytest.raises(LabError, match="no lab 'x' is up; none is"):
            lab.existing_plan("x")
        save(plan)
        with pytest.raises(LabError, match="no lab 'x' is up; there are: t"):
            lab.existing_plan("x")

    @pytest.mark.parametrize("name", ["", ".", "..", "../images", "t/hosts"])
    def test_what_cannot_be_a_lab_is_never_removed(self, plan: Plan, cache: Path, name: str) -> None:
        save(plan)
        (cache / "images").mkdir()
        with pytest.raises(LabError, match="lab name"):
            lab.down(name)
        assert (cache / "images").is_dir()
        assert lab.saved_plan("t") == plan

    def test_ending_a_lab_that_never_booted(
        self, plan: Plan, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(network, "namespace_exists", lambda namespace: False)
        assert not lab.down("t")
        assert not cache.exists()
        save(plan)
        assert lab.down("t")
        assert list((cache / "labs").iterdir()) == []

    def test_no_room_for_new_hosts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        free = SimpleNamespace(free=500 << 20)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
        lab._check_space(tmp_path, 1)
        with pytest.raises(LabError, match=r"out of disk: 2 new hosts need 600 MB in .*, 500 MB are free"):
            lab._check_space(tmp_path, 2)

    def test_a_lock_that_was_removed_meanwhile_locks_nothing(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = cache / "labs/t/lock"
        locked: list[int] = []

        def flock(file: Any, operation: int) -> None:
            locked.append(operation)
            if len(locked) == 1:
                shutil.rmtree(path.parent)  # another process ended the lab while this one waited

        monkeypatch.setattr(fcntl, "flock", flock)
        with lab._locked("t"):
            assert path.exists()
        assert locked == [fcntl.LOCK_EX] * 2

    def test_only_the_owner_may_look_into_a_lab(self, cache: Path) -> None:
        with lab._locked("t"):
            assert (cache / "labs/t").stat().st_mode & 0o777 == 0o700

    def test_the_inventory_says_how_hosts_are_reached(self, plan: Plan, cache: Path) -> None:
        directory = save(plan)
        lab._write_inventory(directory, plan)
        inventory = lab.inventory_path("t")
        assert json.loads((inventory / "hosts.json").read_text()) == {"lab_hosts": {"hosts": {"client": {}}}}
        for name in ("lvs01", "web01", "client"):
            variables = json.loads((inventory / f"host_vars/{name}.json").read_text())
            assert variables["ansible_ssh_common_args"] == f"-F {directory}/ssh_config"
            assert variables["ansible_connection"] == "ssh"
