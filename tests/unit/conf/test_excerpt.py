# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line of a finding on a terminal: the caret stands under the word, whatever the line is made of."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _lvs_agent.conf.excerpt import WIDEST, excerpt, visible
from _lvs_agent.conf.lexer import Source
from _lvs_agent.conf.problem import Position


def shown(line: str, column: int) -> tuple[str, str]:
    return excerpt({"f": Source("f", f"\n{line}\n")}, Position("f", 2, column))


@pytest.mark.parametrize(
    "line, column, text, caret",
    [
        ("priority 300", 10, "priority 300", "         ^~~"),
        ("\tpriority\t300", 11, "        priority        300", "                        ^~~"),
        ('notify "/bin/a b" root', 8, 'notify "/bin/a b" root', "       ^~~~~~~~~~"),
        ("a ${VIP}/24 {", 3, "a ${VIP}/24 {", "  ^~~~~~~~~"),
        ("a{", 1, "a{", "^"),
        ("a{", 2, "a{", " ^"),
        ("a#comment", 1, "a#comment", "^"),
        ("end", 4, "end", "   ^"),
        ("", 1, "", "^"),
        ("\x1b[31mred x", 10, "\\x1b[31mred x", "            ^"),
        ("caf\udce9 x", 6, "caf\\xe9 x", "        ^"),
        ("\u202eabc", 1, "\\u202eabc", "^~~~~~~~~"),
        ("日本 x", 4, "日本 x", "     ^"),
    ],
)
def test_the_caret_is_under_the_word(line: str, column: int, text: str, caret: str) -> None:
    assert shown(line, column) == (text, caret)


def test_a_long_line_is_cut_around_the_word() -> None:
    text, caret = shown("x" * 300 + " wrong " + "y" * 300, 302)
    assert text.startswith("...x")
    assert text.endswith("y...")
    assert text[caret.index("^") : len(caret)] == "wrong"


def test_combining_marks_are_characters_too() -> None:
    """They have no column of their own; what is left out is said all the same."""
    text, caret = shown("e\u0301" * 60, 1)
    assert text == "e\u0301" * 48 + "e..."
    assert caret == "^" + "~" * 48


def test_a_line_that_nobody_has() -> None:
    assert excerpt({}, Position("f", 1, 1)) == ("", "")
    assert excerpt({"f": Source("f", "a\n")}, Position("f", 2, 1)) == ("", "")


@given(st.text(max_size=400), st.integers(1, 500))
@example("0" * 97 + "\u0300" + "0", 1)
def test_it_is_narrow_and_harmless(line: str, column: int) -> None:
    line = line.replace("\n", "")
    text, caret = shown(line, column)
    assert len(text) <= WIDEST
    assert len(caret) <= WIDEST
    assert text == visible(text)
    assert caret.lstrip(" ").startswith("^")
    assert "\t" not in text
