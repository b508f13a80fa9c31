# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task agent_program by Ansible: check mode, a second run, damage, programs that do not work, and the way back."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.linuxha.lvs.plugins.module_utils import _agent_bundle as packing
from ansible_collections.linuxha.lvs.plugins.module_utils import _agent_programs
from ansible_collections.linuxha.lvs.plugins.module_utils._agent_programs import BadProgram, Programs

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
COLLECTION = "collections/ansible_collections/linuxha/lvs"
LIBRARY = "plugins/module_utils/_lvs_agent"
RESULTS = "{{ dict(names | zip(names | map('extract', vars))) | to_json }}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the collection, for nobody is to edit it meanwhile; the directory of its collections."""
    top = tmp_path_factory.mktemp("checkout")
    for part in ("plugins", "meta"):
        shutil.copytree(ROOT / part, top / COLLECTION / part, ignore=shutil.ignore_patterns("__pycache__"))
    return top


def play(checkout: Path, folder: Path, tasks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The results of these tasks on this machine, by their names; those of agent_program work below ``folder``."""
    (folder / "sbin").mkdir()
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {
                "linuxha.lvs.agent_program": {"root": str(folder / "lib"), "links": str(folder / "sbin")}
            },
            "tasks": [
                *({**task, "register": task["name"], "ignore_errors": True} for task in tasks),
                {"ansible.builtin.copy": {"dest": str(folder / "results"), "mode": "0600", "content": RESULTS}},
            ],
            "vars": {"names": [task["name"] for task in tasks]},
        }
    ]
    (folder / "play.yml").write_text(json.dumps(plays))
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-c", "local", "--diff", "play.yml"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(checkout / "collections")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, Any]] = json.loads((folder / "results").read_text())
    return found


def task(called: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    return {"name": called, "check_mode": check, "linuxha.lvs.agent_program": arguments}


def test_install_switch_and_back(checkout: Path, tmp_path: Path) -> None:
    library = checkout / COLLECTION / LIBRARY
    name = packing.bundle(str(library)).name
    part = tmp_path / "lib" / name / "lvs_agent/cli.py"
    other = "9.9.9-0123456789ab"
    found = play(
        checkout,
        tmp_path,
        [
            task("foreseen", check=True),
            {"name": "nothing_yet", "ansible.builtin.stat": {"path": str(tmp_path / "lib")}},
            task("beside", current=False),
            {"name": "no_link_yet", "ansible.builtin.stat": {"path": str(tmp_path / "sbin/lvsctl")}},
            task("chosen"),
            task("again"),
            task("by_name", check=True, name=name),
            {"name": "version", "ansible.builtin.command": {"argv": [str(tmp_path / "sbin/lvsctl"), "--version"]}},
            {"name": "damage", "ansible.builtin.copy": {"dest": str(part), "content": "", "mode": "0644"}},
            task("damage_seen", check=True),
            task("damaged", name=name),
            task("mended"),
            {"name": "mended_file", "ansible.builtin.slurp": {"src": str(part)}},
            task("unknown", name=other),
            task("no_name", name="../../bin"),
            task("too_few", keep=1),
            task("bundle", bundle="/x"),
        ],
    )
    changed = [one for one, result in found.items() if result["changed"] and "programs" in result]
    assert changed == ["foreseen", "beside", "chosen", "damage_seen", "mended"]
    assert found["foreseen"]["diff"]["after"] == f"{name} (current)\n"
    assert not found["nothing_yet"]["stat"]["exists"]
    assert (found["beside"]["programs"], found["beside"]["former"]) == ([name], "")
    assert not found["no_link_yet"]["stat"]["exists"]
    assert found["chosen"]["path"] == str(tmp_path / "lib" / name / "lvs-agent")
    assert found["version"]["stdout"] == f"lvsctl {name}"
    assert f"{name} is not on this host, or damaged; there are: none" in found["damaged"]["msg"]
    assert base64.b64decode(found["mended_file"]["content"]) == (library / "cli.py").read_bytes()
    assert f"{other} is not on this host, or damaged; there are: {name}" in found["unknown"]["msg"]
    assert "is no program" in found["no_name"]["msg"]
    assert "2 or more" in found["too_few"]["msg"]
    assert "leave it out" in found["bundle"]["msg"]


def test_back_to_a_former_program(checkout: Path, tmp_path: Path) -> None:
    programs = Programs(str(tmp_path / "lib"), str(tmp_path / "sbin"))
    other = installed(programs, tmp_path / "other", "version.py", "# another one")
    found = play(checkout, tmp_path, [task("ours"), task("back", name=other), task("same", name=other)])
    ours = found["ours"]["name"]
    assert found["back"]["former"] == ours
    assert found["back"]["programs"] == [ours, other]
    assert f"{other} (current)" in found["back"]["diff"]["after"]
    assert not found["same"]["changed"]
    assert programs.current() == other


def installed(programs: Programs, copy: Path, path: str, more: str) -> str:
    """This checkout's program with something more at the end of a file."""
    shutil.copytree(ROOT / LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with open(copy / path, "a", encoding="utf-8") as file:
        file.write(f"\n{more}\n")
    packed = packing.bundle(str(copy))
    programs.install(packed.archive, packed.name)
    return packed.name


@pytest.mark.parametrize(
    "path, more, said",
    [
        # it checks a configuration, and then cannot run
        ("supervisor/supervisor.py", "raise RuntimeError('broken')", "RuntimeError: broken"),
        # its VRRP process dies at once
        ("vrrp/process.py", "def run(channel, *others):\n    raise RuntimeError('hurt')", "RuntimeError: hurt"),
    ],
)
def test_a_program_that_breaks_when_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, more: str, said: str
) -> None:
    monkeypatch.setattr(_agent_programs, "_TRIAL_SECONDS", 3)
    programs = Programs(str(tmp_path / "lib"), str(tmp_path))
    name = installed(programs, tmp_path / "copy", path, more)
    programs.check(name, "")
    with pytest.raises(BadProgram, match=said):
        programs.try_out(name)
    assert programs.current() == ""


def test_a_program_that_works_leaves_nothing_behind(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path = tmp_path_factory.mktemp("trial")  # a short name: a socket's path has 108 bytes (unix(7))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    programs = Programs(str(tmp_path / "lib"), str(tmp_path))
    packed = packing.bundle(str(ROOT / LIBRARY))
    programs.install(packed.archive, packed.name)
    programs.try_out(packed.name)
    assert os.listdir(tmp_path) == ["lib"]
