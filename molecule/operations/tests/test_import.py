# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""import_site.yml reads the running pair; what it writes is the pair's own inventory: site.yml changes nothing."""

from __future__ import annotations

from pathlib import Path

from as_a_user import INVENTORY, PLAYBOOKS, play
from site_under_test import DIRECTORS, REAL_SERVERS, Site


def test_a_running_pair_becomes_its_own_inventory(site: Site, tmp_path: Path) -> None:
    imported = tmp_path / "mysite"
    playbook = PLAYBOOKS / "import_site.yml"
    words = ("-e", "import_directors=directors", "-e", f"import_output={imported}")
    play(INVENTORY, playbook, *words, "--check")
    assert not imported.exists()
    play(INVENTORY, playbook, *words)
    for director in DIRECTORS:
        kept = tmp_path / "mysite-files" / director / "etc/keepalived/keepalived.conf"
        assert kept.read_text().strip() == site.run(director, "cat", "/etc/keepalived/keepalived.conf").strip()
    hosts = (imported / "hosts.yml").read_text()
    assert all(address in hosts for address in REAL_SERVERS.values())
    assert play(imported, PLAYBOOKS / "site.yml") == dict.fromkeys(DIRECTORS, 0)
