# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of the schema, made up by Hypothesis: whatever the renderer can write."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import strategies as st

from _lvs_agent.conf import schema, values
from _lvs_agent.conf.problem import BadValue
from _lvs_agent.conf.words import (
    ADDRESS,
    BLOCK,
    BLOCKS,
    CHOICE,
    FLAG,
    GONE,
    INT,
    LINES,
    NAME,
    NUMBER,
    RAW,
    REFUSED,
    REGEX,
    SCRIPT,
    SWITCH,
    TEXT,
    Block,
    Word,
)

# for each reader of lines, some that are as they are written
LINES_OF = {
    "any": ["a b", '"a b" c', "5"],
    "cpus": ["0", "1 3"],
    "delays": ["eth0 1", "eth0.5 1.5 255"],
    "far_weight": ["254", "-254 reverse"],
    "file_weight": ["5", "-300 reverse"],
    "floor": ["3", "30%"],
    "garp_extra_if": ["100", "all 100"],
    "group_entry": ["192.0.2.1 80", "192.0.2.1-10 80", "fwmark 5", "2001:db8::1 80"],
    "hex": ["ab12", "a b"],
    "hex_mask": ["abXX"],
    "http_header": ["Accept: text/plain", '"X-Probe: yes;  no"'],
    "include_check": ["match", "+readable -match"],
    "init_file": ["5", "5 overwrite", "overwrite"],
    "linkbeat": ["eth0", "eth1 MII"],
    "lvs_timeouts": ["tcp 900", "tcp 1 udp 2"],
    "member": ["VI_1", "a-b"],
    "method": ["NAT", "DR", "TUN type gue port 5 nocsum"],
    "path_user": ["/run/fifo", "/run/fifo root root"],
    "peer": ["192.0.2.1", "192.0.2.2 min_ttl 5"],
    "receive_buffer": ["MTU", "65536"],
    "resolve": ["web.example.org", "web.example.org 5"],
    "route": ["192.0.2.0/24 via 192.0.2.1 dev eth0", "blackhole 192.0.2.0/24", "default dev eth0 mtu lock 5"],
    "rule": ["from 192.0.2.0/24 table 1", "to 192.0.2.0/24 lookup x preference 5"],
    "servers": ["192.0.2.1", "2001:db8::1"],
    "smtp_server": ["192.0.2.1", "mail.example.com 25"],
    "sorry_server": ["192.0.2.1 80"],
    "static_vip": ["192.0.2.1/24 dev eth0 track_group G"],
    "status_code": ["200", "200-299 404"],
    "sync_daemon": ["eth0 VI_1", "eth0 inst VI_1 id 5"],
    "text": ["a@example.com", "Night <a@example.com>", "a#b"],
    "track": ["chk", "chk weight -5 reverse"],
    "track_far": ["f", "f weight 254"],
    "umask": ["022", "IWGRP | IWOTH"],
    "user": ["root", "root root"],
    "vip": ["192.0.2.1", "192.0.2.1/24 dev eth0 label eth0:1", "2001:db8::1/64 preferred_lft forever"],
    "vmac": ["vrrp.51", "vrrp.51 02:00:00:00:00:01"],
    "weight": ["5", "-253 reverse"],
}
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,12}", fullmatch=True)
TEXTS = st.one_of(
    NAMES, st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12)
)
ADDRESSES = st.sampled_from(["192.0.2.7", "2001:db8::7", "224.0.0.18", "ff02::12"])


def of(word: Word) -> st.SearchStrategy[Any]:
    """Values of a word in the form in which reading gives them."""
    low, high = word.low or 0, word.high or 0
    found: st.SearchStrategy[Any]
    if word.kind == INT:
        found = st.integers(int(low), int(high)).filter(lambda number: number != 0 or not word.zero_is_off)
    elif word.kind == NUMBER:
        whole = st.integers(int(low) + 1, int(min(high, 10**6)))
        thousandths = st.integers(int(low * 1000) + 1, int(min(high, 10**6) * 1000)).map(lambda number: number / 1000)
        found = st.one_of(whole, thousandths.map(lambda number: int(number) if number == int(number) else number))
    elif word.kind == CHOICE:
        found = st.sampled_from(word.choices)
    elif word.kind in (FLAG, SWITCH):
        return st.just(True) if word.kind == FLAG else st.booleans()
    elif word.kind == LINES:
        return st.lists(st.sampled_from(LINES_OF[word.line]), min_size=1, max_size=3)
    elif word.block is not None:
        inner = block(word.block)
        return st.lists(inner, min_size=1, max_size=2) if word.kind == BLOCKS else inner
    else:
        kinds = {NAME: NAMES, TEXT: TEXTS, SCRIPT: TEXTS.map(str.strip), REGEX: TEXTS, ADDRESS: ADDRESSES}
        found = kinds[word.kind] if word.kind in kinds else st.sampled_from(LINES_OF[word.line])
    return st.one_of(found, st.just(True)) if word.bare else found


def writable(word: Word, value: Any) -> bool:
    """The renderer takes it."""
    if word.block is not None or word.kind == LINES:
        return True
    try:
        return values.scalar(word, value) is not None
    except BadValue:
        return False


def block(of_block: Block) -> st.SearchStrategy[dict[str, Any]]:
    """A block with all it needs and some of the rest."""
    needed: dict[str, st.SearchStrategy[Any]] = {}
    more: dict[str, st.SearchStrategy[Any]] = {}
    for word in of_block.words:
        if word.kind in (GONE, RAW, REFUSED) or (word.name in ("fwmark", "group") and word.key):
            continue
        strategy = of(word).filter(functools.partial(writable, word))
        (needed if word.required or word.key else more)[word.name] = strategy
    names = st.lists(st.sampled_from(sorted(more)), max_size=5, unique=True) if more else st.just([])
    return names.flatmap(lambda chosen: st.fixed_dictionaries({**needed, **{name: more[name] for name in chosen}}))


def configuration() -> st.SearchStrategy[dict[str, Any]]:
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for variable in schema.VARIABLES:
        word = variable.word
        if word.kind == BLOCKS and word.block is not None:
            parts[variable.key] = st.lists(
                block(word.block), max_size=2, unique_by=lambda one: str(one.get("name", one.get("ip", id(one))))
            )
        elif word.kind == BLOCK and word.block is not None:
            parts[variable.key] = block(word.block)
        else:
            parts[variable.key] = st.lists(st.sampled_from(LINES_OF[word.line]), max_size=2)
    return st.fixed_dictionaries(parts)
