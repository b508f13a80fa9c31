# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module states of itself, beyond what ansible-test asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.linuxha.lvs.plugins.doc_fragments.attributes import ModuleDocFragment

PLUGINS = Path(__file__).parents[3] / "plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
INFO = [name for name in MODULES if name.endswith("_info")]
COMMON = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["attributes"]
OF_INFO = yaml.safe_load(ModuleDocFragment.INFO_MODULE)["attributes"]


def block(name: str, variable: str) -> Any:
    """One of the YAML texts at the head of a module."""
    text = (PLUGINS / "modules" / f"{name}.py").read_text()
    return yaml.safe_load(text.partition(f'{variable} = r"""')[2].partition('"""')[0])


@pytest.mark.parametrize("name", MODULES)
def test_all_attributes_are_stated(name: str) -> None:
    documentation = block(name, "DOCUMENTATION")
    fragments = documentation["extends_documentation_fragment"]
    assert ("linuxha.lvs.attributes.info_module" in fragments) == (name in INFO)
    stated = {**documentation["attributes"], **(OF_INFO if name in INFO else {})}
    for attribute in COMMON:
        assert stated[attribute]["support"] in ("full", "partial", "none", "N/A")


@pytest.mark.parametrize("name", MODULES)
def test_every_result_is_described(name: str) -> None:
    def check(results: dict[str, Any]) -> None:
        for key, result in results.items():
            assert {"description", "returned", "type"} <= set(result), key
            check(result.get("contains", {}))

    results = block(name, "RETURN")
    assert results
    check(results)
    assert "ansible_facts" not in results


def test_a_module_that_only_reads_is_named_so() -> None:
    """The text of each module decides: it has no diff, and never says that it changed something."""
    for name in MODULES:
        text = (PLUGINS / "modules" / f"{name}.py").read_text()
        assert (name in INFO) == ("diff_mode" not in text), name


def test_the_old_name_of_host_info_leads_to_it() -> None:
    routing = yaml.safe_load((PLUGINS.parent / "meta/runtime.yml").read_text())["plugin_routing"]["modules"]
    assert routing["host_check"]["redirect"] == "linuxha.lvs.host_info"
    assert "host_check" not in MODULES
