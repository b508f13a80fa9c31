# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files in linear time, and any bytes within bounds: an answer, no traceback, no hang."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from _lvs_agent.conf import preprocess, schema, tree
from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.read import Parsed, file_problems, read_file, read_text
from _lvs_agent.conf.render import render


def servers(count: int) -> str:
    """A virtual server for every thousand real servers, each with a check."""
    parts = []
    for number in range(count):
        if number % 1000 == 0:
            parts.append(
                f"{'}' if number else ''}\nvirtual_server 192.0.2.{number // 1000 + 1} 80 {{\n"
                "    delay_loop 6\n    lb_algo rr\n    lb_kind DR\n    protocol TCP\n"
            )
        parts.append(
            f"    real_server 10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1} 80 {{\n"
            "        weight 1\n        TCP_CHECK {\n            connect_timeout 3\n            retry 3\n"
            "            delay_before_retry 3\n        }\n    }\n"
        )
    return "".join(parts) + "}\n"


def test_thirty_seven_thousand_servers() -> None:
    text = servers(37_000)
    begin = time.process_time()
    parsed = read_text(text)
    took = time.process_time() - begin
    assert parsed.problems == []
    assert sum(len(one["real_server"]) for one in parsed.configuration["virtual_server"]) == 37_000
    # 1.2 s on the machine where this was measured; a quadratic reader would take hours
    assert took < 10


def test_time_grows_with_the_size_only() -> None:
    def took(count: int) -> float:
        text = servers(count)
        times = []
        for _attempt in range(3):
            begin = time.process_time()
            read_text(text)
            times.append(time.process_time() - begin)
        return min(times)

    assert took(8000) < 4 * 4 * took(2000)


ENDLESS = {
    "a million braces": ("{" * 1_000_000, "the line is longer than 1023 bytes"),
    "a million braces on lines": ("{\n" * 1_000_000, "blocks are nested more than 16 deep"),
    "hundreds of blocks on a line": ("{} " * 300, "a { without a keyword"),
    "hundreds of ends on a line": ("}" * 1000, "there are 1000 findings by now"),
    "hundreds of ranges": (
        "virtual_server_group G {\n" + "10.0.0.0/16 80\n" * 5000 + "}\n",
        "",
    ),
    "a million ends": ("}\n" * 1_000_000, "there are 1000 findings by now"),
    "10 MB line": ("a" * 10_000_000, "the line is longer than 1023 bytes"),
    "10 MB comment": ("#" * 10_000_000, "the line is longer than 1023 bytes"),
    "10 MB of quotes": ('"' * 10_000_000, "the line is longer than 1023 bytes"),
    "many words": ("a\n" * 15_000, "there are 1000 errors by now"),
    "lines in a list": (
        "static_routes {\n" + "192.0.2.0/24 dev a\n" * 21_000 + "}\n",
        "there are more than 20000 statements",
    ),
    "33 MB of blank lines": ("\n" * 33 * 2**20, ""),
    "endless sequence": ("~SEQ(A, 1, 999999999999) x$A\n", "parameters and ranges make more than 30000 lines"),
    "endless sequence of nothing": ("~SEQ(A, 1, 999999999999)\n", "parameters and ranges make more than 30000 lines"),
    "sequences of sequences": ("~SEQ(A,1,9999) " * 30 + "x\n", "parameters and ranges make more than"),
    "too many sequences": ("~SEQ(A,1,9999) " * 40 + "x\n", "parameters and ranges are nested more than 32 deep"),
    "lines of lines": (
        "".join(f"$A{n}= \\\n $A{n + 1} \\\n $A{n + 1}\n\n" for n in range(31)) + "$A31=x\n$A0\n",
        "parameters and ranges make more than",
    ),
    "lines of themselves": ("$A= \\\n $A \\\n x\n\n$A\n", "parameters and ranges are nested more than 32 deep"),
    "billion laughs": (
        "$A0=ha\n" + "".join(f"$A{n + 1}=${{A{n}}}${{A{n}}}\n" for n in range(40)) + "${A40}\n",
        "1023 characters",
    ),
}


@pytest.mark.parametrize("text, message", ENDLESS.values(), ids=list(ENDLESS))
def test_there_is_an_end(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # the real bounds are reached in 10 to 20 seconds
    monkeypatch.setattr(tree, "MOST_STATEMENTS", 20_000)
    monkeypatch.setattr(preprocess, "MOST_LINES", 30_000)
    begin = time.process_time()
    parsed = read_text(text)
    assert time.process_time() - begin < 5
    if message:
        assert any(message in problem.what for problem in parsed.problems), [str(one) for one in parsed.problems[-3:]]
        assert not parsed.is_good


def test_files_without_end(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("include b\ninclude b\n")
    (tmp_path / "b").write_text("include c\ninclude c\n")
    for name, following in zip("cdefghijklm", "defghijklmn"):
        (tmp_path / name).write_text(f"include {following}\ninclude {following}\n")
    (tmp_path / "n").write_text("global_defs {\n}\n")
    parsed = read_file(str(tmp_path / "a"))
    assert "there are more than 1000 files" in parsed.problems[-1].what


def test_more_bytes_than_anybody_writes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(40 * 2**20)
    assert "the files have more than 32 MiB" in str(read_file(str(path)).problems[0])


WORDS = sorted(
    {word.name for block in schema.BLOCK_OF.values() for word in block.words}
    | set(schema.BLOCK_OF)
    | {"real_server", "TCP_CHECK", "HTTP_GET", "url", "authentication"}
)
PIECES = st.one_of(
    st.sampled_from(
        [
            *"{}\"'#!$@~\\\n\t ",
            "$A=",
            "${A}",
            "$A",
            "@lvs_agent ",
            "@^x ",
            "~SEQ(A,1,3) ",
            "~LST(A,b,c) ",
            "\\\n",
            "include ",
        ]
    ),
    st.sampled_from(WORDS).map(lambda word: f"{word} "),
    st.sampled_from(["192.0.2.1", "80 ", "2001:db8::1 ", "true ", "-5 ", "a weight 5 ", "1.5 "]),
    st.text(max_size=4),
)


def check(parsed: Parsed) -> None:
    """Whatever was read: every message can be printed, and the configuration be written or refused."""
    for problem in file_problems(parsed):
        assert str(problem)
    try:
        render(parsed.configuration)
    except ConfigurationError:
        pass


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text(text: str) -> None:
    check(read_text(text, ids=["x"], environment={}))


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)
    check(read_file(str(path), environment={}))
