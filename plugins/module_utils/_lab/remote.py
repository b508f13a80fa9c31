# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on a lab's hosts, over the lab's ssh."""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import pkgutil
import shlex
import subprocess

from . import probe, ssh
from .errors import LabError
from .paths import lab_dir
from .plan import Plan


def ssh_argv(plan: Plan, host: str) -> list[str]:
    """`ssh` up to the host; connections are shared and end by themselves."""
    directory, guest = lab_dir(plan.name), plan.guest(host)
    # A short name: a socket's path has 107 characters, and ssh itself adds 17.
    path = f"{directory}/ssh-{guest.index}".replace("%", "%%")
    control = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", f"ControlPath={path}"]
    return ["ssh", "-F", str(ssh.config_path(directory)), *control, guest.name]


def output(plan: Plan, host: str, *argv: str, timeout_s: float = 60.0) -> str:
    """Standard output of a command on `host`. LabError when it fails or takes longer than `timeout_s`."""
    words = [shlex.quote(word) for word in argv]
    try:
        process = subprocess.run(
            [*ssh_argv(plan, host), *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LabError(f"{host}: {' '.join(argv)} took longer than {timeout_s:.0f} s") from None
    if process.returncode != 0:
        raise LabError(f"{host}: {' '.join(argv)} ended with {process.returncode}: {process.stderr.strip()}")
    return process.stdout


# Longer than a busy host stands still, shorter than TCP's first retransmission (1 s, RFC 6298): an attempt whose
# first packet was lost has failed, so that an outage is seen for as long as it lasted.
PATIENCE_S = 0.8


class Probe:
    """A client on `host` that asks a VIP every `interval_s` while the fault is injected, for at most `duration_s`."""

    def __init__(
        self, plan: Plan, host: str, address: str, port: int, duration_s: float, *, interval_s: float = 0.01,
        timeout_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        source = (pkgutil.get_data(__package__, "probe.py") or b"").decode()
        words = ("python3", "-c", source, address, str(port), str(interval_s), str(duration_s), str(timeout_s))
        self._argv = [*ssh_argv(plan, host), *(shlex.quote(word) for word in words)]
        self._limit_s = duration_s + 30

    def __enter__(self) -> Probe:
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        stderr = self._process.stderr
        if stderr is None:
            raise LabError("the probe has no pipes")
        if stderr.readline() != b"ready\n":
            raise LabError(f"the probe did not start: {stderr.read().decode(errors='replace').strip()}")
        return self

    def result(self) -> list[probe.Attempt]:
        """Wait for the probe's end and return its attempts. LabError when it broke off, or does not end."""
        # communicate() would close it, and end the probe
        stdin, self._process.stdin = self._process.stdin, None
        try:
            standard_output, errors = self._process.communicate(timeout=self._limit_s)
        except subprocess.TimeoutExpired:
            raise LabError(f"the probe did not end within {self._limit_s:.0f} s") from None
        finally:
            if stdin is not None:
                stdin.close()
        if self._process.returncode != 0:
            raise LabError(f"the probe broke off: {errors.decode(errors='replace').strip()}")
        return probe.parse(standard_output.decode())

    def finish(self) -> list[probe.Attempt]:
        """End the probe now, and return its attempts as :meth:`result` does."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            self._process.stdin = None
        return self.result()

    def __exit__(self, *_exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
