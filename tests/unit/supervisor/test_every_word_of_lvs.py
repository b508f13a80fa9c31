# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""No word of health checks and IPVS is ignored silently: see test_every_word.py, which has the other blocks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.conf.schema import VARIABLES
from _lvs_agent.conf.schema_global import GLOBAL_DEFS
from _lvs_agent.conf.words import BLOCKS, RAW, REFUSED, SUPPORTED, Block, Word
from _lvs_agent.health import plan as health_plan
from _lvs_agent.lvs import plan as lvs_plan
from _lvs_agent.supervisor import lvs_settings, reader, scheduling
from tests.unit.supervisor.test_every_word import (
    OF_HEALTH_CHECKS,
    OTHER_BLOCKS,
    Capture,
    assert_checked,
    listed,
    told,
)
from tests.unit.supervisor.test_every_word import sample as any_sample

#: The heads of nested blocks; "" is the file itself.
Path_ = tuple[str, ...]
Words = dict[str, str]
Case = dict[Path_, Words]

VIRTUAL = "virtual_server 10.0.0.100 80"
REAL = "real_server 192.168.1.10 80"
VS = (VIRTUAL,)
RS = (VIRTUAL, REAL)
BY_MARK = ("virtual_server fwmark 5",)
BASE: Case = {
    ("track_file F",): {"file": "file /run/f"},
    ("virtual_server_group G",): {"entries": "10.0.0.100 80"},
    ("vrrp_instance V",): {
        "interface": "interface eth0",
        "virtual_router_id": "virtual_router_id 51",
        "priority": "priority 100",
        "virtual_ipaddress": listed("virtual_ipaddress", "10.0.0.100/24"),
    },
    VS: {"lb_algo": "lb_algo rr", "lb_kind": "lb_kind DR", "protocol": "protocol TCP"},
    RS: {},
}
URL: Words = {"path": "path /"}
#: What a check has to have.
CHECKS: Mapping[str, Case] = {
    "HTTP_GET": {("url",): URL},
    "SSL_GET": {("url",): URL},
    "MISC_CHECK": {(): {"misc_path": "misc_path /bin/true"}},
    "FILE_CHECK": {(): {"track_file": "track_file F"}},
    "BFD_CHECK": {(): {"name": "name B"}},
}
MAIL: Words = {
    "notification_email": listed("notification_email", "a@example.org"),
    "smtp_server": "smtp_server 10.0.0.25",
}
UDP: Words = {"protocol": "protocol UDP"}
SH: Words = {"lb_algo": "lb_algo sh"}
MH: Words = {"lb_algo": "lb_algo mh"}
LINK_LOCAL: Words = {"connect_ip": "connect_ip 2001:db8::9", "bindto": "bindto fe80::1"}
SORRY: Words = {"sorry_server": "sorry_server 192.168.1.99 80"}
#: What a word needs around it to mean something, in its own block.
CONTEXT: Mapping[str, Mapping[str, Words]] = {
    "virtual_server": {
        "ops": UDP,
        "sh-port": SH,
        "sh-fallback": SH,
        "mh-port": MH,
        "mh-fallback": MH,
        "flag-1": SH,
        "flag-2": SH,
        "flag-3": SH,
        "persistence_granularity": {"persistence_timeout": "persistence_timeout 60"},
        "persistence_engine": {**UDP, "persistence_timeout": "persistence_timeout 60"},
        "hysteresis": {"quorum": "quorum 3", "weight": "weight 9"},
        "quorum": {"weight": "weight 9"},
        "sorry_server_inhibit": SORRY,
        "sorry_server_check": SORRY,
        "sorry_server_lvs_method": SORRY,
    },
    "real_server": {
        "lthreshold": {"uthreshold": "uthreshold 10"},
    },
    "UDP_CHECK": {
        "min_reply_length": {"require_reply": "require_reply"},
        "max_reply_length": {"require_reply": "require_reply"},
    },
    "SSL_GET": {
        "enable_sni": {"virtualhost": "virtualhost www.example.org"},
        "tls_ca_file": {"tls_verify": "@lvs_agent tls_verify"},
    },
    "url": {
        "regex_no_match": {"regex": "regex abc"},
        "regex_options": {"regex": "regex abc"},
        "regex_stack": {"regex": "regex abc"},
        "regex_min_offset": {"regex": "regex abc", "regex_max_offset": "regex_max_offset 100"},
        "regex_max_offset": {"regex": "regex abc"},
    },
    "global_defs": {
        "lvs_notify_fifo_script": {"lvs_notify_fifo": "lvs_notify_fifo /run/f"},
        "no_checker_emails": MAIL,
        "smtp_alert_checker": MAIL,
    },
}
#: What a word has beside it in other blocks.
BESIDE: Mapping[tuple[str, str], Case] = {
    ("virtual_server_group", "entries"): {
        ("virtual_server group G",): {"lb_algo": "lb_algo rr", "lb_kind": "lb_kind DR", "protocol": "protocol UDP"},
        ("virtual_server group G", REAL): {"TCP_CHECK": "TCP_CHECK {\n }"},
    },
    ("virtual_server", "ip_family"): {
        BY_MARK: {"lb_algo": "lb_algo rr", "lb_kind": "lb_kind TUN"},
        (*BY_MARK, REAL): {"TCP_CHECK": "TCP_CHECK {\n connect_port 80\n }"},
    },
    ("SSL", "ca"): {(*RS, "SSL_GET"): {"tls_verify": "@lvs_agent tls_verify"}},
}
SAMPLES: Mapping[str, str] = {
    "lb_algo": "lb_algo wrr",
    "lb_kind": "lb_kind NAT",
    "lvs_method": "lvs_method NAT",
    "sorry_server_lvs_method": "sorry_server_lvs_method NAT",
    "protocol": "protocol SCTP",
    "persistence_granularity": "persistence_granularity 255.255.255.0",
    "persistence_timeout": "persistence_timeout 60",
    "depool_floor": "@lvs_agent depool_floor 1",
    "sorry_server": SORRY["sorry_server"],
    "sorry_server_check": "@lvs_agent sorry_server_check PING_CHECK",
    "resolve": "@lvs_agent resolve web.example.org",
    "connect_ip": "connect_ip 192.168.1.20",
    "bindto": "bindto 10.0.0.1",
    "status_code": "status_code 204",
    "digest": "digest 0123456789abcdef0123456789abcdef",
    "regex": "regex abc",
    "regex_options": "regex_options caseless",
    "regex_stack": "regex_stack 4096 8192",
    "regex_max_offset": "regex_max_offset 7",
    "type": "type MX",
    "name": "name example.org.",
    "payload": "payload 0102",
    "require_reply": "require_reply 01XX",
    "misc_path": "misc_path /bin/false",
    "user": "user nobody",
    "track_file": "track_file G",
    "http_protocol": "http_protocol 1.1",
    "lvs_sync_daemon": "lvs_sync_daemon eth0 V",
    "lvs_timeouts": "lvs_timeouts tcp 60",
    "lvs_flush_on_stop": "lvs_flush_on_stop VS",
    "checker_cpu_affinity": "checker_cpu_affinity 0",
    "entries": "10.0.0.111 80",
    "host": "host {\n connect_ip 192.168.1.20\n }",
    "url": "url {\n path /other\n }",
    "tls_verify": "@lvs_agent tls_verify",
    "tls_ca_file": "@lvs_agent tls_ca_file /ca.pem",
    "weight": "weight 5",
    "quorum": "quorum 7",
    "fall": "@lvs_agent fall 7",
    "retry": "retry 7",
    "delay_before_retry": "delay_before_retry 7",
    "bind_if": "bind_if eth0",
}


