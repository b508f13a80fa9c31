# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: a text file that is read whole and replaced atomically, with its diff."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def read_text(path: str) -> str:
    """The file's text, "" when there is none. Raises OSError, UnicodeDecodeError."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def text_diff(what: str, before: str, after: str) -> dict[str, str]:
    """One entry of a module's ``diff`` list; ``what`` heads both sides."""
    return {"before_header": what, "after_header": what, "before": before, "after": after}


def replace_text(module: AnsibleModule, path: str, text: str) -> None:
    """Replace the file, mode 0644, atomically; "" removes it. Creates a missing directory. Raises OSError."""
    if not text:
        os.unlink(path)
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    module.atomic_move(temporary, path)
    module.set_mode_if_different(path, 0o644, changed=False)
