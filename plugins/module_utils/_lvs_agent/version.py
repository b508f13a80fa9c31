# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lvs-agent this is: the collection's version, as in galaxy.yml."""

from __future__ import annotations

import os

VERSION = "0.2.0"


def program() -> str:
    """The name of the program as the role agent has installed it, VERSION-DIGEST; of any other, the version."""
    name = os.path.basename(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return name if name.startswith(f"{VERSION}-") else VERSION
