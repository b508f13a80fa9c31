# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvs-agent as it is packed for a director, unpacked there, exchanged, and run from there."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import agent_file
import pytest
from ansible_collections.linuxha.lvs.plugins.module_utils import _agent_bundle as packing
from ansible_collections.linuxha.lvs.plugins.module_utils._agent_programs import BadProgram, Programs

from _lvs_agent.version import VERSION

LIBRARY = Path(__file__).parents[3] / "plugins/module_utils/_lvs_agent"
GOOD = """\
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.100
    }
}
"""


def a_library(top: Path, version: str = "1.0.0", main: str = "") -> Path:
    """A program that says its version and its name, as the real one does."""
    (top / "conf").mkdir(parents=True)
    (top / "__init__.py").touch()
    (top / "conf/__init__.py").write_text("X = 1\n")
    (top / "version.py").write_text(f'VERSION = "{version}"\n')
    said = "import os, sys\ndef main():\n    here = os.path.dirname(os.path.dirname(__file__))\n"
    said += "    print('lvs-agent', os.path.basename(here))\n    return 0\n"
    for module in packing.PROGRAMS.values():
        (top / f"{module}.py").write_text(main or said)
    return top


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    (tmp_path / "sbin").mkdir()
    return Programs(str(tmp_path / "lib"), str(tmp_path / "sbin"))


def install(programs: Programs, library: Path) -> str:
    packed = packing.bundle(str(library))
    programs.install(packed.archive, packed.name)
    return packed.name


# --- packing


def test_the_same_source_makes_the_same_bytes_whatever_else_differs(tmp_path: Path) -> None:
    first = packing.bundle(str(LIBRARY))
    copy = tmp_path / "copy"
    before = os.umask(0o077)
    try:
        # in another order, with other times and modes, compiled
        for source in sorted(LIBRARY.rglob("*.py"), reverse=True):
            target = copy / source.relative_to(LIBRARY)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            os.utime(target, (1, 1))
            target.chmod(0o700)
    finally:
        os.umask(before)
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__/cli.cpython-39.pyc").write_bytes(b"x")
    (copy / "notes.txt").write_text("x")
    assert packing.bundle(str(copy)) == first
    (copy / "cli.py").write_text("")
    assert packing.bundle(str(copy)).name != first.name


def test_what_the_archive_says_of_its_files() -> None:
    packed = packing.bundle(str(LIBRARY))
    with zipfile.ZipFile(io.BytesIO(packed.archive)) as archive:
        members = archive.infolist()
        assert archive.testzip() is None
    names = [member.filename for member in members]
    assert names == sorted(names)
    assert {"lvs-agent", "lvsctl", "lvs_agent/cli.py", "lvs_agent/vrrp/loop.py"} <= set(names)
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {(member.external_attr >> 16) & 0o777 for member in members} == {0o644, 0o755}
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}


def test_a_path_outside_the_program_is_refused() -> None:
    for path in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(ValueError, match="outside the program"):
            packing.unpack(packing.pack({path: b""}))


def test_a_library_without_a_version(tmp_path: Path) -> None:
    (tmp_path / "version.py").write_text("VERSION = 3\n")
    with pytest.raises(ValueError, match="does not say a version"):
        packing.bundle(str(tmp_path))


# --- the real program, as it runs on a director


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/usr/sbin of a director with this checkout's lvs-agent."""
    top = tmp_path_factory.mktemp("director")
    (top / "sbin").mkdir()
    programs = Programs(str(top / "lib"), str(top / "sbin"))
    name = install(programs, LIBRARY)
    programs.switch(name)
    return top / "sbin"


