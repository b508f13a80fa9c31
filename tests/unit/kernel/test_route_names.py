# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""iproute2's names, from its files; ip itself says what they are."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from _lvs_agent.kernel.route_names import PROTOCOLS, TABLES, Names


def test_files_of_both_directories_count_and_garbage_does_not(tmp_path: Path) -> None:
    usr, etc = tmp_path / "usr", tmp_path / "etc"
    (etc / "rt_tables.d").mkdir(parents=True)
    usr.mkdir()
    (usr / "rt_tables").write_text("7 site\n8 other\n")
    (etc / "rt_tables").write_text("# a comment\n\n9 site # mine\nnine nine\n1 2 3\n0x0a hex\n")
    (etc / "rt_tables.d" / "more.conf").write_text("11 more\n")
    (etc / "rt_tables.d" / "README").write_text("12 not\n")
    names = Names((str(usr), str(etc))).of(TABLES)
    assert names == {"local": 255, "main": 254, "default": 253, "site": 9, "other": 8, "hex": 10, "more": 11}
    assert Names((str(tmp_path / "none"),)).of(PROTOCOLS)["keepalived"] == 18


def test_it_reads_the_names_that_ip_shows() -> None:
    for name, number in Names().of(TABLES).items():
        shown = subprocess.run(
            ["ip", "-json", "rule", "show", "table", name], capture_output=True, text=True, check=True
        ).stdout
        by_number = subprocess.run(
            ["ip", "-json", "rule", "show", "table", str(number)], capture_output=True, text=True, check=True
        ).stdout
        assert json.loads(shown or "[]") == json.loads(by_number or "[]")
