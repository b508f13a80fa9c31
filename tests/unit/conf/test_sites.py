# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reference site is free of problems, and keepalived accepts its files without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from _lvs_agent.conf import argspec
from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.render import render_variables

SITES = list(yaml.safe_load(Path(__file__).with_name("sites.yml").read_text(encoding="utf-8")))

pytestmark = pytest.mark.parametrize("name", SITES)


def test_there_is_no_error(name: str, site: Callable[[str], Any]) -> None:
    assert [str(one) for one in site_problems(*site(name)) if one.severity == "error"] == []


def test_keepalived_is_content(
    name: str, site: Callable[[str], Any], keepalived_says: Callable[[str], str]
) -> None:
    directors, _real_servers = site(name)
    for host, variables in directors.items():
        assert keepalived_says(render_variables(variables, host)) == ""


def test_the_text_is_always_the_same(name: str, site: Callable[[str], Any]) -> None:
    for host, variables in site(name)[0].items():
        backwards = dict(reversed(variables.items()))
        assert render_variables(variables, host) == render_variables(backwards, host)


def test_ansible_accepts_the_variables(name: str, site: Callable[[str], Any]) -> None:
    for variables in site(name)[0].values():
        # made anew: the validator fills in its mappings of defaults
        options = argspec.variables()
        # as templates make them: a YAML anchor's mapping is not the same object everywhere
        ours = json.loads(json.dumps({key: value for key, value in variables.items() if key in options}))
        assert ArgumentSpecValidator(options).validate(ours).error_messages == []
