# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles on a host whose /etc/os-release is another platform's: refused by name, before anything changes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
ALMALINUX = 'NAME="AlmaLinux"\nVERSION="9.4"\nID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'
INSTANCE = {"name": "V", "interface": "lo", "virtual_router_id": 51, "virtual_ipaddress": ["192.0.2.100"]}
ROLES = {
    "agent": {},
    "director": {"director_vrrp_instances": [INSTANCE]},
    "real_server": {"real_server_vips": ["192.0.2.100"]},
}


def test_no_role_runs_on_a_platform_that_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text(ALMALINUX, encoding="utf-8")
    plays = [
        {
            "hosts": "directors",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {
                    "block": [{"ansible.builtin.include_role": {"name": f"linuxha.lvs.{role}"}, "vars": variables}],
                    "rescue": [{"ansible.builtin.debug": {"msg": f"{role} says: {{{{ ansible_failed_result.msg }}}}"}}],
                }
            ],
        }
        for role, variables in ROLES.items()
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays), encoding="utf-8")
    (tmp_path / "hosts.ini").write_text("[directors]\nlvs01 ansible_host=192.0.2.1\n", encoding="utf-8")
    on_almalinux = "mount --bind os-release /etc/os-release && exec ansible-playbook -i hosts.ini play.yml"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", on_almalinux],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for role in ROLES:
        expected = f"{role} says: Nothing was changed. lvs01 runs AlmaLinux 9; the roles need Debian 12 or newer"
        assert expected in " ".join(done.stdout.split()), done.stdout
    assert "changed=0" in done.stdout
