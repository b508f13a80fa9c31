# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task agent_program by Ansible: check mode, a second run, damage, programs that do not work, and the way back."""

from __future__ import annotations

import functools
import json
import os
import re
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


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the collection, for nobody is to edit it meanwhile; the directory of its collections."""
    top = tmp_path_factory.mktemp("checkout")
    for part in ("plugins", "meta"):
        shutil.copytree(ROOT / part, top / COLLECTION / part, ignore=shutil.ignore_patterns("__pycache__"))
    return top


def run_task(checkout: Path, folder: Path, *options: str, **arguments: Any) -> dict[str, Any]:
    """The result of the task on this machine, with everything below ``folder``."""
    (folder / "sbin").mkdir(exist_ok=True)
    arguments = {"root": str(folder / "lib"), "links": str(folder / "sbin"), **arguments}
    done = subprocess.run(
        [
            *("ansible", "-i", "localhost,", "-c", "local", "localhost", "-e", "ansible_become=false"),
            *("-m", "linuxha.lvs.agent_program", "-a", json.dumps(arguments), *options),
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(checkout / "collections"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = re.search(r"=> (\{.*\})", done.stdout, re.S)
    assert said is not None, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(said[1])
    return found


def test_install_switch_and_back(checkout: Path, tmp_path: Path) -> None:
    program = functools.partial(run_task, checkout)
    library = checkout / COLLECTION / LIBRARY
    name = packing.bundle(str(library)).name
    foreseen = program(tmp_path, "--check", "--diff")
    assert (foreseen["changed"], foreseen["name"]) == (True, name)
    assert not (tmp_path / "lib").exists()
    beside = program(tmp_path, current=False)
    assert (beside["changed"], beside["programs"], beside["former"]) == (True, [name], "")
    assert not (tmp_path / "sbin/lvsctl").exists()
    chosen = program(tmp_path)
    assert (chosen["changed"], chosen["path"]) == (True, str(tmp_path / "lib" / name / "lvs-agent"))
    assert not program(tmp_path)["changed"]
    assert not program(tmp_path, "--check", name=name)["changed"]
    said = subprocess.run([str(tmp_path / "sbin/lvsctl"), "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"lvsctl {name}\n"

    # damaged on the host
    (tmp_path / "lib" / name / "lvs_agent/cli.py").write_text("")
    assert program(tmp_path, "--check")["changed"]
    assert f"{name} is not on this host, or damaged; there are: none" in program(tmp_path, name=name)["msg"]
    assert program(tmp_path)["changed"]
    assert not program(tmp_path)["changed"]
    assert (tmp_path / "lib" / name / "lvs_agent/cli.py").read_text() == (library / "cli.py").read_text()

    # the way to another one, and back
    programs = Programs(str(tmp_path / "lib"), str(tmp_path / "sbin"))
    other = installed(programs, tmp_path / "other", "version.py", "# another one")
    assert program(tmp_path, name=other)["former"] == name
    back = program(tmp_path, "--diff", name=name)
    assert (back["changed"], back["former"], sorted(back["programs"])) == (True, other, sorted([name, other]))
    assert f"{name} (current)" in back["diff"]["after"]


def installed(programs: Programs, copy: Path, path: str, more: str) -> str:
    """This checkout's program with something more at the end of a file."""
    shutil.copytree(ROOT / LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with open(copy / path, "a", encoding="utf-8") as file:
        file.write(f"\n{more}\n")
    packed = packing.bundle(str(copy))
    programs.install(packed.archive, packed.name)
    return packed.name


def test_wrong_arguments(checkout: Path, tmp_path: Path) -> None:
    program = functools.partial(run_task, checkout)
    assert "is no program" in program(tmp_path, name="../../bin")["msg"]
    assert "2 or more" in program(tmp_path, keep=1)["msg"]
    assert "leave it out" in program(tmp_path, bundle="/x")["msg"]


@pytest.mark.parametrize(
    "path, more, said",
    [
        # it checks a configuration, and then cannot run
        ("supervisor/supervisor.py", "raise RuntimeError('broken')", "RuntimeError: broken"),
        # its VRRP process dies at once
        ("vrrp/process.py", "def run(channel):\n    raise RuntimeError('hurt')", "RuntimeError: hurt"),
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


def test_a_program_that_works_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    programs = Programs(str(tmp_path / "lib"), str(tmp_path))
    packed = packing.bundle(str(ROOT / LIBRARY))
    programs.install(packed.archive, packed.name)
    programs.try_out(packed.name)
    assert os.listdir(tmp_path) == ["lib"]
