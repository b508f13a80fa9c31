# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of modules and commands, collected first, then run in one boot of a guest, with the answer of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ansible

import uml_guest

COLLECTIONS = uml_guest.CHECKOUT / "build" / "collections"
RUNNER = uml_guest.CHECKOUT / "tests" / "integration" / "uml" / "run_steps.py"


class Steps:
    """Each method that adds a step returns the number of its answer."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def _add(self, **step: Any) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def module(self, name: str, args: dict[str, Any], *, check: bool = False, user: int = 0) -> int:
        """A call of one of the collection's modules, by root or another user."""
        return self._add(module=name, args={**args, "_ansible_check_mode": check}, user=user)

    def run(self, *words: str, text: str = "") -> int:
        """A command to its end; ``text`` is its standard input."""
        return self._add(run=words, input=text)

    def start(self, *words: str) -> int:
        """A command that goes on in the background after its first line."""
        return self._add(start=words)

    def restore(self, table: list[str]) -> int:
        """Set the table with ipvsadm to these lines and nothing else."""
        self.run("ipvsadm", "-C")
        return self.run("ipvsadm", "-R", text="".join(f"{line}\n" for line in table))

    def saved(self) -> int:
        """The table as ipvsadm saves it."""
        return self.run("ipvsadm", "-Sn")

    def boot(self, directory: Path, before: str = "") -> list[Any]:
        """Run all in a guest, after the lines of bash ``before``."""
        library, steps = directory / "library", directory / "steps.json"
        library.mkdir()
        (library / "ansible").symlink_to(Path(ansible.__file__).parent)
        steps.write_text(json.dumps(self.steps))
        guest = directory / "guest"
        guest.mkdir()
        said = uml_guest.run(
            f"{before}\npart steps {uml_guest.DEBIAN_PYTHON} -W error {RUNNER} {steps}\n",
            guest,
            modules=("dummy", *uml_guest.IPVS_MODULES),
            pythonpath=(library, COLLECTIONS),
        )
        answers = [json.loads(line) for line in said["steps"].splitlines()]
        assert len(answers) == len(self.steps), said["steps"]
        return answers
