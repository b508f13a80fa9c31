# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""What can go wrong with a lab, in words a person can act on."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked; the text says what, where and what to do instead."""
