# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack lvs-agent into one file that any Python from 3.9 on runs; under the name lvsctl it is that program.

python3 scripts/agent_file.py build/lvs-agent
"""

from __future__ import annotations

import sys
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "plugins/module_utils"
sys.path.insert(0, str(LIBRARY))

from _agent_bundle import PACKAGE, PROGRAMS, pack, read_tree  # noqa: E402

MAIN = f"""\
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
import importlib
import os
import sys

PROGRAMS = {PROGRAMS!r}
name = os.path.basename(sys.argv[0])
module = PROGRAMS.get(name, PROGRAMS["lvs-agent"])
raise SystemExit(importlib.import_module("{PACKAGE}." + module).main())
"""


def single_file(library: Path) -> bytes:
    """The program as one executable file, a zip archive behind its first line (zipapp)."""
    files = {f"{PACKAGE}/{path}": text for path, text in read_tree(str(library)).items() if path.endswith(".py")}
    # -I: neither the caller's directory nor the user's own packages can come first
    return b"#!/usr/bin/env -S python3 -I\n" + pack({**files, "__main__.py": MAIN.encode()})


def main() -> int:
    """Write the file named on the command line."""
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(single_file(LIBRARY / "_lvs_agent"))
    target.chmod(0o755)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB; as lvsctl: ln -s {target.name} {target.parent / 'lvsctl'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
