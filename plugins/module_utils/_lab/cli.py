# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's verbs for a person at a terminal: `python3 -m _lab.cli VERB …`, behind the make targets."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, Callable

from . import demo, kernel, kernel_build, lab, network, ssh
from . import guest as guests
from .commands import run
from .errors import LabError
from .paths import lab_dir, labs_dir
from .plan import MANAGEMENT_NIC, Guest, Plan


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0: done; 1: a LabError, its text on standard error; 2: usage."""
    arguments = _parser().parse_args(argv)
    verb: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return verb(arguments)
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1


def _say(text: str) -> None:
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


def _host(arguments: argparse.Namespace) -> tuple[Plan, Guest]:
    plan = lab.existing_plan(arguments.lab)
    return plan, plan.guest(arguments.host)


def _status(arguments: argparse.Namespace) -> int:
    plan = lab.existing_plan(arguments.lab)
    cables = network.cable_states(plan)
    states = lab.states(plan)
    rows: list[dict[str, Any]] = [
        {
            "host": guest.name,
            "state": states[guest.name],
            "pid": guests.pid_of(lab_dir(plan.name), guest),
            "nics": {
                port.nic: {"addresses": list(nic.addresses), "cable": cables.get(port.tap, "absent")}
                for port, nic in zip(guest.ports[1:], guest.host.nics)
            },
        }
        for guest in plan.guests
    ]
    if arguments.json:
        sys.stdout.write(json.dumps({"lab": plan.name, "hosts": rows}, indent=1) + "\n")
        return 0
    config = ssh.config_path(lab_dir(plan.name))
    sys.stdout.write(f"lab {plan.name}: namespace {plan.namespace}, ssh -F {config} HOST\n")
    for row in rows:
        nics = "  ".join(
            f"{name} {','.join(nic['addresses']) or '-'}" + ("" if nic["cable"] == "up" else f" ({nic['cable']})")
            for name, nic in row["nics"].items()
        )
        sys.stdout.write(f"  {row['host']:<12} {row['state']:<8} {nics}\n")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    names = sorted(path.parent.name for path in labs_dir().glob("*/plan.json"))
    sys.stdout.write(json.dumps(names) + "\n" if arguments.json else "".join(f"{name}\n" for name in names))
    return 0


def _ssh(arguments: argparse.Namespace) -> int:
    plan, guest = _host(arguments)
    config = ssh.config_path(lab_dir(plan.name))
    os.execvp("ssh", ["ssh", "-F", str(config), guest.name, *arguments.command])


def _crash(arguments: argparse.Namespace) -> int:
    plan, guest = _host(arguments)
    _say(f"{guest.name} lost its power" if lab.crash(plan, guest) else f"{guest.name} was down")
    return 0


def _boot(arguments: argparse.Namespace) -> int:
    plan, guest = _host(arguments)
    lab.boot(plan, guest, _say)
    return 0


def _freeze(arguments: argparse.Namespace) -> int:
    plan, guest = _host(arguments)
    guests.set_frozen(lab_dir(plan.name), guest, arguments.frozen)
    return 0


def _cable(arguments: argparse.Namespace) -> int:
    plan, guest = _host(arguments)
    network.set_cable(plan, guest, arguments.nic, arguments.plugged)
    return 0


def _partition(arguments: argparse.Namespace) -> int:
    network.partition(lab.existing_plan(arguments.lab), arguments.hosts)
    return 0


def _heal(arguments: argparse.Namespace) -> int:
    network.heal(lab.existing_plan(arguments.lab))
    return 0


def _netem(arguments: argparse.Namespace) -> int:
    """Loss and delay on what the guest sends: the guest's kernel has sch_netem, this machine's may not."""
    plan, guest = _host(arguments)
    if arguments.nic not in [nic.name for nic in guest.host.nics]:
        names = ", ".join(nic.name for nic in guest.host.nics)
        raise LabError(f"host {guest.name} has no NIC {arguments.nic!r} of the site's; those are: {names}")
    remote = ["ssh", "-F", str(ssh.config_path(lab_dir(plan.name))), guest.name, "tc", "qdisc"]
    if arguments.loss == 0 and arguments.delay_ms == 0:
        run([*remote, "delete", "dev", arguments.nic, "root"], check=False)
        return 0
    words = ["loss", f"{arguments.loss}%", "delay", f"{arguments.delay_ms}ms"]
    run([*remote, "replace", "dev", arguments.nic, "root", "netem", *words])
    return 0


def _down(arguments: argparse.Namespace) -> int:
    _say(f"lab {arguments.lab} is gone" if lab.down(arguments.lab) else f"there was no lab {arguments.lab}")
    return 0


def _kernel(_arguments: argparse.Namespace) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    built = kernel_build.build(_say)
    state = "built" if built else "there already"
    _say(f"Linux {kernel.find('fast').version} is {state}: {kernel.fast_dir()}; boot it with {kernel.VARIABLE}=fast")
    return 0


def _interrupted(number: int, _frame: object) -> None:
    _say(f"{signal.Signals(number).name}: removing what was made")
    raise SystemExit(128 + number)


def _demo(arguments: argparse.Namespace) -> int:
    return demo.demo(arguments.site, arguments.lab, arguments.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="A lab of real Linux hosts for one site inventory.")
    parser.add_argument("--lab", default=os.environ.get("LAB") or "default", help="name of the lab [%(default)s]")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, function: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=words, description=words)
        sub.set_defaults(run=function)
        return sub

    def host_verb(name: str, function: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        sub = verb(name, function, words)
        sub.add_argument("host", metavar="HOST")
        return sub

    verb("status", _status, "hosts, their state, NICs and cables").add_argument("--json", action="store_true")
    show = verb("demo", _demo, "boot a lab, build the site in it, crash its master, print what was measured")
    show.add_argument("--site", default=os.environ.get("SITE") or "dr-two-nic", help="an inventory [%(default)s]")
    show.add_argument("--json", action="store_true")
    verb("kernel", _kernel, "build the fast kernel, once for this machine")
    verb("list", _list, "the labs there are").add_argument("--json", action="store_true")
    verb("down", _down, "end the lab and remove all it made")
    host_verb("ssh", _ssh, "a shell, or a command, on a host").add_argument("command", nargs=argparse.REMAINDER)
    host_verb("crash", _crash, "cut a host's power")
    host_verb("boot", _boot, "boot a host that is down, with the disk it had")
    host_verb("freeze", _freeze, "stop a host's clock and everything on it").set_defaults(frozen=True)
    host_verb("thaw", _freeze, "let a frozen host go on").set_defaults(frozen=False)
    for name, plugged, words in (("pull", False, "pull a NIC's cable"), ("plug", True, "plug it in again")):
        cable = host_verb(name, _cable, words)
        cable.add_argument("nic", metavar="NIC", help=f"as the site calls it; {MANAGEMENT_NIC} is the lab's own")
        cable.set_defaults(plugged=plugged)
    cut = verb("partition", _partition, "cut hosts off from the rest; they keep seeing each other")
    cut.add_argument("hosts", nargs="+", metavar="HOST")
    verb("heal", _heal, "end every partition, plug in every cable")
    netem = host_verb("netem", _netem, "loss and delay on what a NIC sends; none of both: back to normal")
    netem.add_argument("nic", metavar="NIC")
    netem.add_argument("--loss", type=float, default=0.0, metavar="PERCENT")
    netem.add_argument("--delay-ms", type=float, default=0.0, metavar="MS")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
