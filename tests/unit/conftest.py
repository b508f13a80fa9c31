# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests run anywhere, as anybody; those marked `host` ask a program of the lab's packages, or need root."""

from __future__ import annotations

import pytest

from _lvs_agent import script_commands

KEEPALIVED = {"keepalived_says", "keepalived_says_each"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if KEEPALIVED & set(getattr(item, "fixturenames", ())):
            item.add_marker("host")


@pytest.fixture(autouse=True)
def may_start_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the daemon under its unit, whoever runs the tests: it may start a script as another user."""
    monkeypatch.setattr(script_commands, "_may_become_others", lambda: True)
