# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs lvs-agent on a director, one directory each, and the link that says which one runs.

A program is unpacked and compiled, not run from its archive: measured in a lab guest, reading a small configuration
takes 340 ms so, and 440 to 460 ms from an archive, which is compiled at each start. A crash is over sooner.
"""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time

from ansible_collections.linuxha.lvs.plugins.module_utils import _agent_bundle

CURRENT = "current"
_SECONDS = 120
_TRIAL_SECONDS = 20
_TRIAL_INSTANCE = "lvs_agent_is_tried_out"
_TRIAL = f"""
vrrp_instance {_TRIAL_INSTANCE} {{
    interface nowhere
    virtual_router_id 1
    virtual_ipaddress {{
        192.0.2.1
    }}
}}
"""
_COMPILE = "import compileall, sys; sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1))"


class BadProgram(Exception):
    """A program that cannot be used; ``str()`` says why."""


class Programs:
    """The programs below ``root``; ``links`` is the directory their names are linked to. All raise OSError."""

    def __init__(self, root: str, links: str) -> None:
        self.root = root
        self.links = links

    def directory(self, name: str) -> str:
        """Where a program is, or would be."""
        return os.path.join(self.root, name)

    def names(self) -> list[str]:
        """Those that are there, the one installed last first."""
        try:
            found = [one for one in os.scandir(self.root) if one.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return [one.name for one in sorted(found, key=_age) if not one.name.startswith(".")]

    def current(self) -> str:
        """The name of the one that runs, or is to run; "" for none."""
        try:
            return os.readlink(os.path.join(self.root, CURRENT))
        except FileNotFoundError:
            return ""

    def is_intact(self, name: str) -> bool:
        """Whether it is there, and what its name says."""
        try:
            return _agent_bundle.installed(self.directory(name)).name == name
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False

    def is_compiled(self, name: str) -> bool:
        """Whether all of it is compiled for the Python that is here now."""
        top = os.path.join(self.directory(name), _agent_bundle.PACKAGE)
        for folder, folders, files in os.walk(top):
            if "__pycache__" in folders:
                folders.remove("__pycache__")
            try:
                compiled = set(os.listdir(os.path.join(folder, "__pycache__")))
            except FileNotFoundError:
                return False
            if not {_compiled(one) for one in files} <= compiled:
                return False
        return True

    def compile(self, name: str) -> None:
        """Compile all of it. Raises BadProgram."""
        _run([sys.executable, "-I", "-c", _COMPILE, self.directory(name)], f"{name} cannot be compiled")

    def install(self, archive: bytes, name: str) -> None:
        """Put a program there, whole or not at all. Raises BadProgram."""
        os.makedirs(self.root, mode=0o755, exist_ok=True)
        draft = tempfile.mkdtemp(prefix=".", dir=self.root)
        try:
            _write(draft, _agent_bundle.unpack(archive))
            _run([sys.executable, "-I", "-c", _COMPILE, draft], f"{name} cannot be compiled")
            os.chmod(draft, 0o755)
            if _agent_bundle.installed(draft).name != name:
                raise BadProgram(f"the archive is not {name}; it was damaged on its way")
            # a loss of power must not leave names of files without what is in them
            os.sync()
            self._replace(draft, name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _replace(self, draft: str, name: str) -> None:
        final = self.directory(name)
        if os.path.lexists(final):
            damaged = tempfile.mkdtemp(prefix=".", dir=self.root)
            os.rename(final, os.path.join(damaged, name))
            os.rename(draft, final)
            shutil.rmtree(damaged, ignore_errors=True)
        else:
            os.rename(draft, final)

    def check(self, name: str, configuration: str) -> None:
        """Have it say its version, and read the configuration unless that is "" or not there. Raises BadProgram."""
        program = os.path.join(self.directory(name), "lvs-agent")
        said = _run([program, "--version"], f"{program} does not start")
        if said.split() != ["lvs-agent", name]:
            raise BadProgram(f"{name} says it is {said.strip()!r}")
        if configuration and os.path.exists(configuration):
            _run([program, "run", "--check-only", "--file", configuration], f"{name} does not accept {configuration}")

    def try_out(self, name: str) -> None:
        """Run it for a moment, in a network of its own, where it cannot touch anything. Raises BadProgram."""
        folder = tempfile.mkdtemp(prefix="lvs-agent.")
        socket = os.path.join(folder, "control.sock")
        try:
            configuration = os.path.join(folder, "keepalived.conf")
            with open(configuration, "w", encoding="utf-8") as file:
                file.write(_TRIAL)
            run = ["run", "--file", configuration, "--runtime-dir", folder, "--no-history"]
            command = ["unshare", "--net", os.path.join(self.directory(name), "lvs-agent"), *run]
            with open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log, subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            ) as process:
                try:
                    answered = self._answers(name, socket, process)
                finally:
                    process.terminate()
                    ended = _ended(process)
                if not answered or ended:
                    log.seek(0)
                    words = log.read().strip()[-2000:]
                    raise BadProgram(f"{name} does not run: tried out, it {_how(answered, ended)}: {words}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _answers(self, name: str, socket: str, process: subprocess.Popen[bytes]) -> bool:
        """Whether the daemon and its VRRP process say how they are, in time."""
        lvsctl = os.path.join(self.directory(name), "lvsctl")
        end = time.monotonic() + _TRIAL_SECONDS
        while process.poll() is None and time.monotonic() < end:
            asked = subprocess.run(
                [lvsctl, "vrrp", "--socket", socket, "--json"], capture_output=True, text=True, check=False
            )
            if _TRIAL_INSTANCE in asked.stdout:
                return True
            time.sleep(0.1)
        return False

    def links_to_make(self) -> dict[str, str]:
        """Links that are not there, with what they are to show. Raises BadProgram where something else is."""
        missing: dict[str, str] = {}
        for program in _agent_bundle.PROGRAMS:
            link, wanted = os.path.join(self.links, program), os.path.join(self.root, CURRENT, program)
            if os.path.lexists(link) and not os.path.islink(link):
                raise BadProgram(f"{link} is there and is no link; remove it, it is not this role's")
            if not os.path.islink(link) or os.readlink(link) != wanted:
                missing[link] = wanted
        return missing

    def switch(self, name: str) -> None:
        """From now on this one runs; whoever is running is left alone. Raises BadProgram."""
        _link(os.path.join(self.root, CURRENT), name)
        for link, wanted in self.links_to_make().items():
            _link(link, wanted)

    def superfluous(self, keep: int, needed: list[str]) -> list[str]:
        """All but the ``keep`` that were installed last, of which those needed come first."""
        names = self.names()
        kept = [name for name in needed if name in names]
        kept += [name for name in names if name not in kept][: max(0, keep - len(kept))]
        return [name for name in names if name not in kept]

    def remove(self, name: str) -> None:
        """Remove a program."""
        shutil.rmtree(self.directory(name))


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a daemon that was told to end; it is killed when it does not."""
    try:
        return process.wait(_TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _how(answered: bool, status: int) -> str:
    said = "answered" if answered else "gave no answer"
    return f"{said}, and ended with exit status {status}"


def _age(entry: os.DirEntry[str]) -> tuple[int, str]:
    return -entry.stat(follow_symlinks=False).st_mtime_ns, entry.name


def _compiled(source: str) -> str:
    return f"{source[: -len('.py')]}.{sys.implementation.cache_tag}.pyc"


def _write(top: str, files: dict[str, bytes]) -> None:
    """Files that all may read, whatever the umask."""
    before = os.umask(0o022)
    try:
        for path, content in files.items():
            target = os.path.join(top, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(content)
            os.chmod(target, _agent_bundle.mode(path))
    finally:
        os.umask(before)


def _link(path: str, target: str) -> None:
    """Make or change a symbolic link at one stroke."""
    draft = f"{path}.{os.getpid()}"
    os.symlink(target, draft)
    os.replace(draft, path)


def _run(command: list[str], failure: str) -> str:
    """What it writes. Raises BadProgram: ``failure``, with its last words."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, cwd="/", text=True, check=False,
            umask=0o022,
        )
    except subprocess.TimeoutExpired as error:
        raise BadProgram(f"{failure}: no end in {_SECONDS} s") from error
    except OSError as error:
        raise BadProgram(f"{failure}: {error}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip() or "it writes no reason"
        raise BadProgram(f"{failure} (exit status {done.returncode}): {words[-2000:]}")
    return done.stdout
