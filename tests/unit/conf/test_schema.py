# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's argument_specs and defaults say what the schema says; keepalived knows every word of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from _lvs_agent.conf import argspec, schema, syntax
from _lvs_agent.conf.merge import merge
from _lvs_agent.conf.words import (
    BLOCK,
    BLOCKS,
    CHOICE,
    FLAG,
    GONE,
    INT,
    LINES,
    NOT_SUPPORTED,
    NUMBER,
    OWN,
    REFUSED,
    SUPPORTED,
    SWITCH,
    WITHOUT_EFFECT,
    WORDS,
    Block,
    Word,
)

ROLE = Path(__file__).parents[3] / "roles" / "director"
OPTIONS: dict[str, Any] = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))[
    "argument_specs"
]["main"]["options"]
DEFAULTS: dict[str, Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))


def all_words(block: Block) -> Iterator[tuple[Block, Word]]:
    for word in block.words:
        yield block, word
        if word.block is not None:
            yield from all_words(word.block)


TOP = Block("the top level", tuple(variable.word for variable in schema.VARIABLES))
WORD_LIST = list(all_words(TOP))


@pytest.mark.parametrize("name, option", argspec.variables().items(), ids=list(argspec.variables()))
def test_the_role_documents_what_the_schema_knows(name: str, option: dict[str, Any]) -> None:
    assert OPTIONS[name] == option


@pytest.mark.parametrize("name, option", argspec.variables().items(), ids=list(argspec.variables()))
def test_the_role_has_the_default(name: str, option: dict[str, Any]) -> None:
    assert DEFAULTS[name] == option["default"]


def test_every_default_is_documented() -> None:
    assert set(DEFAULTS) <= set(OPTIONS)


def test_spellings_are_unique_in_a_block() -> None:
    for block in {id(block): block for block, _word in WORD_LIST}.values():
        spellings = [spelling for word in block.words for spelling in (word.name, *word.aliases)]
        assert len(spellings) == len(set(spellings)), block.name


@pytest.mark.parametrize("block, word", WORD_LIST, ids=lambda part: part.name)
def test_a_word_is_complete(block: Block, word: Word) -> None:
    assert word.doc
    assert (word.kind in (WORDS, LINES)) == bool(word.line)
    assert word.line in ("", "text") or word.line in syntax.READERS
    assert (word.kind == CHOICE) == bool(word.choices)
    assert (word.kind in (BLOCK, BLOCKS)) == (word.block is not None)
    assert (word.status != SUPPORTED) == bool(word.reason)
    assert word.kind != GONE or word.status == WITHOUT_EFFECT
    assert word.kind != REFUSED or word.status == NOT_SUPPORTED
    assert set(word.outdated) <= set(word.aliases)
    assert not (word.own and (word.aliases or word.block or word.key))
    # either spelling will do, and Ansible cannot say so
    assert not (word.required and word.aliases)


# what keepalived wants beside a word before it is content with it
COMPANY = {
    "advert_int 0.01": "version 3",
    "auth_type": "auth_pass x",
    "check_unicast_src": "unicast_peer {\n 192.0.2.9\n }",
    "max_reply_length": "min_reply_length 0",
    "min_reply_length": "max_reply_length 65535",
    "mh-fallback": "lb_algo mh",
    "mh-port": "lb_algo mh",
    "old_unicast_checksum": "unicast_peer {\n 192.0.2.9\n }",
    "ops": "protocol UDP",
    "sh-fallback": "lb_algo sh",
    "sh-port": "lb_algo sh",
    "sorry_server_inhibit": "sorry_server 192.0.2.9 80",
    "unicast_ttl": "unicast_peer {\n 192.0.2.9\n }",
    "vmac_xmit_base": "use_vmac",
}
# about the configuration around it, not about the value: an address, the other servers' weight
ASIDE = {"use_ipvlan", "ip_family inet6", "quorum 4294967295", "hysteresis 4294967295", "weight 0"}
NEEDED = {
    "BFD_CHECK": "name B",
    "FILE_CHECK": "track_file F",
    "bfd_instance": "neighbor_ip 192.0.2.7",
    "garp_group": "interface ens33\ngarp_interval 1",
    "track_file": "file /etc/hosts",
    "vrrp_track_process": "process x",
    "HTTP_GET": "url {\n path /\n }",
    "SSL_GET": "url {\n path /\n }",
    "MISC_CHECK": "misc_path /x",
    "url": "path /",
}
FILE = """
track_file F {{
 file /etc/hosts
}}
bfd_instance B {{
 neighbor_ip 192.0.2.9
}}
{more}
global_defs {{
 {global_defs}
}}
vrrp_instance VI_1 {{
 interface ens33
 virtual_router_id 51
 virtual_ipaddress {{
  192.0.2.100
 }}
 {vrrp_instance}
}}
virtual_server 192.0.2.100 80 {{
 lb_kind DR
 lb_algo rr
 protocol TCP
 {virtual_server}
 real_server 192.0.2.11 80 {{
  weight 1
  {real_server}
 }}
}}
"""


