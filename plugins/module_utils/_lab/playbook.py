# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running ansible-playbook with a line of progress a task, and what its recap says."""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from .errors import LabError

_RECAP = re.compile(r"^(?P<host>\S+)\s+: ok=\d+\s+changed=(?P<changed>\d+)\s")
_HEADLINE = re.compile(r"^(PLAY|TASK|RUNNING HANDLER) \[(?P<name>.*)\] \*+$")


class Run(NamedTuple):
    """A finished playbook. `changed`: host -> number of changed tasks."""

    seconds: float
    changed: dict[str, int]


def play(playbook: Path, inventories: Sequence[Path], log: Path, progress: Callable[[str], None]) -> Run:
    """Run a playbook; its whole output goes to `log`. LabError with the last lines when it fails."""
    argv = ["ansible-playbook", *(word for path in inventories for word in ("-i", str(path))), str(playbook)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    started = time.monotonic()
    lines: list[str] = []
    changed: dict[str, int] = {}
    with open(log, "a") as handle, subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        for line in process.stdout or ():
            handle.write(line)
            lines.append(line)
            headline = _HEADLINE.match(line)
            if headline and "Validating arguments" not in headline["name"]:
                progress(headline["name"].replace("linuxha.lvs.", ""))
            recap = _RECAP.match(line)
            if recap:
                changed[recap["host"]] = int(recap["changed"])
    if process.returncode != 0:
        raise LabError(f"{playbook.name} failed; the whole output is in {log}:\n" + "".join(lines[-30:]))
    return Run(time.monotonic() - started, changed)
