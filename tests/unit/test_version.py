# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon says the collection's version."""

from __future__ import annotations

from pathlib import Path

import yaml

from _lvs_agent.version import VERSION


def test_it_is_the_collections() -> None:
    galaxy = Path(__file__).parents[2] / "galaxy.yml"
    assert yaml.safe_load(galaxy.read_text())["version"] == VERSION
