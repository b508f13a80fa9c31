# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as one desired state: what would have to be done (decided), and doing it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from . import guest as guests
from . import network, seed, ssh, xstate
from .commands import missing_packages
from .errors import LabError
from .paths import lab_dir, labs_dir
from .plan import Guest, Plan, keep_places, plan_from_dict

GUEST_SPACE_MB = 300
BOOT_TIMEOUT_S = 240.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """What brings a lab to its plan: guests to remove, to make anew (other NICs or image), to boot, to thaw."""

    remove: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    boot: tuple[str, ...] = ()
    thaw: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.create or self.boot or self.thaw)


def check_machine() -> None:
    """Raise LabError unless a lab can run here: root, x86-64, the tools, /dev/net/tun."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root (network namespaces and taps): run it as root or with sudo")
    if platform.machine() != "x86_64":
        raise LabError(f"the lab needs an x86-64 machine: Debian builds User Mode Linux for no {platform.machine()}")
    packages = missing_packages(xstate.needed())
    if packages:
        raise LabError(f"the lab needs packages that are not installed: apt-get install {' '.join(packages)}")
    if not os.path.exists("/dev/net/tun"):
        raise LabError("no /dev/net/tun: load the kernel module tun, or run the lab where containers may use it")


def saved_plan(name: str) -> Plan | None:
    """The plan of the lab as it was last brought up, None when there is no such lab."""
    try:
        return plan_from_dict(json.loads((lab_dir(name) / "plan.json").read_text()))
    except FileNotFoundError:
        return None


def existing_plan(name: str) -> Plan:
    """Like saved_plan, but a missing lab is a LabError that names the labs there are."""
    plan = saved_plan(name)
    if plan is None:
        names = sorted(path.parent.name for path in labs_dir().glob("*/plan.json"))
        raise LabError(f"no lab {name!r} is up; " + (f"there are: {', '.join(names)}" if names else "none is"))
    return plan


def decide(plan: Plan, before: Plan | None, states: dict[str, str]) -> Work:
    """Compare the wanted plan with the lab as it is. `states`: guest -> running, frozen, down or unmade."""
    plan = keep_places(plan, before)
    old = {guest.name: guest for guest in before.guests} if before else {}
    same_base = before is not None and (before.image, before.memory_mb) == (plan.image, plan.memory_mb)
    made = [guest for guest in plan.guests if states.get(guest.name) != "unmade"]
    kept = [guest.name for guest in made if same_base and old.get(guest.name) == guest]
    return Work(
        remove=tuple(name for name in old if name not in kept),
        create=tuple(guest.name for guest in plan.guests if guest.name not in kept),
        boot=tuple(name for name in kept if states.get(name, "down") == "down"),
        thaw=tuple(name for name in kept if states.get(name) == "frozen"),
    )


def states(plan: Plan) -> dict[str, str]:
    """guest -> `running`, `frozen` or `down`."""
    return {guest.name: guests.state_of(lab_dir(plan.name), guest) for guest in plan.guests}


def _unmade(plan: Plan) -> dict[str, str]:
    """guest -> `unmade`, of those that an interrupted `up` did not get to."""
    directory = lab_dir(plan.name)
    return {guest.name: "unmade" for guest in plan.guests if not _seed_path(directory, guest).exists()}


def up(plan: Plan, progress: Progress) -> Work:
    """Bring the lab to its plan and wait until every guest answers. Returns what was done."""
    check_machine()
    with _locked(plan.name):
        before = saved_plan(plan.name)
        plan = keep_places(plan, before)
        work = decide(plan, before, {**states(before), **_unmade(before)} if before else {})
        directory = lab_dir(plan.name)
        _check_space(directory, len(work.create))
        for name in work.remove:
            _remove(directory, before or plan, name)
        network.create(plan)
        ssh.make_key(ssh.client_key_path(directory))
        # From here on `down` must find what was made, whatever happens next.
        _save_plan(directory, plan)
        for name in work.create:
            _create(directory, plan, plan.guest(name))
        ssh.write_config(directory, plan)
        _write_inventory(directory, plan)
        for name in (*work.create, *work.boot):
            guest = plan.guest(name)
            network.plug(plan, guest)
            guests.boot(directory, plan, guest, Path(plan.image))
            progress(f"booting {name}")
        for name in work.thaw:
            guests.set_frozen(directory, plan.guest(name), False)
        # All of them: an interrupted `up` may have started some.
        guests.wait_until_up(directory, plan, list(plan.guests), BOOT_TIMEOUT_S, progress)
        return work


def boot(plan: Plan, guest: Guest, progress: Progress) -> None:
    """Boot one guest that is down, with the disk it had, and wait for it."""
    directory = lab_dir(plan.name)
    with _locked(plan.name):
        if guests.state_of(directory, guest) != "down":
            raise LabError(f"host {guest.name} is not down")
        network.plug(plan, guest)
        guests.boot(directory, plan, guest, Path(plan.image))
        guests.wait_until_up(directory, plan, [guest], BOOT_TIMEOUT_S, progress)


def crash(plan: Plan, guest: Guest) -> bool:
    """Cut a guest's power. False when it was down already."""
    was_up = guests.kill(lab_dir(plan.name), guest)
    network.end_connections(plan, guest)
    return was_up


