# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deciding halves of the ipvs modules, and what they do when the kernel refuses; no kernel is asked."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_module as shared
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_options as options
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_change as change
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import kmod
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs import ChangeRefused, IpvsUnavailable
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.drained import Left
from ansible_collections.linuxha.lvs.plugins.modules import ipvs_config, ipvs_info, ipvs_real_server, ipvs_service

COLLECTION = Path(__file__).parents[3]
MODULES: dict[str, ModuleType] = {
    "ipvs_config": ipvs_config,
    "ipvs_info": ipvs_info,
    "ipvs_real_server": ipvs_real_server,
    "ipvs_service": ipvs_service,
}
KEY = types.ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "192.0.2.1", 80)
STATS = types.Stats(*[0] * 10)
WEB = {"address": "192.0.2.1", "port": 80}


def server(last: int, weight: int = 1, **more: Any) -> types.Destination:
    return types.Destination(socket.AF_INET, f"10.0.0.{last}", 80, types.FWD_DROUTE, weight, **more)


class Kernel:
    """IPVS as the modules see it: a table that obeys, refuses what ``refuse`` says, and can go away."""

    def __init__(self, *servers: types.Destination, scheduler: str = "rr") -> None:
        self.services = {KEY: types.Service(KEY, scheduler, 0, 0, "255.255.255.255")}
        self.servers = {KEY: {one.key: one for one in servers}}
        self.refuse: Callable[[change.Change], int] = lambda _change: 0
        self.gone_after = 1000
        self.asked = 0

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def _ask(self) -> None:
        self.asked += 1
        if self.asked > self.gone_after:
            raise IpvsUnavailable(errno.ENOENT, "IPVS", "its kernel module was unloaded meanwhile")

    def table(self, keys: Collection[types.ServiceKey]) -> dict[types.ServiceKey, Any]:
        self._ask()
        return {
            key: (
                types.ServiceEntry(self.services[key], STATS),
                [types.DestinationEntry(one, 0, 0, 0, STATS) for one in self.servers[key].values()],
            )
            for key in keys
            if key in self.services
        }

    def destinations(self, key: types.ServiceKey) -> list[types.DestinationEntry]:
        return [types.DestinationEntry(one, 0, 0, 0, STATS) for one in self.servers[key].values()]

    def apply(self, to_do: Sequence[change.Change]) -> None:
        self._ask()
        for what in to_do:
            code = self.refuse(what)
            if code:
                raise ChangeRefused(code, what, "the test says so")
            if isinstance(what, (change.AddService, change.EditService)):
                self.services[what.service.key] = what.service
                self.servers.setdefault(what.service.key, {})
            elif isinstance(what, change.DeleteService):
                del self.services[what.key], self.servers[what.key]
            elif isinstance(what, (change.AddServer, change.EditServer)):
                self.servers[what.key][what.server.key] = what.server
            elif isinstance(what, change.DeleteServer):
                del self.servers[what.key][what.server]


def play(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kernel: Kernel, name: str, **arguments: Any
) -> dict[str, Any]:
    """The result of a module on that kernel."""
    monkeypatch.setattr(shared, "Ipvs", lambda _netns, _timeout: kernel)
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        MODULES[name].main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def three(weight: int = 1) -> dict[str, Any]:
    return {**WEB, "scheduler": "mh", "real_servers": [{"address": "10.0.0.1-3", "weight": weight}]}