def run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The program by its link, with a Python that knows nothing of this checkout."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ""}
    command = [sys.executable, "-I", str(program), *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_which_program_it_is(real: Path, tmp_path: Path) -> None:
    name = packing.bundle(str(LIBRARY)).name
    assert run(real / "lvs-agent", "--version", folder=tmp_path).stdout == f"lvs-agent {name}\n"
    assert run(real / "lvsctl", "--version", folder=tmp_path).stdout == f"lvsctl {name}\n"


def test_it_judges_a_configuration(real: Path, tmp_path: Path) -> None:
    (tmp_path / "good.conf").write_text(GOOD)
    (tmp_path / "bad.conf").write_text(GOOD.replace("interface eth0", "interfac eth0"))
    for verb in (["check"], ["run", "--check-only", "--file"]):
        bad = run(real / "lvs-agent", *verb, "bad.conf", folder=tmp_path)
        assert bad.returncode == 5
        assert "interfac" in bad.stdout + bad.stderr
    assert run(real / "lvs-agent", "run", "--check-only", "--file", "good.conf", folder=tmp_path).returncode == 0


def test_lvsctl_says_that_nothing_runs(real: Path, tmp_path: Path) -> None:
    done = run(real / "lvsctl", "status", "--socket", str(tmp_path / "none"), folder=tmp_path)
    assert (done.returncode, "does not run" in done.stderr) == (3, True)


def test_it_is_all_there_and_compiled(real: Path) -> None:
    programs = Programs(str(real.parent / "lib"), str(real))
    (name,) = programs.names()
    assert programs.is_intact(name)
    assert programs.is_compiled(name)
    installed = Path(programs.directory(name))
    assert {path.stat().st_mode & 0o777 for path in installed.rglob("*.py")} == {0o644}
    assert (installed / "lvs-agent").stat().st_mode & 0o777 == 0o755


# --- exchanging programs


def test_the_link_moves_and_those_before_are_kept(programs: Programs, tmp_path: Path) -> None:
    names = []
    for number in range(4):
        name = install(programs, a_library(tmp_path / str(number), f"1.0.{number}"))
        os.utime(programs.directory(name), (number, number))
        programs.check(name, "")
        programs.switch(name)
        names.append(name)
    assert programs.current() == names[-1]
    assert programs.names() == names[::-1]
    said = subprocess.run([str(tmp_path / "sbin/lvs-agent")], capture_output=True, text=True, check=True)
    assert said.stdout == f"lvs-agent {names[-1]}\n"
    assert programs.superfluous(2, [names[3], names[2]]) == [names[1], names[0]]
    # back to an old one: it and the one before are needed, whatever is newer
    assert programs.superfluous(2, [names[0], names[3]]) == [names[2], names[1]]
    assert programs.superfluous(3, [names[0], ""]) == [names[1]]
    programs.remove(names[1])
    assert programs.names() == [names[3], names[2], names[0]]


def test_a_program_that_cannot_be_compiled_is_not_installed(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(BadProgram, match="SyntaxError"):
        install(programs, a_library(tmp_path / "a", main="def main(:\n"))
    assert os.listdir(programs.root) == []


def test_a_program_that_does_not_run_is_told_with_its_words(programs: Programs, tmp_path: Path) -> None:
    name = install(programs, a_library(tmp_path / "a", main="import no_such_module\n"))
    with pytest.raises(BadProgram, match="No module named 'no_such_module'"):
        programs.check(name, "")
    assert programs.current() == ""


def test_a_program_that_says_another_version(programs: Programs, tmp_path: Path) -> None:
    name = install(programs, a_library(tmp_path / "a", main="def main():\n    print('lvs-agent 7')\n"))
    with pytest.raises(BadProgram, match=r"says it is 'lvs-agent 7'"):
        programs.check(name, "")


def test_a_configuration_that_the_program_refuses(real: Path, tmp_path: Path) -> None:
    programs = Programs(str(real.parent / "lib"), str(real))
    (tmp_path / "bad.conf").write_text(GOOD.replace("interface eth0", "interfac eth0"))
    with pytest.raises(BadProgram, match="interfac"):
        programs.check(programs.current(), str(tmp_path / "bad.conf"))
    programs.check(programs.current(), str(tmp_path / "not-there.conf"))


def test_what_was_changed_on_the_host_is_noticed_and_put_right(programs: Programs, tmp_path: Path) -> None:
    library = a_library(tmp_path / "a")
    name = install(programs, library)
    with open(os.path.join(programs.directory(name), "lvs_agent/cli.py"), "a", encoding="utf-8") as file:
        file.write("# mended here\n")
    assert not programs.is_intact(name)
    install(programs, library)
    assert programs.is_intact(name)
    assert os.listdir(programs.root) == [name]


def test_a_python_that_has_not_compiled_it(programs: Programs, tmp_path: Path) -> None:
    name = install(programs, a_library(tmp_path / "a"))
    shutil.rmtree(os.path.join(programs.directory(name), "lvs_agent/conf/__pycache__"))
    assert programs.is_intact(name)
    assert not programs.is_compiled(name)
    programs.compile(name)
    assert programs.is_compiled(name)


def test_an_archive_that_is_damaged_is_not_installed(programs: Programs, tmp_path: Path) -> None:
    packed = packing.bundle(str(a_library(tmp_path / "a")))
    with pytest.raises(BadProgram, match="damaged"):
        programs.install(packed.archive, "1.0.0-000000000000")
    assert os.listdir(programs.root) == []


def test_a_file_of_somebody_else_is_not_replaced(programs: Programs, tmp_path: Path) -> None:
    name = install(programs, a_library(tmp_path / "a"))
    (tmp_path / "sbin/lvsctl").write_text("mine")
    with pytest.raises(BadProgram, match="sbin/lvsctl is there and is no link"):
        programs.links_to_make()
    with pytest.raises(BadProgram):
        programs.switch(name)
    assert (tmp_path / "sbin/lvsctl").read_text() == "mine"


# --- without Ansible


@pytest.mark.parametrize("form", ["one file", "checkout"])
def test_it_runs_where_it_is(form: str, tmp_path: Path) -> None:
    """``make agent`` and ``bin``: both programs, from any directory, on the system's Python."""
    (tmp_path / "bad.conf").write_text(GOOD.replace("interface eth0", "interfac eth0"))
    programs = Path(__file__).parents[3] / "bin"
    if form == "one file":
        programs = tmp_path
        (tmp_path / "lvs-agent").write_bytes(agent_file.single_file(LIBRARY))
        (tmp_path / "lvs-agent").chmod(0o755)
        (tmp_path / "lvsctl").symlink_to("lvs-agent")
    for name in packing.PROGRAMS:
        done = subprocess.run([programs / name, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == f"{name} {VERSION}\n"
    command = [str(programs / "lvs-agent"), "check", "bad.conf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "did you mean interface?" in done.stdout + done.stderr) == (5, True)
