# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a guest: PYTHON run_steps.py STEPS.json, the answers in the order of the steps, one JSON document a line.

A step is ``{"module": NAME, "args": {...}, "user": NUMBER}``, answered by the module's result, or ``{"run": [WORD…],
"input": TEXT}``, answered by what the command printed on both streams, or ``{"start": [WORD…]}``, answered by "" when
the command has printed its first line; it goes on in the background. The modules run in this process, one after
another, which spares starting Python each time.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

from ansible.module_utils import basic
from ansible.module_utils.common import warnings

COLLECTION = "ansible_collections.linuxha.lvs.plugins.modules"


def run_module(name: str, args: dict[str, Any], user: int) -> Any:
    """The module's result; what is no JSON comes as text, a traceback for example."""
    module = importlib.import_module(f"{COLLECTION}.{name}")
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_diff": True, **args}}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    warnings._global_warnings.clear()
    text = as_user(user, module.main) if user else printed(module.main)
    try:
        return json.loads(text)
    except ValueError:
        return text


def printed(main: Callable[[], None]) -> str:
    """What a module prints until it exits."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            main()
        except SystemExit:
            pass
        except BaseException:  # noqa: BLE001
            output.write(traceback.format_exc())
    return output.getvalue()


def as_user(user: int, main: Callable[[], None]) -> str:
    """The same in a process of that user's."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        os.write(writing, printed(main).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        text = output.read()
    os.waitpid(child, 0)
    return text


def answer(step: dict[str, Any], started: list[subprocess.Popen[str]]) -> Any:
    """What one step says."""
    if "module" in step:
        return run_module(step["module"], step["args"], step["user"])
    if "run" in step:
        done = subprocess.run(
            step["run"],
            input=step.get("input"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        return done.stdout
    started.append(subprocess.Popen(step["start"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    output = started[-1].stdout
    if output is not None:
        output.readline()
    return ""


def main() -> None:
    started: list[subprocess.Popen[str]] = []
    with open(sys.argv[1], encoding="utf-8") as file:
        steps = json.load(file)
    for step in steps:
        sys.stdout.write(json.dumps(answer(step, started)) + "\n")
        sys.stdout.flush()
    for process in started:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