def check_of(path: Path_) -> Case:
    """The words of the check at the path, with what it has to have."""
    return {(*path, *inner): dict(words) for inner, words in CHECKS.get(path[-1], {(): {}}).items()}


def merged(*cases: Case) -> Case:
    found: Case = {}
    for case in cases:
        for path, words in case.items():
            found.setdefault(path, {}).update(words)
    return found


def text(case: Case) -> str:
    def block(path: Path_, indent: str) -> Iterator[str]:
        for line in case.get(path, {}).values():
            yield f"{indent}{line}"
        heads = dict.fromkeys(other[len(path)] for other in case if other[: len(path)] == path and other != path)
        for head in heads:
            yield f"{indent}{head} {{"
            yield from block((*path, head), f"{indent} ")
            yield f"{indent}}}"

    return "\n".join(block((), "")) + "\n"


def sample(word: Word) -> str:
    if word.name in SAMPLES:
        return SAMPLES[word.name]
    if word.kind == BLOCKS:
        return text(check_of((word.name,)))
    if word.kind == "address":
        return f"{word.name} 192.168.1.20"
    own = "@lvs_agent " if word.own else ""
    return f"{own}{any_sample(word).replace('@lvs_agent ', '')}"


def sample_in(block: Block, word: Word) -> str:
    """What is a default in one block only."""
    return "smtp_alert false" if (block.name, word.name) == ("real_server", "smtp_alert") else sample(word)