def lines_of(word: Word) -> Iterator[str]:
    """The word with the lowest and the highest value we accept, with every choice, and alone if it may be."""
    if word.kind in (INT, NUMBER):
        yield from (f"{word.name} {end:.6f}".rstrip("0").rstrip(".") for end in (word.low or 0, word.high or 0))
    if word.kind == NUMBER and word.name != "advert_int" and (word.low or 0) < 1.5:
        yield f"{word.name} 1.5"
    if word.kind == CHOICE:
        yield from (f"{word.name} {choice}" for choice in word.choices)
    if word.kind == SWITCH:
        yield from (f"{word.name} true", f"{word.name} false")
    if word.kind == FLAG or word.bare:
        yield word.name


def in_place(path: list[str], line: str) -> str:
    """A file with this line in the block that the path leads to."""
    beside = COMPANY.get(line) or COMPANY.get(line.split(maxsplit=1)[0], "")
    inner = f"{beside}\n{line}"
    parts = dict.fromkeys(("global_defs", "vrrp_instance", "virtual_server", "real_server"), "")
    if path == ["top_level"]:
        return FILE.format(**parts, more=line)
    for name in reversed(path):
        if name in parts:
            parts[name] = inner
            return FILE.format(**parts, more="")
        if name == path[0]:
            named = f"{name} N" if schema.BLOCK_OF[name].find("name") else name
            return FILE.format(**parts, more=f"{named} {{\n{NEEDED.get(name, '')}\n{inner}\n}}")
        needed = "" if inner.startswith("url {") else NEEDED.get(name, "")
        inner = f"{name} {{\n{needed}\n{inner}\n}}"
    raise AssertionError(path)


def paths(block: Block, before: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Word]]:
    for word in block.words:
        if word.block is not None:
            yield from paths(word.block, (*before, block.name))
        elif not word.key and not word.since:
            yield [*before, block.name], word


BLOCKS_OF_WORDS = [block for name, block in schema.BLOCK_OF.items() if name not in ("vrrp_script", "vrrp_sync_group")]


@pytest.mark.parametrize("block", BLOCKS_OF_WORDS, ids=lambda block: block.name)
def test_keepalived_accepts_what_we_accept(
    block: Block, keepalived_says_each: Callable[[Sequence[str]], list[str]]
) -> None:
    asked = [
        (path, f"@{OWN} {line}" if word.own else line)
        for path, word in paths(block)
        for line in lines_of(word)
        if line not in ASIDE
    ]
    said = keepalived_says_each([in_place(path, line) for path, line in asked])
    assert [(".".join(path), line, one) for (path, line), one in zip(asked, said) if one] == []


@pytest.mark.parametrize(
    "variables, path, value",
    [
        ({"director_global_defs": {"a": 1}, "director_host_global_defs": {"a": 2}}, ("global_defs", "a"), 2),
        (
            {"director_global_defs": {"lvs_id": 1}, "director_host_global_defs": {"router_id": 2}},
            ("global_defs", "router_id"),
            2,
        ),
        (
            {
                "director_vrrp_instances": [{"name": "V", "authentication": {"auth_type": "AH", "auth_pass": "x"}}],
                "director_host_vrrp_instances": {"V": {"authentication": {"auth_pass": "y"}}},
            },
            ("vrrp_instance", 0, "authentication"),
            {"auth_type": "AH", "auth_pass": "y"},
        ),
        (
            {
                "director_vrrp_instances": [{"name": "V", "virtual_ipaddress": ["a", "b"]}],
                "director_host_vrrp_instances": {"V": {"virtual_ipaddress": ["c"]}},
            },
            ("vrrp_instance", 0, "virtual_ipaddress"),
            ["c"],
        ),
        (
            {"director_virtual_servers": [{"real_server": [{"TCP_CHECK": {"nb_get_retry": 3}}]}]},
            ("virtual_server", 0, "real_server", 0, "TCP_CHECK", 0, "retry"),
            3,
        ),
    ],
)
def test_the_hosts_own_words_win(variables: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    found: Any = merge(variables)
    for step in path:
        found = found[step]
    assert found == value


def test_merging_changes_no_argument() -> None:
    variables = {
        "director_vrrp_instances": [{"name": "V"}],
        "director_host_vrrp_instances": {"V": {"priority": 1}},
    }
    merge(variables)
    assert variables == {
        "director_vrrp_instances": [{"name": "V"}],
        "director_host_vrrp_instances": {"V": {"priority": 1}},
    }
