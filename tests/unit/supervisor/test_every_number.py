# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every keyword with numbers at and beyond its ends: an error with a place, or everything can be built; no exception.

From the file through the reader, the plans and the encoders. That the kernel takes what is built is asked in
tests/integration/netns/test_ranges.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generated_conf import LINES_OF

from _lvs_agent.conf.words import INT, LINES, NUMBER, REFUSED, WORDS, Block, Word
from _lvs_agent.kernel.ipvs_pack import pack_daemon, pack_server, pack_service, pack_timeouts
from _lvs_agent.kernel.ipvs_types import Daemon
from _lvs_agent.kernel.route_messages import pack_address, pack_route, pack_rule
from _lvs_agent.supervisor import lvs_settings, reader
from _lvs_agent.vrrp import ah, buildable, holdings
from _lvs_agent.vrrp.plan import Plan
from _lvs_agent.vrrp.runner import Runner
from _lvs_agent.vrrp.transmit import Transmitter
from tests.unit.supervisor import test_every_word as vrrp
from tests.unit.supervisor import test_every_word_of_lvs as lvs

pytestmark = pytest.mark.exhaustive

#: Where kernel and C types end, and what Python alone takes for a number.
NUMBERS = (
    *("-1", "0", "1", "2", "254", "255", "256", "257", "65534", "65535", "65536", "2147483647", "2147483648"),
    *("4294967294", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "9" * 40, "9" * 900),
    *("-2147483649", "+5", "007", "08", "0x10", "1.5", "1e3", "1_0", "²", "٢٤", "１２", "nan", "inf", "-", ""),
)
DIGITS = re.compile(r"(?<![\w.:])-?[0-9]+(?![\w.:])")


#: Of an option of a line, what a number may be a part of.
FORMS = {
    **dict.fromkeys(("fwmark", "realms"), ("{}/1", "1/{}")),
    **dict.fromkeys(("sport", "dport", "uidrange"), ("{}-5", "5-{}")),
    **dict.fromkeys(("rtt", "rttvar", "rto_min"), ("{}ms", "{}s")),
    **dict.fromkeys(("mtu", "hoplimit"), ("lock {}",)),
}


#: Options whose value is a name, even one that looks like a number.
NAMED = ("dev", "oif", "iif", "label", "congctl")


def ends(word: Word) -> Iterator[str]:
    """At and beyond the ends of the schema, then of everything else."""
    for end, steps in ((word.low, (-1, -0.01, 0)), (word.high, (0, 0.001, 1))):
        for step in steps if end is not None else ():
            yield f"{float(end or 0) + step:.3f}".rstrip("0").rstrip(".")
    yield from NUMBERS


def lines_of(word: Word) -> Iterator[str]:
    """The sample lines of a word, with every number in them replaced in turn."""
    for line in LINES_OF.get(word.line, ()):
        for match in DIGITS.finditer(line):
            for number in NUMBERS:
                yield f"{line[: match.start()]}{number}{line[match.end() :]}"
        if "/" in line and word.line in ("vip", "static_vip", "route", "rule", "group_entry", "servers"):
            for number in NUMBERS:
                yield re.sub(r"/[0-9]+", f"/{number}", line, count=1)


def statements(word: Word) -> list[str]:
    """Lines of the file."""
    own = "@lvs_agent " if word.own else ""
    if word.kind in (INT, NUMBER):
        return [f"{own}{word.name} {number}" for number in ends(word)]
    lines = lines_of(word)
    if word.kind == WORDS:
        return [f"{own}{word.name} {line}" for line in lines]
    return [line if word.name == "entries" else vrrp.listed(f"{own}{word.name}", line) for line in lines]


def has_numbers(word: Word) -> bool:
    if word.kind in (INT, NUMBER):
        return True
    return word.kind in (WORDS, LINES) and any(DIGITS.search(line) for line in LINES_OF.get(word.line, ()))


def build(result: reader.Result) -> None:
    """Everything that is sent with these settings."""
    if result.settings is None:
        assert result.errors
        return
    build_vrrp(result.settings.plan)
    if result.settings.lvs:
        build_lvs(lvs_settings.unpack(result.settings.lvs)[0].plan)


