# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role says of itself in three places agrees; no tool of Ansible's compares them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from _lvs_agent.conf import argspec, check_real_servers, role_types

ROLES = sorted(path.parent.parent for path in Path(__file__).parents[2].glob("roles/*/tasks/main.yml"))
PHASES = {
    f"ansible.builtin.{verb}_{what}" for verb in ("import", "include") for what in ("role", "tasks")
} | {"ansible.builtin.include_vars"}
# keywords of a task that say how, not what
KEYWORDS = {"name", "when", "tags", "vars", "become", "become_user", "delegate_to", "run_once", "loop", "loop_control"}

pytestmark = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    """The options of all the role's entry points."""
    points = load(role / "meta/argument_specs.yml")["argument_specs"]
    return {name: option for point in points.values() for name, option in point["options"].items()}


def defaults_of(role: Path) -> dict[str, Any]:
    return load(role / "defaults/main.yml") or {}


def nested(options: dict[str, dict[str, Any]], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each option with its path, those inside lists and dictionaries too."""
    for name, option in options.items():
        yield f"{path}{name}", option
        yield from nested(option.get("options", {}), f"{path}{name}.")


def is_template(value: Any) -> bool:
    return "{{" in str(value) or "{%" in str(value)


def test_every_variable_is_an_option_and_every_option_has_its_default(role: Path) -> None:
    optional = {name for name, option in options_of(role).items() if not option.get("required")}
    assert set(defaults_of(role)) == optional


def test_the_documented_default_is_the_default(role: Path) -> None:
    options = options_of(role)
    for name, value in defaults_of(role).items():
        # of a computed one, the description may tell instead
        if "default" in options[name] or not is_template(value):
            assert options[name].get("default") == value, name


def test_names_start_with_the_role(role: Path) -> None:
    names = set(options_of(role)) | set(defaults_of(role))
    assert {name for name in names if not name.startswith(f"{role.name}_")} == set()


def test_every_option_has_a_type_and_a_description(role: Path) -> None:
    poor = {path for path, option in nested(options_of(role)) if not {"type", "description"} <= set(option)}
    assert poor == set()


def test_secrets_are_not_logged(role: Path) -> None:
    secret = re.compile(r"(pass|password|secret|token)$")
    loud = {path for path, option in nested(options_of(role)) if secret.search(path) and not option.get("no_log")}
    assert loud == set()


def test_main_is_a_list_of_phases(role: Path) -> None:
    for task in load(role / "tasks/main.yml"):
        assert len(set(task) - KEYWORDS) == 1, task
        assert set(task) - KEYWORDS <= PHASES, f"{task.get('name')}: move it to a file of its own phase"


def test_types_that_the_preflight_checks(role: Path) -> None:
    """The preflight names a wrong type in a sentence; Ansible prints the whole specification."""
    if role.name != "director":
        return
    by_type = {"bool": role_types.BOOLEANS, "list": role_types.LISTS, "dict": role_types.MAPPINGS}
    made = argspec.variables()
    ours = {name: option["type"] for name, option in options_of(role).items() if name not in made}
    for kind, names in by_type.items():
        assert {name for name, found in ours.items() if found == kind} == set(names)


def test_the_variables_whose_spelling_the_preflight_checks(role: Path) -> None:
    if role.name == "real_server":
        assert set(defaults_of(role)) == set(check_real_servers.VARIABLES)
