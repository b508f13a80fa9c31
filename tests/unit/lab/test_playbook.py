# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress and recap, read from a real ansible-playbook and from one that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from _lab import playbook
from _lab.errors import LabError

PLAYBOOK = """- name: Two hosts
  hosts: all
  gather_facts: false
  connection: local
  tasks:
    - name: Change one of them
      ansible.builtin.debug:
        msg: "web01 : ok=7 changed=7 is no recap"
      changed_when: inventory_hostname == 'web01'
"""


@pytest.mark.parametrize(
    "line, changed",
    [
        ("web01                      : ok=12   changed=3    unreachable=0    failed=0    skipped=1    ", "3"),
        ("192.0.2.1                  : ok=0    changed=0    unreachable=1    failed=0    skipped=0    ", "0"),
        ("a-very-long-host-name.example.org : ok=1    changed=10   unreachable=0    failed=0    ", "10"),
    ],
)
def test_a_line_of_the_recap(line: str, changed: str) -> None:
    found = playbook._RECAP.match(line)
    assert found is not None
    assert (found["host"], found["changed"]) == (line.split(maxsplit=1)[0], changed)


@pytest.mark.parametrize("line", ["PLAY RECAP ***", "changed: [web01] => (item=ok=1)", "    msg: w : ok=1 changed=1 "])
def test_another_line(line: str) -> None:
    assert playbook._RECAP.match(line) is None


def test_a_real_run(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    (tmp_path / "hosts").write_text("web01\nlvs01\n")
    said: list[str] = []
    run = playbook.play(tmp_path / "play.yml", [tmp_path / "hosts"], tmp_path / "log", said.append)
    assert run.changed == {"web01": 1, "lvs01": 0}
    assert run.seconds > 0
    assert said == ["Two hosts", "Change one of them"]
    assert "PLAY RECAP" in (tmp_path / "log").read_text()


def test_a_run_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "ansible-playbook"
    stand_in.write_text("#!/bin/sh\nseq -f 'line %g' 40\necho 'fatal: [web01]: no' >&2\nexit 2\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(LabError) as caught:
        playbook.play(tmp_path / "play.yml", [], tmp_path / "log", print)
    first, *rest = str(caught.value).splitlines()
    assert first == f"play.yml failed; the whole output is in {tmp_path}/log:"
    assert rest == [*(f"line {number}" for number in range(12, 41)), "fatal: [web01]: no"]
    assert (tmp_path / "log").read_text().startswith("line 1\n")


def test_no_task_of_ansibles_own_is_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "ansible-playbook"
    stand_in.write_text(
        "#!/bin/sh\n"
        "echo 'TASK [linuxha.lvs.lab : Validating arguments against arg spec main] ***'\n"
        "echo 'RUNNING HANDLER [linuxha.lvs.director : Reload keepalived] ***'\n"
    )
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said: list[str] = []
    assert playbook.play(tmp_path / "play.yml", [], tmp_path / "log", said.append).changed == {}
    assert said == ["director : Reload keepalived"]
