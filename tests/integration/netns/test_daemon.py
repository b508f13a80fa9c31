# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon on a pair of directors: killed, reloaded, exchanged, handed over and stopped; tcpdump is the witness."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.wire import AddressEvents, Site, site, vips, wait_until

pytestmark = [pytest.mark.root, pytest.mark.measured]

VRID = 51
INTERVAL_S = 0.2
#: For another start of a process, or of the whole daemon: a master that comes back within three of them is one still
#: (the Active_Down_Interval of RFC 9568 6.1), and a loaded machine starts Python in less.
PATIENT_S = 2
#: What a loaded machine of two cores adds to any time.
LATE_S = 0.1


def configuration(priority: int, interval: float = INTERVAL_S, more: str = "", addresses: str = "10.0.0.100/24") -> str:
    return (
        f"vrrp_instance VI {{\n interface eth0\n virtual_router_id {VRID}\n priority {priority}\n version 3\n"
        f" advert_int {interval}\n{more} virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
    )


class Pair:
    """Two directors with the daemon each; a is master."""

    def __init__(self, where: Site, directory: Path, interval: float = INTERVAL_S, more: str = "") -> None:
        self.site = where
        self.interval = interval
        programs = [directory / "a.pyz", directory / "b.pyz"]
        for program in programs:
            pack(program, "1.0.0")
        self.a = Daemon(where.a, directory / "a", programs[0], configuration(200, interval, more))
        self.b = Daemon(where.b, directory / "b", programs[1], configuration(100, interval))
        self.addresses: AddressEvents | None = None

    def start(self) -> None:
        self.a.start()
        self.a.wait_for(VI="MASTER")
        self.b.start()
        self.b.wait_for(VI="BACKUP")
        self.addresses = AddressEvents(self.site.a)

    def close(self) -> None:
        self.a.close()
        self.b.close()
        if self.addresses is not None:
            self.addresses.close()

    def gap(self, since: float) -> float:
        """The longest time without an advert of a since then; nobody else sent one."""
        time.sleep(5 * self.interval)
        adverts = self.site.witness.of(VRID, since - self.interval - LATE_S)
        assert {advert.source for advert in adverts} == {"10.0.0.1"}, adverts
        return max(later.at - sooner.at for sooner, later in zip(adverts, adverts[1:]))

    def unmoved(self, since: float) -> None:
        """The other one never was master, and the VIP never left: who was away came back within what the other waits.

        How long that took is the machine's matter, the protocol's is that it was short enough.
        """
        self.a.wait_for(VI="MASTER")
        wait_until(lambda: self.site.witness.of(VRID, time.time() - self.interval), "an advert", lambda: self.a.log)
        # the backup's wait is three intervals and less than a fourth
        assert self.gap(since) < 4 * self.interval
        assert vips(self.site.a) >= {"10.0.0.100"}
        assert self.addresses is not None
        assert self.addresses.of("10.0.0.100") == []
        assert vips(self.site.b) == set()
        assert self.b.states() == {"VI": "BACKUP"}
        assert self.b.became() == ["BACKUP"]
        assert not self.b.causes("alarm")

    def undisturbed(self, since: float) -> None:
        """Nor was an advert left out."""
        self.unmoved(since)
        assert self.gap(since) < 2 * self.interval


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(stack: ExitStack, directory: Path, interval: float = INTERVAL_S, more: str = "") -> Pair:
    pair = Pair(stack.enter_context(site()), directory, interval, more)
    stack.callback(pair.close)
    pair.start()
    return pair


def test_the_vrrp_process_is_killed(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path, 1)
    for deaths in (1, 2):
        killed, at = pair.a.vrrp_pid(), time.time()
        os.kill(killed, signal.SIGKILL)
        # the second one is started a tenth of a second later
        pair.unmoved(at)
        status = pair.a.ask("status")
        assert (status.status, status.result["vrrp_process"]["deaths"]) == (0, deaths)
        assert status.result["vrrp_process"]["pid"] not in (None, killed)
    assert "killed by SIGKILL" in pair.a.causes("process_died")[0]


def test_the_vrrp_process_stands_still(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path)
    stopped = pair.a.vrrp_pid()
    os.kill(stopped, signal.SIGSTOP)
    # the supervisor's patience is five seconds: ask before anything that a loaded machine takes its time for
    assert "the VRRP process does not answer" in pair.a.quick("status")["problems"]
    wait_until(lambda: "MASTER" in pair.b.became(), "a take-over", lambda: pair.b.log)
    # it is killed at last; the next one is no master that was here a moment ago, but has the higher priority
    wait_until(lambda: pair.a.causes("process_died"), "its death", lambda: pair.a.log)
    pair.a.wait_for(VI="MASTER")
    pair.b.wait_for(VI="BACKUP")
    assert "silent" in pair.a.causes("process_died")[0]
    assert pair.a.vrrp_pid() != stopped