def down(name: str) -> bool:
    """End the lab: processes, namespace with all taps, files. True when there was anything."""
    directory = lab_dir(name)
    namespace = f"lab-{name}"
    if not directory.exists() and not network.namespace_exists(namespace):
        return False
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(name):
        plan = saved_plan(name)
        for guest in plan.guests if plan else ():
            guests.kill(directory, guest)
        if network.namespace_exists(namespace):
            network.end_processes(namespace)
        network.delete(namespace)
        shutil.rmtree(directory)
    return True


def inventory_path(name: str) -> Path:
    """The inventory to put behind the site's: it only says how the lab's hosts are reached."""
    return lab_dir(name) / "inventory"


def _save_plan(directory: Path, plan: Plan) -> None:
    """Whole or not at all, so that a full disk does not leave a lab that `down` cannot read."""
    path = directory / "plan.json.new"
    path.write_text(json.dumps(plan.to_dict(), indent=1) + "\n")
    path.replace(directory / "plan.json")


def _create(directory: Path, plan: Plan, guest: Guest) -> None:
    place = guests.guest_dir(directory, guest)
    place.mkdir(parents=True, exist_ok=True)
    key = ssh.host_key_path(directory, guest)
    ssh.make_key(key)
    archive = seed.seed_archive(
        plan,
        guest,
        authorized_key=ssh.client_key_path(directory).with_suffix(".pub").read_text(),
        host_key=key.read_text(),
        host_key_public=key.with_suffix(".pub").read_text(),
    )
    # Comes last, and whole: it tells that the guest is made.
    path = place / "seed.tar.new"
    path.touch(mode=0o600)
    path.write_bytes(archive)
    path.replace(_seed_path(directory, guest))


def _seed_path(directory: Path, guest: Guest) -> Path:
    return guests.guest_dir(directory, guest) / "seed.tar"


def _remove(directory: Path, plan: Plan, name: str) -> None:
    guest = plan.guest(name)
    crash(plan, guest)
    network.unplug(plan, guest)
    shutil.rmtree(guests.guest_dir(directory, guest), ignore_errors=True)


def _write_inventory(directory: Path, plan: Plan) -> None:
    """host_vars of a later inventory win over everything the site's own says of the connection."""
    connection = {
        "ansible_connection": "ssh",
        "ansible_user": "root",
        "ansible_port": 22,
        "ansible_ssh_common_args": f"-F {ssh.config_path(directory)}",
        "ansible_ssh_private_key_file": str(ssh.client_key_path(directory)),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    inventory = directory / "inventory"
    shutil.rmtree(inventory, ignore_errors=True)
    (inventory / "host_vars").mkdir(parents=True)
    for guest in plan.guests:
        # By default Ansible shares connections by address, and two labs of one site have the same addresses.
        own = {"ansible_control_path": f"{directory}/cp-{guest.index}".replace("%", "%%")}
        (inventory / "host_vars" / f"{guest.name}.json").write_text(json.dumps(connection | own, indent=1) + "\n")
    lab_only: dict[str, Any] = {guest.name: {} for guest in plan.guests if guest.host.lab_only}
    hosts = {"lab_hosts": {"hosts": lab_only}}
    (inventory / "hosts.json").write_text(json.dumps(hosts, indent=1) + "\n")


def _check_space(directory: Path, new_guests: int) -> None:
    free_mb = shutil.disk_usage(directory).free // 2**20
    needed_mb = GUEST_SPACE_MB * new_guests
    if free_mb < needed_mb:
        raise LabError(f"out of disk: {new_guests} new hosts need {needed_mb} MB in {directory}, {free_mb} MB are free")


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """One change to a lab at a time."""
    path = lab_dir(name) / "lock"
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        with open(path, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # `down` removes the file while others wait for it: what they then hold locks nothing.
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                yield
                return
