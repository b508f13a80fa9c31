# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which platforms the roles run on."""

from __future__ import annotations

import pytest
from ansible_collections.linuxha.lvs.plugins.filter import platform_problem


@pytest.mark.parametrize(
    "name, release, known",
    [
        *(("Debian", "12", True), ("Debian", "13", True), ("Debian", "forky/sid", True)),
        *(("Debian", "11", False), ("Debian", "NA", False), ("Debian", "²", False), ("Debian", "", False)),
        *(("Ubuntu", "24", False), ("AlmaLinux", "9", False), ("Devuan", "5", False), ("Kali", "2026", False)),
    ],
)
def test_debian_12_and_newer(name: str, release: str, known: bool) -> None:
    (function,) = platform_problem.FilterModule().filters().values()
    found = function("lvs01", {"ansible_distribution": name, "ansible_distribution_major_version": release})
    assert found == ("" if known else f"lvs01 runs {name} {release}; the roles need Debian 12 or newer")