def test_all_processes_are_killed_and_systemd_starts_the_daemon_again(stack: ExitStack, tmp_path: Path) -> None:
    # a master by a script's word, which no restart may doubt until the script has ended once more
    script = "vrrp_script slow {\n script \"/usr/bin/sleep 0.7\"\n interval 2\n}\n"
    track = " track_script {\n slow\n }\n"
    pair = Pair(stack.enter_context(site()), tmp_path, PATIENT_S, track)
    security = "global_defs {\n script_user root\n enable_script_security\n}\n"
    pair.a.file.write_text(security + script + pair.a.file.read_text())
    stack.callback(pair.close)
    pair.start()
    child, at = pair.a.vrrp_pid(), time.time()
    pair.a.signal(signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    assert pair.a.ended() == -signal.SIGKILL
    time.sleep(0.1)  # RestartSec
    pair.a.start()
    pair.unmoved(at)
    # by what was in force, and once more when the file has been read
    assert "resumed VI" in [one for one in pair.a.causes("configured") if one != "nothing changed"][-1]
    assert "FAULT" not in pair.a.became()


def test_the_supervisor_alone_is_killed(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path, PATIENT_S)
    child, at = pair.a.vrrp_pid(), time.time()
    pair.a.signal(signal.SIGKILL)
    pair.a.ended()
    wait_until(lambda: has_ended(child), "the end of the VRRP process")
    assert vips(pair.site.a) == {"10.0.0.100"}
    pair.a.start()
    pair.unmoved(at)


def test_reload(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path)
    child, at = pair.a.vrrp_pid(), time.time()
    good = pair.a.file.read_text()
    pair.a.file.write_text(good.replace("priority", "priorty"))
    answer = pair.a.ask("reload")
    assert (answer.status, answer.result["applied"]) == (5, False)
    assert "keepalived.conf:4:2" in answer.result["errors"][0]
    assert "did you mean priority?" in answer.result["errors"][0]
    assert pair.a.ask("status").status == 1
    pair.a.signal(signal.SIGHUP)
    wait_until(lambda: len(pair.a.causes("configuration")) == 2, "the second refusal")

    pair.a.file.write_text(good.replace("10.0.0.100/24", "10.0.0.100/24\n 10.0.0.101/24"))
    answer = pair.a.ask("reload")
    assert (answer.status, answer.result["changed"]) == (0, ["VI"])
    assert vips(pair.site.a) == {"10.0.0.100", "10.0.0.101"}
    pair.a.file.write_text(good)
    pair.a.signal(signal.SIGHUP)
    wait_until(lambda: vips(pair.site.a) == {"10.0.0.100"}, "the address is gone")
    assert pair.a.ask("reload").result["said"] == "nothing changed"
    # the advert of the longer list differs from the backup's configuration: it says so, and that is all
    assert pair.gap(at) < 2 * INTERVAL_S
    assert pair.b.states() == {"VI": "BACKUP"}
    assert pair.a.vrrp_pid() == child


DEADLY = {
    # what no test of a configuration finds: an error in the process itself, before it has done as told, or later
    "vrrp/reconfigure.py": """
_begin = Reconfiguration.begin


def _deadly(self, message, now):
    if any(one.name == "DEADLY" for one in message.plan.instances):
        raise MemoryError("of this plan")
    _begin(self, message, now)


Reconfiguration.begin = _deadly
""",
    "vrrp/loop.py": """
_configured = Loop.configured


def _deadly_later(self):
    _configured(self)
    if any(one.name == "LATER" for one in self.runners):
        self.work.append(lambda now: {}["LATER"])


Loop.configured = _deadly_later
""",
}


def test_a_configuration_that_kills_the_process_is_taken_back(stack: ExitStack, tmp_path: Path) -> None:
    pair = Pair(stack.enter_context(site()), tmp_path, 1)
    pack(pair.a.program, "1.0.0", DEADLY)
    stack.callback(pair.close)
    pair.start()
    good = pair.a.file.read_text()
    more = good.replace("instance VI", "instance DEADLY").replace(f"id {VRID}", "id 52").replace("0.100/24", "0.101/24")
    at = time.time()
    pair.a.file.write_text(good + more)
    answer = pair.a.ask("reload")
    assert (answer.status, answer.result["applied"]) == (5, False)
    assert "kills the VRRP process (exit status 70): the configuration before is in force" in answer.result["said"]
    pair.unmoved(at)
    status = pair.a.ask("status")
    assert status.status == 1
    assert answer.result["said"] in status.result["problems"]
    assert status.result["configuration"]["said"] == answer.result["said"]
    assert pair.a.states() == {"VI": "MASTER"}
    deaths = status.result["vrrp_process"]["deaths"]
    assert deaths == 2

    # one that has answered before it dies of it
    pair.a.file.write_text(good + more.replace("DEADLY", "LATER"))
    pair.a.ask("reload")
    wait_until(lambda: len(pair.a.causes("configuration")) == 2, "the second return", lambda: pair.a.log)
    pair.unmoved(at)
    wait_until(lambda: pair.a.states() == {"VI": "MASTER"}, "the instance alone", lambda: pair.a.log)
    assert answer.result["said"].partition("(")[0] in pair.a.quick("status")["problems"][0]
    assert vips(pair.site.a) == {"10.0.0.100"}

    # and what is written next is read again
    pair.a.file.write_text(good + more.replace("DEADLY", "GOOD"))
    answer = pair.a.ask("reload")
    assert (answer.status, answer.result["added"]) == (0, ["GOOD"])
    status = pair.a.ask("status")
    assert (status.status, status.result["problems"]) == (0, [])
    assert status.result["vrrp_process"]["deaths"] == 4


def test_the_program_is_exchanged(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path)
    child, at = pair.a.vrrp_pid(), time.time()
    pair.a.program.write_text("raise SystemExit('a mistake of ours')")
    answer = pair.a.ask("reload")
    assert answer.status == 5
    assert "a mistake of ours" in str(answer.result["errors"])
    assert pair.a.vrrp_pid() == child

    pack(pair.a.program, "2.0.0")
    assert pair.a.ask("reload").result["said"] == "the new program takes over"
    wait_until(lambda: has_ended(child), "the end of the former process", lambda: pair.a.log)
    pair.a.wait_for(VI="MASTER")
    pair.undisturbed(at)
    status = pair.a.ask("status").result
    assert (status["version"], status["pid"]) == ("2.0.0", pair.a.pid)
    assert status["vrrp_process"]["pid"] != child
    assert "lvs-agent 2.0.0 takes over" in pair.a.causes("upgrade")[0]
    # and it is a whole daemon: it reloads and stops
    assert pair.a.ask("reload").result["said"] == "nothing changed"
    pair.a.signal(signal.SIGTERM)
    assert pair.a.ended() == 0


def test_failover_and_back(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path)
    assert pair.b.ask("failover").result["error"]["code"] == "not_master"
    assert "did you mean VI?" in pair.a.ask("failover", "VII").result["error"]["instead"]
    answer = pair.a.ask("failover", "VI")
    assert (answer.status, answer.result["done"]) == (0, True)
    pair.b.wait_for(VI="MASTER")
    time.sleep(5 * INTERVAL_S)
    assert pair.a.states() == {"VI": "BACKUP"}
    assert vips(pair.site.b) == {"10.0.0.100"}
    assert pair.a.ask("failover", "--release").status == 0
    pair.a.wait_for(VI="MASTER")
    pair.b.wait_for(VI="BACKUP")


def test_failover_without_anybody_to_take_over(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path)
    pair.b.signal(signal.SIGKILL)
    pair.b.ended()
    answer = pair.a.ask("failover")
    assert (answer.status, answer.result["done"]) == (1, False)
    assert vips(pair.site.a) == {"10.0.0.100"}


def test_stop(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path)
    at = time.time()
    pair.a.signal(signal.SIGTERM)
    assert pair.a.ended() == 0
    assert vips(pair.site.a) == set()
    assert vips(pair.site.b) == {"10.0.0.100"}
    silence = [advert.at for advert in pair.site.witness.of(VRID, at - 1)]
    # b began before the arithmetic of a crash would have let it: at the word of a
    assert max(later - sooner for sooner, later in zip(silence, silence[1:])) < 3 * INTERVAL_S
    left = {path.name for path in pair.a.directory.iterdir()}
    assert left == {"keepalived.conf", "log", "lock", "events.jsonl"}
    assert pair.a.ask("status").status == 3


def test_a_second_one_and_a_bad_configuration_do_not_start(stack: ExitStack, tmp_path: Path) -> None:
    pair = started(stack, tmp_path)
    second = Daemon(pair.site.a, tmp_path / "second", pair.a.program, "vrrp_instance VI {\n interfce eth0\n}\n")
    second.start()
    assert second.ended() == 5
    assert "did you mean interface?" in second.log
    second.directory.chmod(0o777)
    second.start()
    assert second.ended() == 1
    assert "second is writable by everybody (mode 0777); take that permission away" in second.log
    second.directory = pair.a.directory
    second.start()
    assert second.ended() == 1
    assert f"another lvs-agent runs (process {pair.a.pid})" in pair.a.log
    assert pair.a.states() == {"VI": "MASTER"}