def places() -> Iterator[tuple[Path_, Block, Word]]:
    """(the heads of the blocks around it, its block, the word) of everything that is checked here."""
    heads = {"virtual_server": VIRTUAL, "virtual_server_group": "virtual_server_group G", "real_server": REAL}

    def walk(path: Path_, block: Block) -> Iterator[tuple[Path_, Block, Word]]:
        here = (*path, heads.get(block.name, block.name))
        for word in block.words:
            if not word.key and word.kind not in (RAW, REFUSED):
                yield BY_MARK if word.name == "ip_family" else here, block, word
            if word.block is not None and word.status == SUPPORTED:
                yield from walk(here, word.block)

    for variable in VARIABLES:
        if variable.word.block is None or variable.word.name not in OTHER_BLOCKS:
            continue
        if variable.word.status == SUPPORTED:
            yield from walk((), variable.word.block)
        else:
            yield (), Block("", ()), variable.word
    for word in GLOBAL_DEFS.words:
        if word.name in OF_HEALTH_CHECKS:
            yield ("global_defs",), GLOBAL_DEFS, word


PLACES = list(places())


def with_and_without(path: Path_, block: Block, word: Word) -> tuple[Case, Case]:
    kind = path[2] if len(path) > 2 else "SSL_GET" if block.name == "SSL" else "HTTP_GET"
    around = merged(
        BASE,
        check_of((*RS, kind)),
        {path: dict(LINK_LOCAL if word.name == "bind_if" else CONTEXT.get(block.name, {}).get(word.name, {}))},
        BESIDE.get((block.name, word.name), {}),
    )
    without = merged(around)
    found = merged(around, {path: {word.name: sample_in(block, word)}})
    if word.kind == BLOCKS and block.name in ("real_server", "HTTP_GET", "SSL_GET"):
        # beside the one that is there
        found = merged(around, {path: {f"second {word.name}": sample(word)}})
    return found, without


def settings_of(case: Case, path: Path) -> tuple[Any, reader.Result]:
    """What a file says, unpacked; the commands apart, where each script leaves a trace."""
    path.write_text(text(case))
    result = reader.read(str(path), "test")
    if result.settings is None:
        return None, result
    settings = dataclasses.replace(result.settings, lvs=b"", commands=None)  # type: ignore[arg-type]
    return (settings, lvs_settings.unpack(result.settings.lvs)[0]), result


@pytest.fixture(autouse=True)
def _any_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    from _lvs_agent.health import tls

    monkeypatch.setattr(tls, "trial", lambda _plan: "")


