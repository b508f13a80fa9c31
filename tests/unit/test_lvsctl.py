# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program lvsctl as a person runs it: its verb import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

LIBRARY = Path(__file__).parents[2] / "plugins/module_utils"
FILE = """\
global_defs {
    router_id LVS_01
}
vrrp_instance VI_1 {
    state MASTER
    interface ens33
    virtual_router_id 51
    priority 100
    unicast_src_ip 192.168.1.127
    unicast_peer {
        192.168.1.128
    }
    virtual_ipaddress {
        192.168.1.100
    }
}
"""
OTHER = FILE.replace("LVS_01", "LVS_02").replace("100\n    uni", "50\n    uni").replace("127", "126")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lvs01.conf").write_text(FILE, encoding="utf-8")
    (tmp_path / "lvs02.conf").write_text(OTHER, encoding="utf-8")
    (tmp_path / "bad.conf").write_text("global_defs {\n router_ip a\n}\nvrrp_instance V {\n}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def lvsctl(folder: Path) -> Run:
    # -S: not even the packages of this Python
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", "-m", "_lvs_agent.lvsctl", *arguments]
        environment = {"PYTHONPATH": str(LIBRARY), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_it_writes_an_inventory(lvsctl: Run, folder: Path) -> None:
    done = lvsctl("import", "lvs01.conf", "lvs02.conf", "--output", "site")
    assert (done.returncode, done.stdout) == (0, "")
    files = {str(path.relative_to(folder / "site")): path for path in (folder / "site").rglob("*.yml")}
    assert set(files) == {"hosts.yml", "group_vars/directors.yml", "host_vars/lvs01.yml", "host_vars/lvs02.yml"}
    loaded = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in files.items()}
    assert loaded["hosts.yml"]["directors"]["hosts"] == {
        "lvs01": {"ansible_host": "192.168.1.127"},
        "lvs02": {"ansible_host": "192.168.1.126"},
    }
    assert loaded["host_vars/lvs02.yml"]["director_host_vrrp_instances"]["VI_1"]["priority"] == 50
    assert {oct(path.stat().st_mode & 0o777) for path in files.values()} == {"0o644"}
    assert not list((folder / "site").rglob(".import-*"))


def test_ansible_reads_it(lvsctl: Run, folder: Path) -> None:
    lvsctl("import", "lvs01.conf", "lvs02.conf", "--output", "site")
    listed = subprocess.run(
        ["ansible-inventory", "-i", "site", "--list"], cwd=folder, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(listed.stdout)
    assert found["directors"]["hosts"] == ["lvs01", "lvs02"]
    assert found["_meta"]["hostvars"]["lvs01"]["director_vrrp_instances"][0]["virtual_ipaddress"] == ["192.168.1.100"]


def test_a_password_is_for_its_owner_alone(lvsctl: Run, folder: Path) -> None:
    secret = FILE.replace("    priority", "    authentication {\n auth_type PASS\n auth_pass x\n }\n    priority")
    (folder / "lvs01.conf").write_text(secret, encoding="utf-8")
    assert lvsctl("import", "lvs01.conf", "-o", "site").returncode == 0
    assert (folder / "site/group_vars/directors.yml").stat().st_mode & 0o777 == 0o600


def test_it_overwrites_nothing(lvsctl: Run, folder: Path) -> None:
    (folder / "site/host_vars").mkdir(parents=True)
    mine = folder / "site/host_vars/lvs01.yml"
    mine.write_text("mine", encoding="utf-8")
    refused = lvsctl("import", "lvs01.conf", "--output", "site")
    assert refused.returncode == 1
    assert "host_vars/lvs01.yml in site: already there; --force overwrites" in refused.stderr
    assert mine.read_text(encoding="utf-8") == "mine"
    assert not (folder / "site/hosts.yml").exists()
    assert lvsctl("import", "lvs01.conf", "--output", "site", "--force").returncode == 0
    assert "priority: 100" in mine.read_text(encoding="utf-8")


def test_what_cannot_be_written_is_told(lvsctl: Run, folder: Path) -> None:
    (folder / "site").write_text("a file", encoding="utf-8")
    done = lvsctl("import", "lvs01.conf", "--output", "site")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_errors_write_nothing(lvsctl: Run, folder: Path) -> None:
    done = lvsctl("import", "bad.conf", "lvs02.conf", "--output", "site")
    assert done.returncode == 5
    assert "bad.conf:2:2: global_defs: there is no word 'router_ip' in global_defs; did you mean" in done.stderr
    assert "bad.conf:4:1: vrrp_instance[V]: interface is missing" in done.stderr
    assert "nothing was written" in done.stderr
    assert not (folder / "site").exists()
    told = json.loads(lvsctl("import", "bad.conf", "--json").stdout)
    assert {"file": "bad.conf", "line": 2, "column": 2}.items() <= told["problems"][0].items()


def test_standard_output(lvsctl: Run) -> None:
    done = lvsctl("import", "lvs01.conf", "lvs02.conf", "--address", "lvs01=192.168.1.1")
    documents = list(yaml.safe_load_all(done.stdout))
    assert len(documents) == 4
    assert documents[0]["directors"]["hosts"]["lvs01"] == {"ansible_host": "192.168.1.1"}
    assert done.stdout.startswith("# hosts.yml\n---\n")


def test_json(lvsctl: Run, folder: Path) -> None:
    done = lvsctl("import", "lvs01.conf", "lvs02.conf", "--json", "--output", "site")
    found = json.loads(done.stdout)
    assert found["group"]["director_vrrp_instances"][0]["virtual_router_id"] == 51
    assert found["hosts"]["lvs01"]["director_host_global_defs"] == {"router_id": "LVS_01"}
    assert found["written"][0] == "site/hosts.yml"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lvs01.conf", "lvs01=lvs02.conf"], "two files are for the director lvs01; write NAME=FILE for each"),
        (["../x=lvs01.conf"], "'../x' cannot be the name of a host"),
        (["lvs01.conf", "--address", "lvs03=192.0.2.1"], "--address lvs03=192.0.2.1 is for none of lvs01"),
        ([], "usage: lvsctl import"),
    ],
)
def test_wrong_usage(lvsctl: Run, arguments: list[str], message: str) -> None:
    done = lvsctl("import", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_director_s_name(lvsctl: Run, folder: Path) -> None:
    (folder / "north").mkdir()
    (folder / "north/keepalived.conf").write_text(FILE, encoding="utf-8")
    found = json.loads(lvsctl("import", "north/keepalived.conf", "south=lvs02.conf", "--json").stdout)
    assert list(found["hosts"]) == ["north", "south"]


def test_includes_are_followed(lvsctl: Run, folder: Path) -> None:
    (folder / "lvs01.conf").write_text("include conf.d/*.conf\n", encoding="utf-8")
    (folder / "conf.d").mkdir()
    (folder / "conf.d/a.conf").write_text(FILE, encoding="utf-8")
    found = json.loads(lvsctl("import", "lvs01.conf", "--json").stdout)
    assert found["group"]["director_vrrp_instances"][0]["name"] == "VI_1"


def test_no_check_takes_what_can_be_read(lvsctl: Run, folder: Path) -> None:
    wrong = FILE.replace("interface ens33", "interface lo")
    (folder / "lvs01.conf").write_text(wrong, encoding="utf-8")
    assert lvsctl("import", "lvs01.conf").returncode == 5
    assert lvsctl("import", "lvs01.conf", "--no-check").returncode == 0
