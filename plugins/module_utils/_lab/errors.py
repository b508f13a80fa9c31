# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with a lab, in words a person can act on."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked; the text says what, where and what to do instead."""
