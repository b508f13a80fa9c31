# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one module of the collection as Ansible would, without Ansible's packing: PYTHON run_module.py NAME < JSON.

The JSON holds the module's arguments and Ansible's own (``_ansible_check_mode``, ``_ansible_diff``).
"""

from __future__ import annotations

import runpy
import sys

from ansible.module_utils import basic

basic._ANSIBLE_ARGS = b'{"ANSIBLE_MODULE_ARGS": ' + sys.stdin.buffer.read() + b"}"
basic._ANSIBLE_PROFILE = "legacy"
name = sys.argv.pop()
runpy.run_module(f"ansible_collections.linuxha.lvs.plugins.modules.{name}", run_name="__main__")