class TestRefusedByTheKernel:
    def test_what_was_done_is_taken_back(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kernel = Kernel(server(1, 9), server(8))
        services, servers = dict(kernel.services), {KEY: dict(kernel.servers[KEY])}
        kernel.refuse = lambda what: errno.EINVAL if isinstance(what, change.AddServer) and "0.3:" in str(what) else 0
        result = play(monkeypatch, capsys, kernel, "ipvs_service", **three(), purge_real_servers=True)
        assert result["failed"]
        assert "ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.3:80" in result["msg"]
        assert result["msg"].endswith("What was done before is taken back: the table is as it was.")
        assert (kernel.services, kernel.servers) == (services, servers)

    def test_nothing_was_done(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        kernel = Kernel(server(1, 9))
        kernel.refuse = lambda _what: errno.EPERM
        result = play(monkeypatch, capsys, kernel, "ipvs_service", **three())
        assert result["msg"].endswith("Nothing was changed.")

    def test_taking_back_is_refused_too(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kernel = Kernel(server(1, 9))
        kernel.refuse = lambda what: errno.EINVAL if isinstance(what, change.DeleteServer) or "0.3:" in str(what) else 0
        result = play(monkeypatch, capsys, kernel, "ipvs_service", **three())
        assert "Taking back what was done before failed too" in result["msg"]
        assert result["msg"].endswith("Read the table with linuxha.lvs.ipvs_info.")

    def test_somebody_else_changes_the_table_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kernel = Kernel(server(1, 9))

        def refuse(what: change.Change) -> int:
            if isinstance(what, change.DeleteServer):
                kernel.servers[KEY][server(9).key] = server(9)
            return errno.EINVAL if isinstance(what, change.AddServer) and "0.3:" in str(what) else 0

        kernel.refuse = refuse
        result = play(monkeypatch, capsys, kernel, "ipvs_service", **three())
        assert "would mend them: ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.9:80" in result["msg"]

    @pytest.mark.parametrize("asked", range(3))
    def test_the_module_is_unloaded_in_the_middle(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: int
    ) -> None:
        kernel = Kernel(server(1, 9))
        kernel.gone_after = asked
        kernel.refuse = lambda _what: errno.EINVAL
        result = play(monkeypatch, capsys, kernel, "ipvs_service", **three())
        assert result["failed"]
        assert "its kernel module was unloaded meanwhile" in result["msg"]


class TestCheckMode:
    def check(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **arguments: Any
    ) -> dict[str, Any]:
        return play(monkeypatch, capsys, Kernel(), "ipvs_service", _ansible_check_mode=True, **arguments)

    def test_a_scheduler_this_kernel_does_not_have(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setattr(kmod, "module_directory", lambda: tmp_path)
        # No list of modules, as in a container: nothing is known, and nothing is said.
        assert self.check(monkeypatch, capsys, **WEB, scheduler="mh")["changed"]
        (tmp_path / "modules.dep").write_text("kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz:\n")
        result = self.check(monkeypatch, capsys, **WEB, scheduler="mh")
        assert "no scheduler mh (module ip_vs_mh)" in result["msg"]
        result = self.check(monkeypatch, capsys, protocol="udp", **WEB, scheduler="rr", persistent=1, pe="sip")
        assert "no persistence engine sip (module ip_vs_pe_sip)" in result["msg"]
        assert not self.check(monkeypatch, capsys, **WEB, scheduler="rr")["changed"]


def test_the_problems_of_a_long_task_can_be_read() -> None:
    problems: list[Any] = []
    entries = [
        {**dict.fromkeys(options.SERVER_SPEC), "address": f"10.0.{i // 256}.{i % 256}", "weight": -i}
        for i in range(1001)
    ]
    options.read_servers(KEY, entries, "real_servers", problems)
    message = str(checks.refusal(problems))
    assert len(message.splitlines()) == 22
    assert message.startswith("Nothing was changed. Fix these in the task:\n- ")
    assert message.endswith("and 980 more")


def test_a_mark_of_0_is_one_mistake() -> None:
    problems: list[Any] = []
    assert options.read_key({**dict.fromkeys(options.KEY_SPEC), "fwmark": 0}, "", problems) is None
    assert [str(problem) for problem in problems] == [
        "fwmark: 0 is out of range; write a whole number from 1 to 4294967295"
    ]


class TestServices:
    def read(self, **arguments: Any) -> Any:
        given = ArgumentSpecValidator({**ipvs_service.SPEC, **SERVICES}).validate(arguments)
        assert given.error_messages == []
        return ipvs_service.read_task(given.validated_parameters)

    def test_what_an_entry_does_not_give_is_common(self) -> None:
        task = self.read(
            address="192.0.2.1",
            scheduler="rr",
            real_servers=[{"address": "10.0.0.1"}],
            services=[{"port": 80}, {"port": 443, "scheduler": "sh", "real_servers": []}, {"fwmark": 7}],
        )
        assert [str(wanted.service.sched_name) for wanted in task.values()] == ["rr", "sh", "rr"]
        assert [[one.port for one in wanted.servers] for wanted in task.values()] == [[80], [], [0]]
        assert [key.fwmark for key in task] == [0, 0, 7]

    def test_an_entrys_address_replaces_a_common_mark(self) -> None:
        assert list(self.read(fwmark=7, services=[{"address": "192.0.2.1", "port": 80}, {}])) == [
            KEY,
            types.ServiceKey(socket.AF_INET, fwmark=7),
        ]

    def test_absent_looks_at_names_only(self) -> None:
        assert self.read(**WEB, scheduler="nonsense", real_servers=[{"address": "x"}], state="absent") == {KEY: None}

    def test_an_ipv6_address_is_spelled_as_the_kernel_spells_it(self) -> None:
        assert next(iter(self.read(address="2001:DB8:0:0::1", port=80))).addr == "2001:db8::1"

    @pytest.mark.parametrize(
        "address, reason",
        [
            ("0.0.0.0", "unspecified"),
            ("0.0.0.7", "0.0.0.0/8"),
            ("224.0.0.18", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("::", "unspecified"),
            ("ff02::12", "multicast"),
            ("::ffff:192.0.2.1", "write 192.0.2.1"),
        ],
    )
    def test_an_address_to_which_no_client_connects(self, address: str, reason: str) -> None:
        with pytest.raises(ValueError, match=f"^address: .* cannot be a virtual IP: .*{reason}"):
            self.read(address=address, port=80)
        with pytest.raises(ValueError, match=rf"^services\[0\].address: .* cannot be a virtual IP: .*{reason}"):
            self.read(services=[{"address": address, "port": 80}])
        # Another program may have added it.
        assert list(self.read(address=address, port=80, state="absent").values()) == [None]

    def test_other_names_of_options_and_values(self) -> None:
        ours = self.read(
            protocol="udp",
            address="192.0.2.1",
            port=53,
            scheduler="wrr",
            persistent=300,
            netmask="24",
            pe="sip",
            real_servers=[
                {"address": "10.0.0.1", "forward": "route", "u_threshold": 9, "l_threshold": 5},
                {"address": "10.0.0.2", "forward": "masq"},
                {"address": "10.0.0.3", "forward": "tunnel"},
            ],
        )
        for kinds in (("DR", "NAT", "TUN"), ("gatewaying", "masquerading", "ipip")):
            theirs = self.read(
                protocol="UDP",
                address="192.0.2.1",
                port=53,
                lb_algo="wrr",
                persistence_timeout=300,
                persistence_granularity="24",
                persistence_engine="sip",
                real_server=[
                    {"address": "10.0.0.1", "lb_kind": kinds[0], "uthreshold": 9, "lthreshold": 5},
                    {"address": "10.0.0.2", "lvs_method": kinds[1]},
                    {"address": "10.0.0.3", "forward": kinds[2]},
                ],
            )
            assert theirs == ours
        assert self.read(fwmark=1, ip_family="inet6") == self.read(fwmark=1, family="inet6")


SERVICES: dict[str, Any] = {
    **options.COMMON_SPEC,
    "services": {"type": "list", "elements": "dict", "options": ipvs_service.SPEC},
    "purge_real_servers": {"type": "bool", "default": False},
    "zero": {"type": "bool", "default": False},
    "state": {"type": "str", "default": "present"},
}
NOTHING = dict.fromkeys(options.SERVER_SPEC)


class TestRealServers:
    @pytest.mark.parametrize(
        "have, given, expected",
        [
            (None, {}, {}),
            (server(1, 5), {}, {"forward": "route", "weight": 5, "u_threshold": 0, "l_threshold": 0}),
            (server(1, 0), {}, {"forward": "route", "weight": 1, "u_threshold": 0, "l_threshold": 0}),
            (server(1, 0), {"weight": 0}, {"forward": "route", "weight": 0, "u_threshold": 0, "l_threshold": 0}),
            (
                replace(server(1, 2, u_thresh=9, l_thresh=8), fwd_method=types.FWD_LOCALNODE),
                {"u_threshold": 10},
                {"forward": "local", "weight": 2, "u_threshold": 10, "l_threshold": 8},
            ),
        ],
    )
    def test_what_is_not_named_stays(
        self, have: types.Destination | None, given: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        assert ipvs_real_server.whole_options({**NOTHING, **given}, have) == {**NOTHING, **expected}

    def test_waiting_ends_with_the_last_connection_or_with_the_time(self) -> None:
        now = 0.0
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            nonlocal now
            slept.append(seconds)
            now += seconds

        def look() -> list[Left]:
            # What begins or ends, and templates that lead nobody, are not waited for.
            return [Left(active=int(now < 2.5), inactive=5), Left(ended=7)]

        def wait(timeout_s: float) -> bool:
            nonlocal now
            now = 0.0
            slept.clear()
            idle: bool = ipvs_real_server.wait_until_idle(look, timeout_s, 1.0, clock=lambda: now, sleep=sleep)
            return idle

        assert wait(10)
        assert slept == [1, 1, 1]
        assert not wait(1.5)
        assert slept == [1, 0.5]

    @pytest.mark.parametrize(
        "key, templates_end, left",
        [
            (KEY, False, Left(active=1, inactive=5, templates=6)),
            (KEY, True, Left(active=1, inactive=5, ended=6)),
            (replace(KEY, protocol=17), True, Left(active=1, udp=5, ended=6)),
            (types.ServiceKey(KEY.af, fwmark=7), True, Left(active=1, inactive=2, udp=3, ended=6)),
        ],
    )
    def test_what_is_left(self, key: types.ServiceKey, templates_end: bool, left: Left) -> None:
        entries = [
            types.DestinationEntry(server(1), 1, 5, 6, STATS),
            # Another server's connections do not count.
            types.DestinationEntry(server(2), 7, 0, 0, STATS),
        ]
        task = ipvs_real_server.Task(key, [server(1).key, server(3).key])
        flows = {("10.0.0.1", 80): 3, ("10.0.0.1", 81): 9, ("10.0.0.2", 80): 9}
        found = ipvs_real_server.left_on(task, entries, lambda: flows, templates_end=templates_end)
        assert found == {server(1).key: left, server(3).key: Left()}

    def test_a_server_that_went_while_it_was_drained_has_no_connections(self) -> None:
        assert ipvs_real_server.connections(None, Left()) == {
            "active_conn": 0,
            "inactive_conn": 0,
            "persist_conn": 0,
            "left": {"active": 0, "inactive": 0, "udp": 0, "templates": 0, "ended": 0},
        }

    @pytest.mark.parametrize(
        "given, words",
        [
            ({"wait": True}, ["wait: there is nothing to wait for with state present"]),
            ({"state": "absent", "wait": True}, ["wait: there is nothing to wait for with state absent"]),
            ({"wait_timeout": 60.0}, ["wait_timeout: nothing is waited for"]),
            ({"drain_timeout": 60.0, "state": "drained"}, ["wait_timeout: nothing is waited for; write", "wait: true"]),
            ({"state": "drained", "weight": 3}, ["weight: state drained sets the weight 0"]),
            ({"timeout": "nan"}, ["timeout: nan is out of range"]),
            ({"wait_interval": "nan"}, ["wait_interval: nan is out of range"]),
            ({"state": "drained", "wait": True, "wait_timeout": "inf"}, ["wait_timeout: inf is out of range"]),
        ],
    )
    def test_options_that_do_not_go_with_the_state(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        given: dict[str, Any],
        words: list[str],
    ) -> None:
        result = play(
            monkeypatch, capsys, Kernel(server(1)), "ipvs_real_server", service=WEB, address=["10.0.0.1"], **given
        )
        assert result["failed"]
        assert all(word in result["msg"] for word in words), result["msg"]


class TestObjectsReturned:
    """The same keys in every module, and in check mode what a run would return."""

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_a_service(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str
    ) -> None:
        kernel = Kernel(server(1, 9))
        task = {**three(2), "state": state}
        foreseen = play(monkeypatch, capsys, kernel, "ipvs_service", _ansible_check_mode=True, **task)
        done = play(monkeypatch, capsys, kernel, "ipvs_service", **task)
        assert foreseen["services"] == done["services"]
        if state == "absent":
            assert done["services"] == []
            return
        (service,) = done["services"]
        assert (service["address"], service["port"], service["scheduler"]) == ("192.0.2.1", 80, "mh")
        assert [(one["address"], one["weight"]) for one in service["servers"]] == [
            (f"10.0.0.{last}", 2) for last in (1, 2, 3)
        ]
        info = ipvs_info.service(types.ServiceEntry(types.Service(KEY, "mh"), STATS), [])
        assert set(service) == set(info) - {"stats", "rates"}

    def test_real_servers(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        kernel = Kernel(server(1, 9))
        task = {"service": WEB, "address": ["10.0.0.1-2"], "lb_kind": "DR"}
        foreseen = play(monkeypatch, capsys, kernel, "ipvs_real_server", _ansible_check_mode=True, **task)
        done = play(monkeypatch, capsys, kernel, "ipvs_real_server", **task)
        assert foreseen["servers"] == done["servers"]
        shown = [(one["address"], one["weight"], one["weight_before"], one["forward"]) for one in done["servers"]]
        assert shown == [("10.0.0.1", 9, 9, "route"), ("10.0.0.2", 1, None, "route")]
        assert play(monkeypatch, capsys, kernel, "ipvs_real_server", state="absent", **task)["servers"] == []


class TestConfig:
    def test_a_kernel_that_does_not_tell_the_group_is_not_asked_for_it(self) -> None:
        old = types.Daemon(types.STATE_MASTER, "eth0", 51)
        wanted = types.Daemon(types.STATE_MASTER, "eth0", 51, 1400, "224.0.0.81", 8848, 1)
        assert ipvs_config.like(wanted, old) == old
        assert ipvs_config.like(wanted, None) == wanted


def documentation(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(MODULES[name].DOCUMENTATION)
    return found


def test_the_action_group_is_the_modules_with_its_options() -> None:
    group = yaml.safe_load((COLLECTION / "meta/runtime.yml").read_text())["action_groups"]["ipvs"]
    with_fragment = {
        path.stem
        for path in (COLLECTION / "plugins/modules").glob("*.py")
        if "  - linuxha.lvs.ipvs\n" in path.read_text()
    }
    assert set(group) == set(MODULES) == with_fragment


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """By the argument specs and by all checks before the kernel is asked, which is told by its absence."""

    def unavailable(_netns: object, _timeout: object) -> None:
        raise IpvsUnavailable(errno.ENOENT, "IPVS", "not in this test")

    tasks = [task for task in yaml.safe_load(MODULES[name].EXAMPLES) if f"linuxha.lvs.{name}" in task]
    assert tasks
    for task in tasks:
        given = task[f"linuxha.lvs.{name}"] or {}
        arguments = {key: 3 if "{{" in str(value) else value for key, value in given.items()}
        monkeypatch.setattr(shared, "Ipvs", unavailable)
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            MODULES[name].main()
        assert "not in this test" in json.loads(capsys.readouterr().out)["msg"]
