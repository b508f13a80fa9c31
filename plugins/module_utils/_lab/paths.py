# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab keeps its files: outside every checkout, shared by all of a user's clones."""

from __future__ import annotations

import os
from pathlib import Path

from .plan import check_lab_name


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/linuxha-lvs``, by default ``~/.cache/linuxha-lvs``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "linuxha-lvs"


def images_dir() -> Path:
    """Directory of the root file system images, one sub-directory an image key."""
    return cache_root() / "images"


def labs_dir() -> Path:
    """Directory of all labs of this user."""
    return cache_root() / "labs"


def lab_dir(name: str) -> Path:
    """Directory of the lab `name`: plan, keys, disks, console logs, inventory. LabError when it cannot be a name."""
    check_lab_name(name)
    return labs_dir() / name
