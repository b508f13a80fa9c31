# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's unit, judged by systemd."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROLE = Path(__file__).parents[3] / "roles/agent"
# systemd-analyze counts in tenths
MOST_EXPOSED, MOST_EXPOSED_WITH_SCRIPTS = 25, 35


def rendered(name: str, **variables: Any) -> str:
    """A template of the role with its defaults."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((ROLE / "templates" / name).read_text())
    return template.render(ansible_managed="Ansible", **{**defaults, **variables})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root directory of a host with the unit."""
    for path, mode in {"usr/sbin/lvs-agent": 0o755, "usr/sbin/lvsctl": 0o755}.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "lvs-agent.service").write_text(rendered("lvs-agent.service"))
    # those of systemd that it names
    for name in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
        (units / f"{name}.target").write_text("[Unit]\n")
    return tmp_path


def with_scripts(root: Path) -> None:
    folder = root / "etc/systemd/system/lvs-agent.service.d"
    folder.mkdir()
    (folder / "scripts.conf").write_text(rendered("scripts.conf", agent_script_paths=["/run", "/srv/checks"]))


def analyze(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", f"--root={root}", "--no-pager", *arguments, "lvs-agent.service"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.host
@pytest.mark.parametrize("scripts", [False, True])
def test_systemd_understands_every_line(root: Path, scripts: bool) -> None:
    if scripts:
        with_scripts(root)
    done = analyze(root, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.host
def test_a_line_that_systemd_does_not_understand_would_be_noticed(root: Path) -> None:
    unit = root / "etc/systemd/system/lvs-agent.service"
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHouse=yes"))
    assert "ProtectHouse" in analyze(root, "verify", "--man=no").stderr


@pytest.mark.host
def test_it_is_little_exposed(root: Path) -> None:
    assert analyze(root, "security", "--offline=true", f"--threshold={MOST_EXPOSED}").returncode == 0
    assert analyze(root, "security", "--offline=true", "--threshold=10").returncode != 0
    with_scripts(root)
    done = analyze(root, "security", "--offline=true", f"--threshold={MOST_EXPOSED_WITH_SCRIPTS}")
    assert done.returncode == 0, done.stdout


def test_both_engines_never_run_at_once() -> None:
    unit = rendered("lvs-agent.service")
    assert "\nConflicts=keepalived.service\nAfter=keepalived.service\n" in unit


def test_another_configuration() -> None:
    unit = rendered("lvs-agent.service", agent_configuration="/srv/lvs.conf")
    assert "ExecStart=/usr/sbin/lvs-agent run --file /srv/lvs.conf\n" in unit
    assert "ConditionFileNotEmpty=/srv/lvs.conf\n" in unit


def test_scripts_may_write_where_the_site_says() -> None:
    assert "\nReadWritePaths=-/srv/checks\n" in rendered("scripts.conf", agent_script_paths=["/srv/checks"])
