# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the schema's part of the role director's argument_specs again; the options written by hand stay as they are.

scripts/run test python scripts/argument_specs.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "roles/director/meta/argument_specs.yml"
sys.path.insert(0, str(ROOT / "plugins/module_utils"))

from _lvs_agent.conf import argspec  # noqa: E402

_SHORT = 60  # characters of a list that is written in one line


class _InOneLine(list[Any]):
    """A list of words: ``[a, b]``."""


class _Dumper(yaml.SafeDumper):
    """Lists are indented, and nothing is an alias of something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _short(dumper: yaml.SafeDumper, data: _InOneLine) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(_InOneLine, _short)


def _styled(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _styled(item, name) for name, item in value.items()}
    if isinstance(value, list) and key in ("choices", "default") and len(str(value)) <= _SHORT:
        return _InOneLine(value)
    return value


def text(before: str) -> str:
    """The file's text with the schema's options as they are now."""
    specs = yaml.safe_load(before)
    options: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    options.update(argspec.variables())
    head = before[: before.index("argument_specs:")]
    return head + str(yaml.dump(_styled(specs), Dumper=_Dumper, width=92, sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    SPECS.write_text(text(SPECS.read_text(encoding="utf-8")), encoding="utf-8")
