# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A text file that a module reads whole and replaces atomically, with its diff."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def read_text(option: str, path: str) -> str:
    """The text of the file that an option names, "" when there is none. Raises ValueError, OSError."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except IsADirectoryError as error:
        raise ValueError(f"{option}: {path} is a directory; name a file in it") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{option}: {path} is not a text in UTF-8; name another file") from error


def text_diff(what: str, before: str, after: str) -> dict[str, str]:
    """One entry of a module's ``diff`` list; ``what`` heads both sides."""
    return {"before_header": what, "after_header": what, "before": before, "after": after}


def require_replaceable(option: str, path: str, *, makes_directory: bool = False) -> None:
    """Raise ValueError for a file that ``replace_text`` could not write; for check mode, and before a change."""
    directory = os.path.dirname(path)
    while makes_directory and not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    if not os.path.isdir(directory):
        what = "is no directory" if os.path.lexists(directory) else "does not exist"
        raise ValueError(f"{option}: the directory {directory} {what}; make it first, or name another file")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ValueError(f"{option}: {directory} cannot be written to; run the task as root, on a writable file system")


def replace_text(module: AnsibleModule, path: str, text: str) -> None:
    """Replace the file, mode 0644, atomically; "" removes it. Its directory must be there. Raises OSError."""
    if not text:
        os.unlink(path)
        return
    descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    module.atomic_move(temporary, path)
    module.set_mode_if_different(path, 0o644, changed=False)
