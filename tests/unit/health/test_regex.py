# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived's regular expressions, with what Python's can and cannot do."""

from __future__ import annotations

import pytest

from _lvs_agent.conf.problem import BadValue
from _lvs_agent.health.regex import MOST_PATTERN, flags, found, tried

PAGE = b"status: OK\nuptime: 12 days\nStra\xc3\x9fe\n"


@pytest.mark.parametrize(
    "pattern, options, low, high, expected",
    [
        ("OK", "", 0, None, True),
        ("ok", "", 0, None, False),
        ("ok", "caseless", 0, None, True),
        ("^uptime", "", 0, None, False),
        ("^uptime", "multiline", 0, None, True),
        ("OK.uptime", "", 0, None, False),
        ("OK.uptime", "dotall never_utf", 0, None, True),
        ("O K", "extended", 0, None, True),
        # a match starts at a byte from low to high
        ("OK", "", 8, None, True),
        ("OK", "", 9, None, False),
        ("OK", "", 0, 8, True),
        ("OK", "", 0, 7, False),
        ("(?<=: )OK", "", 8, 8, True),
        # a character, or its two bytes
        ("Stra.e", "", 0, None, False),
        ("Stra..e", "", 0, None, True),
        ("Stra.e", "utf", 0, None, True),
        ("Straße", "", 0, None, True),
        ("e\\n", "utf", 33, 33, True),
        ("e\\n", "utf", 0, 32, False),
        ("e\\n", "utf", 34, None, False),
    ],
)
def test_matches(pattern: str, options: str, low: int, high: int | None, expected: bool) -> None:
    bits = flags(options.split())
    tried(pattern, bits)
    assert found(pattern, bits, PAGE, low, high) is expected


@pytest.mark.parametrize("pattern", ["(", "a\\Kb", "[[:alpha:]]+", "(?R)", "\\h+"])
def test_what_only_pcre_has_is_an_error(pattern: str) -> None:
    with pytest.raises(BadValue, match="Python's regular expressions cannot do that"):
        tried(pattern, 0)


def test_options() -> None:
    with pytest.raises(BadValue, match="ungreedy is not supported"):
        flags(["ungreedy"])
    with pytest.raises(BadValue, match="did you mean caseless"):
        flags(["caselss"])


def test_a_huge_pattern_is_an_error() -> None:
    tried("a" * MOST_PATTERN, 0)
    with pytest.raises(BadValue, match="a regular expression of 4098 bytes; write one of at most 4096"):
        tried("ß" * (MOST_PATTERN // 2 + 1), 0)