def build_vrrp(plan: Plan) -> None:
    for instance in plan.instances:
        assert buildable.fault(instance) == ""
        runner = Runner(instance, ah.Sequence(), 0)
        runner.renew(instance, bytes(4 if instance.family == 4 else 16), 1500)
        assert runner.fault == ""
        assert Transmitter(runner.instance, ah.Sequence()).packets(instance.instance.priority)
    links = {"eth0": 1, "eth1": 2}
    static = holdings.of_static(plan.static, links)
    assert all([*map(pack_address, static.addresses), *map(pack_route, static.routes), *map(pack_rule, static.rules)])


def build_lvs(plan: Any) -> None:
    for server in plan.virtual_servers:
        assert all(map(pack_service, server.services))
        assert all(pack_server(one.destination) for one in server.servers)
        assert server.sorry is None or pack_server(server.sorry.destination)
    daemon = plan.sync_daemon
    if daemon is not None:
        assert pack_daemon(
            Daemon(1, daemon.interface, daemon.sync_id, daemon.maxlen, daemon.group, daemon.port, daemon.ttl)
        )
    if plan.timeouts is not None:
        assert pack_timeouts(plan.timeouts)


def read(text: str, file: Path, *, named: bool = False) -> None:
    """``named``: a name may stand in the place of the number."""
    file.write_text(text)
    try:
        result = reader.read(str(file), "test")
        build(result)
    except Exception as error:
        raise AssertionError(f"{error!r} of\n{text}") from error
    # digits of another script are none
    assert result.errors or named or text.isascii(), text
    for problem in result.errors:
        assert problem.startswith(f"{file}:"), problem


VRRP = [(head, word) for head, word in vrrp.PLACES if has_numbers(word)]
LVS = [(path, block, word) for path, block, word in lvs.PLACES if has_numbers(word) and word.kind != REFUSED]


@pytest.mark.parametrize("head, word", VRRP, ids=lambda one: one.name if isinstance(one, Word) else one or "file")
def test_a_number_of_vrrp_is_an_error_or_can_be_built(head: str, word: Word, tmp_path: Path) -> None:
    case, _without = vrrp.with_and_without(head, word)
    for statement in statements(word):
        case.words[head][word.name] = statement
        read(case.text(), tmp_path / "keepalived.conf", named=word.line == "any")


@pytest.mark.parametrize("path, block, word", LVS, ids=lambda one: one.name if hasattr(one, "name") else "")
def test_a_number_of_lvs_is_an_error_or_can_be_built(
    path: tuple[str, ...], block: Block, word: Word, tmp_path: Path
) -> None:
    case, _without = lvs.with_and_without(path, block, word)
    for statement in statements(word):
        case[path][word.name] = statement
        read(lvs.text(case), tmp_path / "keepalived.conf", named=word.line == "any")


@pytest.mark.parametrize("word", vrrp.LINES)
def test_a_number_of_an_option_is_an_error_or_can_be_built(word: str, tmp_path: Path) -> None:
    values, _flags, four, six = vrrp.LINES[word]
    head = "vrrp_instance V" if word.startswith("virtual") else ""
    # what reads the static lists reads the virtual ones, too
    for option in values if word.startswith("virtual") else ("scope", "mtu", "priority", "tos"):
        plain = six if option in vrrp.IPV6 else four
        if "rules" in word:
            plain = f"{plain} {'' if option in ('table', 'lookup') else 'table 9'} preference 9"
        if word == "static_ipaddress":
            plain += " dev eth1"
        for form in ("{}", *FORMS.get(option, ())):
            for number in NUMBERS:
                line = vrrp.listed(word, f"{plain} {option} {form.format(number)}")
                words = {head: {word: line}, "track_group T": {"group": vrrp.listed("group", "V")}}
                read(vrrp.Case(words).text(), tmp_path / "keepalived.conf", named=option in NAMED)


def test_a_weight_of_a_next_hop_is_an_error_or_can_be_built(tmp_path: Path) -> None:
    for number in NUMBERS:
        line = f"10.9.0.0/16 nexthop via 10.0.0.8 weight {number} nexthop via 10.0.0.9 weight 1"
        words = {"vrrp_instance V": {"virtual_routes": vrrp.listed("virtual_routes", line)}}
        read(vrrp.Case(words).text(), tmp_path / "keepalived.conf")
