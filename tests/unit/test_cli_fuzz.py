# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvs-agent check on any bytes: an answer and an exit status, in bounded time and memory, never a traceback."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from _lvs_agent import cli, cli_check

SAMPLES = sorted(Path("/usr/share/doc/keepalived/samples").glob("keepalived.conf.*"))
LIBRARY = Path(__file__).parents[2] / "plugins/module_utils"
STATUSES = (cli_check.GOOD, cli_check.BAD)
#: what mutations put in: signs of the language, keywords with a meaning anywhere, bytes that are no text
PIECES = (
    *(b"{", b"}", b"}\n}\n", b"{\n", b'"', b"'", b"\\", b"\n", b"\t", b"#", b"!"),
    *(b"@", b"@x ", b"@^x ", b"@lvs_agent "),
    *(b"$A", b"${A}", b"$A=", b"\n$A=x$A\n", b"\n$A= \\\n x \\\n\n", b"~SEQ(A,1,9)", b"~SEQ(A,9,-1,1)", b"~LST(A,p,q)"),
    *(b"include x\n", b"include *\n", b"group", b"fwmark 1", b"weight", b"-1", b"4294967296", b"1e9", b"0x", b"::1/64"),
    *(b"192.0.2.1-9", b"192.0.2.0/8", b"\0", b"\xff\xfe", b"\xe2\x80\xae", b"\x1b[2J", b"a" * 1100),
)
BEGINNINGS = (b" ", b" x ", b"\nvrrp_instance V {\n", b"\nvirtual_server 192.0.2.1 80 {\n")


def check(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> int:
    """The exit status; what is written is judged."""
    status = cli.main(["check", str(path), *options])
    said = capsys.readouterr()
    assert said.err == ""
    if "--json" in options:
        found = json.loads(said.out)
        assert (found["errors"] > 0) == (status == cli_check.BAD)
    else:
        assert said.out
        assert not any(unicodedata.category(one) == "Cc" for one in said.out.replace("\n", ""))
        assert (": error: " in said.out or said.out.startswith("error: ")) == (status == cli_check.BAD)
    return status


def mutated(chance: random.Random) -> bytes:
    """A sample, or two spliced, with a few changes."""
    text = bytearray(chance.choice(SAMPLES).read_bytes())
    if chance.random() < 0.2:
        other = chance.choice(SAMPLES).read_bytes()
        text = text[: chance.randrange(len(text))] + other[chance.randrange(len(other)) :]
    for _change in range(chance.randint(1, 8)):
        place = chance.randrange(len(text) + 1)
        what = chance.randrange(5)
        if what == 0:
            text[place:place] = chance.choice(PIECES)
        elif what == 1:
            del text[place : place + chance.randint(1, 40)]
        elif what == 2:
            text[place : place + 1] = bytes([chance.randrange(256)])
        elif what == 3:
            end = place + chance.randint(1, 200)
            text[place:place] = text[place:end] * chance.randint(1, 3)
        else:
            begin = chance.randrange(len(text) + 1)
            text[place:place] = text[begin : begin + chance.randint(1, 60)]
    return bytes(text)


@pytest.mark.host
@pytest.mark.parametrize("seed", range(8))
def test_changed_samples(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(seed)
    path = tmp_path / "mutated"
    for number in range(100):
        path.write_bytes(mutated(chance))
        options = (["--json"], ["--compare", str(SAMPLES[number % len(SAMPLES)])], [])[number % 3]
        begin = time.process_time()
        assert check(path, capsys, *options) in STATUSES
        assert time.process_time() - begin < 5


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300), st.booleans())
@example(b"", False)
@example(b"\xff" * 50, True)
@example(b"vrrp_instance {\n virtual_ipaddress { }\n}", True)
def test_any_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, as_json: bool) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(data)
    assert check(path, capsys, *(["--json"] if as_json else [])) in STATUSES


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from((*PIECES, *BEGINNINGS))))
def test_any_order_of_the_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str], pieces: list[bytes]) -> None:
    path = tmp_path / "signs"
    path.write_bytes(b"".join(pieces))
    assert check(path, capsys) in STATUSES


LARGE = {
    "10 MB line": b"a" * 10_000_000,
    "10 MB of blanks": b" " * 10_000_000,
    "10 MB of tabs before a word": b"\t" * 10_000_000 + b"x",
    "10 MB quoted": b'"' + b"a" * 10_000_000 + b'"',
    "a million braces": b"{" * 1_000_000,
    "a million braces on lines": b"{\n" * 1_000_000,
    "a million ends": b"}\n" * 1_000_000,
    "a million blocks": b"a {\n}\n" * 500_000,
    "no text": bytes(range(256)) * 40_000,
}


@pytest.mark.parametrize("data", LARGE.values(), ids=list(LARGE))
def test_large_nonsense(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(data)
    # a process of its own, with a bound that the kernel keeps
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (700 << 20,) * 2); "
        "resource.setrlimit(resource.RLIMIT_CPU, (20, 20)); "
        f"sys.path.insert(0, {str(LIBRARY)!r}); from _lvs_agent import cli; raise SystemExit(cli.main())"
    )
    command = [sys.executable, "-c", code, "check", str(path)]
    said = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert said.stderr == b""
    assert said.returncode in STATUSES
    assert len(said.stdout) < 1_000_000


def test_files_that_include_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, other in (("a", "b"), ("b", "a"), ("c", "c"), ("d", "*")):
        (tmp_path / name).write_text(f"include {other}\n" * 3)
    for name in "abcd":
        assert check(tmp_path / name, capsys) == cli_check.BAD


def test_what_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "loop", Path("/dev/zero"), Path("/dev/null/x"), tmp_path / ("x" * 300)):
        assert check(path, capsys) == cli_check.BAD