@pytest.mark.parametrize("path, block, word", PLACES, ids=lambda one: one.name if hasattr(one, "name") else "")
def test_a_word_does_something_or_is_told(
    path: Path_, block: Block, word: Word, tmp_path: Path, capsys: Capture
) -> None:
    case, plain = with_and_without(path, block, word)
    file = tmp_path / "keepalived.conf"
    before, told_before = settings_of(plain, file)
    after, result = settings_of(case, file)
    if word.status == SUPPORTED and not result.errors:
        assert not told_before.errors, told_before
        assert after != before, f"{word.name} makes no difference\n{text(case)}"
    else:
        assert told(result, word.name), f"nobody says what becomes of {word.name}: {result}\n{text(case)}"
        assert not told(told_before, word.name), f"{word.name} is told of without being there: {told_before}"
        assert_checked(file, word.name, capsys)


IDLE = {
    "regex_no_match": ((*RS, "HTTP_GET", "url"), "regex_no_match", "regex abc"),
    "regex_max_offset": ((*RS, "HTTP_GET", "url"), "regex_max_offset 5", "regex abc"),
    "min_reply_length": ((*RS, "UDP_CHECK"), "min_reply_length 4", "require_reply"),
    "bind_if": ((*RS, "TCP_CHECK"), "bind_if eth0", "bindto fe80::1\n connect_ip fe80::9"),
    "lthreshold": (RS, "lthreshold 4", "uthreshold 9"),
    "sorry_server_lvs_method": (VS, "sorry_server_lvs_method TUN", "sorry_server 192.168.1.99"),
    "lvs_notify_fifo_script": (("global_defs",), "lvs_notify_fifo_script /bin/true", "lvs_notify_fifo /run/f"),
}


@pytest.mark.parametrize("word", IDLE)
def test_a_word_that_needs_another_one_is_told_without_it(word: str, tmp_path: Path, capsys: Capture) -> None:
    path, line, other = IDLE[word]
    file = tmp_path / "keepalived.conf"
    around = merged(BASE, check_of(path[:3]) if len(path) > 2 else check_of((*RS, "TCP_CHECK")))
    _settings, result = settings_of(merged(around, {path: {word: line}}), file)
    assert any(f".{word}: " in one and "does nothing" in one for one in result.warnings), result
    assert_checked(file, word, capsys)
    _settings, result = settings_of(merged(around, {path: {word: line, "other": other}}), file)
    assert not told(result, word), result


@pytest.mark.parametrize("held", ["10.0.0.100/24", "10.0.0.101/24"])
def test_ha_suspend_without_an_instance_that_holds_the_address_is_told(held: str, tmp_path: Path) -> None:
    instance = {"virtual_ipaddress": listed("virtual_ipaddress", held)}
    case = merged(BASE, {VS: {"ha_suspend": "ha_suspend"}, ("vrrp_instance V",): instance})
    _settings, result = settings_of(case, tmp_path / "keepalived.conf")
    assert told(result, "ha_suspend") == (held == "10.0.0.101/24"), result


def test_each_field_of_a_plan_is_read_by_who_does_it() -> None:
    """A plan that differs is not yet obeyed."""
    library = Path(reader.__file__).parents[1]
    doing = "\n".join(
        file.read_text(encoding="utf-8")
        for folder in ("health", "lvs", "supervisor")
        for file in (library / folder).glob("*.py")
        if not file.name.startswith(("from_conf", "plan", "reader"))
    )
    fields = {
        f"{kind.__name__}.{name}"
        for module in (health_plan, lvs_plan, scheduling)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
        for name in getattr(kind, "__dataclass_fields__", getattr(kind, "_fields", ()))
    }
    assert len(fields) > 80
    unread = {one for one in fields if not re.search(rf"\.{one.partition('.')[2]}\b", doing)}
    assert not unread
