# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print how quick this machine is at what the lab lives on: the boot of a guest, and starting programs in it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import uml_guest

EXECS = 1000
# bash's own clock is read without an exec; a guest's clock is this machine's
SCRIPT = f"""
echo "@@ boot"
echo $EPOCHREALTIME
for ((n = 0; n < {EXECS}; n++)); do /bin/true; done
echo "@@ execs"
echo $EPOCHREALTIME
"""


def main() -> None:
    """Boot one guest."""
    with tempfile.TemporaryDirectory() as directory:
        start = time.time()
        parts = uml_guest.run(SCRIPT, Path(directory), modules=())
    booted, done = float(parts["boot"]), float(parts["execs"])
    sys.stdout.write(
        f"this machine: a guest boots in {booted - start:.1f} s, {EXECS} execs in it take {done - booted:.1f} s\n"
    )


if __name__ == "__main__":
    main()
