# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""SMTP_CHECK's conversation, in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.health.smtp_dialogue import MOST_BYTES, Dialogue


def talk(*answers: bytes, pieces: int = 1000) -> tuple[Dialogue, list[bytes]]:
    """The dialogue after these answers, each to what we said before, and what we said."""
    dialogue = Dialogue("me.example")
    said = []
    for answer in answers:
        said.append(b"".join(dialogue.feed(answer[at : at + pieces]) for at in range(0, len(answer), pieces)))
    return dialogue, said


GOOD = (b"220 mail.example ESMTP\r\n", b"250 mail.example\r\n", b"221 Bye\r\n")


@given(st.integers(1, 20))
def test_a_good_server(pieces: int) -> None:
    dialogue, said = talk(*GOOD, pieces=pieces)
    assert (dialogue.done, dialogue.why, said) == (True, "", [b"HELO me.example\r\n", b"QUIT\r\n", b""])


def test_answers_of_several_lines_and_bare_codes() -> None:
    dialogue, said = talk(b"220-a\r\n220-\r\n220 b\r\n", b"250\n", b"221\r\n")
    assert (dialogue.done, dialogue.why, len(said)) == (True, "", 3)


@pytest.mark.parametrize(
    "answers, why",
    [
        ([b"554 no SMTP service here\r\n"], "'554 no SMTP service here' came as the greeting, expected 220"),
        ([GOOD[0], b"501 syntax\r\n"], "'501 syntax' came as the answer to HELO, expected 250"),
        ([*GOOD[:2], b"250 what\r\n"], "'250 what' came as the answer to QUIT, expected 221"),
        ([b"SSH-2.0-x\r\n"], "it does not speak SMTP: 'SSH-2.0-x\\r' came as the greeting"),
        ([b"220-a\r\n250 b\r\n"], "it does not speak SMTP: '250 b\\r' came as the greeting"),
        ([b"2200 x\r\n"], "it does not speak SMTP: '2200 x\\r' came as the greeting"),
        ([b"220 x\r\n250 y\r\n"], "it answered before it was asked: '250 y\\r\\n' came after the greeting"),
        ([b"220-x\r\n" * 10000], f"more than {MOST_BYTES} bytes came as the greeting"),
        ([b"2" * 20000], f"more than {MOST_BYTES} bytes came as the greeting"),
    ],
)
def test_bad_servers(answers: list[bytes], why: str) -> None:
    dialogue, _said = talk(*answers)
    assert (dialogue.done, dialogue.why) == (True, why)


def test_the_connection_ends() -> None:
    dialogue, _said = talk(GOOD[0])
    assert dialogue.waiting_for() == "the answer to HELO did not come"
    dialogue.end()
    assert dialogue.why == "the connection was closed before the answer to HELO came"


@given(st.lists(st.binary(max_size=60) | st.sampled_from([*GOOD, b"\r\n"]), max_size=8))
def test_noise_is_bounded(answers: list[bytes]) -> None:
    dialogue, said = talk(*answers)
    assert b"".join(said) in (b"", b"HELO me.example\r\n", b"HELO me.example\r\nQUIT\r\n")
    dialogue.end()
    assert dialogue.done
