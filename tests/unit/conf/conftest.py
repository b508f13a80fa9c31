# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference sites, and the real keepalived as the judge of what we write."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

Site = tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]

# keepalived looks for the interfaces a file names, so it runs in a network namespace that has them
IN_NAMESPACE = """
ip link set lo up
for pair in "ens33 eth0" "ens37 eth1" "eth2 eth3" "eth0.0 eth0.1"; do
    ip link add "${pair% *}" type veth peer name "${pair#* }"
    ip link set "${pair% *}" up
    ip link set "${pair#* }" up
done
for file in "$@"; do
    keepalived -t -f "$file" >"$file.said" 2>&1 || echo "(exit status $?)" >>"$file.said"
done
"""


@pytest.fixture(scope="session")
def _site_data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("sites.yml").read_text(encoding="utf-8"))
    return data


@pytest.fixture
def site(_site_data: dict[str, Any]) -> Callable[[str], Site]:
    """A site's name -> (variables of its directors, variables of its real servers), free to change."""

    def load(name: str) -> Site:
        found = _site_data[name]
        directors = {
            host: copy.deepcopy({**found["common"], **own}) for host, own in found["directors"].items()
        }
        return directors, copy.deepcopy(found["real_servers"])

    return load


@pytest.fixture
def keepalived_says_each(tmp_path: Path) -> Callable[[Sequence[str]], list[str]]:
    """Texts of keepalived.conf -> what ``keepalived -t`` prints about each, "" when it is content."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if shutil.which("keepalived", path=path) is None:
        pytest.fail("these tests need the package keepalived")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]

    def ask(texts: Sequence[str]) -> list[str]:
        files = [tmp_path / f"{number}.conf" for number in range(len(texts))]
        for file, text in zip(files, texts):
            file.write_text(text, encoding="utf-8")
        subprocess.run(
            ["unshare", "--net", *as_root, "sh", "-euc", IN_NAMESPACE, "sh", *map(str, files)],
            env={**os.environ, "PATH": path},
            check=True,
            timeout=60,
        )
        said = [file.with_name(f"{file.name}.said").read_text(errors="replace") for file in files]
        return [one.replace(f"{tmp_path}/", "") for one in said]

    return ask


@pytest.fixture
def keepalived_says(keepalived_says_each: Callable[[Sequence[str]], list[str]]) -> Callable[[str], str]:
    """As keepalived_says_each, for one text."""
    return lambda text: keepalived_says_each([text])[0]
