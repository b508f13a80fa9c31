# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way by Ansible: inventory, the role's file, playbook import_site, inventory, the same file again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles/director"
# the role's variables, its argument_specs and its template, without what changes a host
ONLY_RENDER = """\
- name: Render
  ansible.builtin.template:
    src: keepalived.conf.j2
    dest: "{{ lookup('env', 'RENDERED') }}/{{ inventory_hostname }}.conf"
    mode: "0600"
"""
PLAY = """\
- hosts: directors
  connection: local
  gather_facts: false
  roles: [render]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    role = tmp_path / "roles/render"
    (role / "tasks").mkdir(parents=True)
    for part in ("defaults", "vars", "templates", "meta"):
        (role / part).symlink_to(ROLE / part)
    (role / "tasks/main.yml").write_text(ONLY_RENDER, encoding="utf-8")
    (tmp_path / "render.yml").write_text(PLAY, encoding="utf-8")
    return tmp_path


def ansible(folder: Path, inventory: str, playbook: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["ansible-playbook", "-i", inventory, playbook, *arguments],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rendered(folder: Path, inventory: str) -> dict[str, str]:
    target = folder / f"rendered-{Path(inventory).name}"
    target.mkdir()
    ansible(folder, inventory, "render.yml", RENDERED=str(target))
    return {path.stem: path.read_text(encoding="utf-8") for path in target.iterdir()}


def test_dr_two_nic_comes_back_byte_by_byte(folder: Path) -> None:
    before = rendered(folder, str(ROOT / "playbooks/inventories/dr-two-nic"))
    assert set(before) == {"lvs01", "lvs02"}
    files = f"{folder}/rendered-dr-two-nic/{{{{ inventory_hostname }}}}.conf"
    asked = [str(ROOT / "playbooks/import_site.yml"), "-c", "local"]
    asked += ["-e", f"import_path='{files}' import_output=site ansible_become=false"]

    told = ansible(folder, "lvs01,lvs02,", *asked, "--check")
    assert "changed=2" in told
    assert not (folder / "site").exists()

    ansible(folder, "lvs01,lvs02,", *asked)
    hosts = yaml.safe_load((folder / "site/hosts.yml").read_text(encoding="utf-8"))
    assert list(hosts["directors"]["hosts"]) == ["lvs01", "lvs02"]
    kept = folder / f"site-files/lvs01{folder}/rendered-dr-two-nic/lvs01.conf"
    assert kept.read_text(encoding="utf-8") == before["lvs01"]
    assert rendered(folder, "site") == before


SITE = """\
directors:
  vars:
    director_global_defs: {enable_script_security: true}
    director_vrrp_instances: [{name: VI, interface: lo, virtual_router_id: 5, virtual_ipaddress: [192.0.2.5]}]
  hosts:
    a: {director_host_vrrp_instances: {VI: {priority: 150}}}
    b:
      director_host_vrrp_instances: {VI: {priority: 100}}
      director_host_global_defs: {vrrp_higher_prio_send_advert: false}
"""


def test_a_losing_keepalived_is_told_to_answer_unless_the_site_says_otherwise(folder: Path) -> None:
    (folder / "site.yml").write_text(SITE, encoding="utf-8")
    texts = rendered(folder, str(folder / "site.yml"))
    for director, answers in (("a", "true"), ("b", "false")):
        written = [line.split() for line in texts[director].splitlines() if "higher_prio" in line]
        assert written == [["vrrp_higher_prio_send_advert", answers]]
        assert "enable_script_security" in texts[director]
