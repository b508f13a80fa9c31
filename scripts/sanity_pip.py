# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give ansible-test the pip it starts its virtual environments with.

ansible-test downloads a bootstrap script of its own from a host that builders often cannot reach. The same pip
as a wheel, through pip's usual configuration, and ten lines that start it serve as well; a script that
ansible-test has already downloaded is left alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ansible_test._internal.host_configs import VirtualPythonConfig
from ansible_test._internal.python_requirements import get_venv_packages

BOOTSTRAP = """\
import sys

sys.path.insert(0, {wheel!r})
from pip._internal.cli.main import main

# get-pip's own switches, which pip does not know
arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", *arguments]))
"""


def main() -> None:
    """Put the wheel and the script that starts it where ansible-test looks for its download."""
    cache = Path("~/.ansible/test/cache").expanduser()
    python = VirtualPythonConfig(version="{}.{}".format(*sys.version_info), path=sys.executable)
    version = get_venv_packages(python)["pip"]
    script = cache / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "download", "-qq", "--no-deps", "--dest", str(cache), f"pip=={version}"], check=True)
    wheel = next(cache.glob(f"pip-{version}-*.whl"))
    script.write_text(BOOTSTRAP.format(wheel=str(wheel)))


if __name__ == "__main__":
    main()
