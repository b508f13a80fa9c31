# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VRRP process for the tests: run_vrrp.py LIBRARY FILE [RESUME_AGE_MS].

Each message of the process is one line of JSON on standard output: {"message": …, …}, first the process's own pid.
A line on standard input is a word for it: stop, leave, status, handover, ``configure FILE``, or ``track KIND NAME up``.
With RESUME_AGE_MS every instance goes on as master of a process that was alive so many milliseconds ago.
"""

from __future__ import annotations

import dataclasses
import json
import os
import select
import sys
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

from _lvs_agent.conf.read import file_problems, read_file
from _lvs_agent.conf.settle import settle
from _lvs_agent.supervisor.channel import pair
from _lvs_agent.vrrp import messages
from _lvs_agent.vrrp.from_conf import plan as make_plan
from _lvs_agent.vrrp.plan import Plan, TrackKind
from _lvs_agent.vrrp.process import run


def plan_of(path: str) -> Plan:
    parsed = read_file(path, ids=["test"])
    errors = [str(problem) for problem in file_problems(parsed) if problem.severity == "error"]
    if errors:
        sys.exit("\n".join(errors))
    return make_plan(settle(parsed.configuration))


def printed(message: object) -> None:
    fields: dict[str, Any] = dataclasses.asdict(message)  # type: ignore[call-overload]
    told = {"message": type(message).__name__, **fields}
    print(json.dumps(told, default=lambda one: getattr(one, "value", str(one))), flush=True)


def command(words: list[str]) -> messages.ToVrrp:
    if words[0] == "configure":
        return messages.Configure(plan_of(words[1]))
    if words[0] == "track":
        return messages.TrackResult(TrackKind(words[1]), words[2], words[3] == "up")
    simple: dict[str, messages.ToVrrp] = {
        "stop": messages.Stop(),
        "leave": messages.Leave(),
        "status": messages.StatusRequest(1),
        "handover": messages.HandOver(),
    }
    return simple[words[0]]


def main() -> int:
    plan = plan_of(sys.argv[2])
    ours, theirs = pair()
    pid = os.fork()
    if not pid:
        ours.close()
        os._exit(run(theirs))
    theirs.close()
    print(json.dumps({"message": "Pid", "pid": pid}), flush=True)
    resume: tuple[messages.Resume, ...] = ()
    if len(sys.argv) > 3:
        alive = time.monotonic_ns() - int(sys.argv[3]) * 1_000_000
        resume = tuple(messages.Resume(one.identity, alive) for one in plan.instances)
    ours.send(messages.Configure(plan, resume))
    try:
        while True:
            ready = select.select([ours, sys.stdin], [], [], 1)[0]
            if ours in ready:
                for message in ours.receive():
                    printed(message)
            if sys.stdin in ready and (line := sys.stdin.readline()):
                ours.send(command(line.split()))
            elif sys.stdin in ready:
                break
    except messages.ChannelClosed:
        pass
    ours.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
