# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: one User Mode Linux host for every host of a site inventory, in a network namespace of its own.

plan (pure) -> network, seed, guest (effects) -> lab (one desired state) -> cli and the modules on top.
"""
