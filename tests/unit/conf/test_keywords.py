# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema has keepalived's keywords, all of them and no others; its page of documentation says what it says."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from _lvs_agent.conf import schema
from _lvs_agent.conf.include import Includer
from _lvs_agent.conf.keywords import markdown
from _lvs_agent.conf.words import Word

MAN = Path("/usr/share/man/man5/keepalived.conf.5.gz")
DOCS = Path(__file__).parents[3] / "docs/keywords.md"

# bold in the manual page of 2.2.7, and no keyword of a block
NO_KEYWORDS = {
    "headings and notes": "BFD GLOBAL Global Important LVS NOT NOTE Note Static VRRP VRRPD Virtual",
    "the arguments of ~SEQ and ~LST": "end start step val1 val2 val3",
    "options of a keyword, read by conf/syntax.py": "all",
    "settings of the kernel": "proxy_arp proxy_arp_pvlan",
}
# keywords of ours that the manual page of 2.2.7 does not have
NOT_IN_MAN = {
    "keepalived 2.2.7 knows them all the same": "lb_algo lb_kind neighbour_ip vrrp_track_file nb_get_retry "
    "lvs_sync_daemon_interface vmac_garp_intvl vrrp_rlimit_rtime checker_rlimit_rtime bfd_rlimit_rtime "
    "lvs_process_name enable_snmp_keepalived",
    "keywords of older versions, understood": "lvs_id lvs_sync_daemon_inteface nat_mask status",
    "what stands before a brace or in a group without a keyword": "ip port entries",
    "the words outside all blocks": "top_level",
}


def listed(reasons: dict[str, str]) -> set[str]:
    return {word for words in reasons.values() for word in words.split()}


def words_of(word: Word) -> Iterator[Word]:
    yield word
    for inner in word.block.words if word.block is not None else ():
        yield from words_of(inner)


@pytest.fixture(scope="module")
def man() -> str:
    return gzip.decompress(MAN.read_bytes()).decode()


# `raw` is no keyword, but lines of a file in a variable
ALL = [word for variable in schema.VARIABLES for word in words_of(variable.word) if word.kind != "raw"]


@pytest.mark.host
def test_every_keyword_of_the_manual_page_is_in_the_schema(man: str) -> None:
    bold = {match.split("|")[0] for match in re.findall(r"\\fB([A-Za-z][\w|-]*)(?=[ \\\n])", man)}
    bold |= {part for match in re.findall(r"\\fB([A-Z_]+\|[A-Z_]+)", man) for part in match.split("|")}
    known = {spelling for word in ALL for spelling in (word.name, *word.aliases)}
    assert len(bold) > 300
    assert {word for word in bold - known if not Includer.is_include(word)} == listed(NO_KEYWORDS) - {"keepalived"}


@pytest.mark.host
def test_every_keyword_of_the_schema_is_in_the_manual_page(man: str) -> None:
    # not all are bold, but each begins a line that is no comment
    plain = set(re.findall(r"^[ \t]*([A-Za-z][\w-]*)", re.sub(r"\\f[BRIP]", " ", man), re.MULTILINE))
    plain |= set(re.findall(r"\b[A-Z]+_(?:GET|CHECK)\b", man))
    ours = {spelling for word in ALL if not word.own and not word.since for spelling in (word.name, *word.aliases)}
    assert ours - plain == listed(NOT_IN_MAN)


@pytest.mark.host
def test_newer_and_own_words_say_so(man: str) -> None:
    plain = set(re.findall(r"[A-Za-z][\w-]*", re.sub(r"\\f[BRIP]", " ", man)))
    newer = {word.name for word in ALL if word.since}
    # `dynamic` of FILE_CHECK is in the page, but 2.2.7 does not know it; the others' names have another meaning too
    assert newer & plain == {"dynamic", "key", "mode"}
    assert {word.name for word in ALL if word.own} == {
        *("rise", "fall", "deadline", "check_via_vip", "slow_start", "depool_floor", "notify_timeout", "notify_retry"),
        *("tls_verify", "tls_ca_file", "keep_other_servers", "sorry_server_check", "resolve"),
        *("lvs_master_only", "http_method", "http_header", "http_user", "http_password_file"),
        *("smtp_tls", "smtp_tls_ca_file", "smtp_user", "smtp_password_file"),
    }


def test_the_page_of_keywords_is_the_schema() -> None:
    assert DOCS.read_text(encoding="utf-8") == markdown(), "make it again: see conf/keywords.py"


def test_the_page_has_every_word() -> None:
    page = markdown()
    assert [word.name for word in ALL if f"`{word.name}`" not in page and f"`@lvs_agent {word.name}`" not in page] == [
        "top_level"
    ]
