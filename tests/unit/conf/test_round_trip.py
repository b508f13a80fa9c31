# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written is read back: any configuration of the schema, rendered and read, is the settled one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from generated_conf import LINES_OF, TEXTS, configuration
from hypothesis import HealthCheck, assume, given, settings

from _lvs_agent.conf import schema
from _lvs_agent.conf.merge import merge
from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.read import KEEPALIVED, read_text
from _lvs_agent.conf.render import render, render_variables
from _lvs_agent.conf.settle import settle
from _lvs_agent.conf.words import Word


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(configuration())
def test_what_is_written_is_read_back(given_configuration: dict[str, Any]) -> None:
    settled = settle(given_configuration)
    text = render(given_configuration)
    parsed = read_text(text, engine=KEEPALIVED)
    errors = [str(problem) for problem in parsed.problems if problem.severity == "error"]
    assert errors == [], text
    assert parsed.configuration == settled, text


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(configuration())
def test_a_second_time_changes_nothing(given_configuration: dict[str, Any]) -> None:
    text = render(given_configuration)
    assert render(read_text(text, engine=KEEPALIVED).configuration) == without_comments(text)


def without_comments(text: str) -> str:
    """Without the renderer's remark on a group that it left out."""
    chunks = [chunk for chunk in text.rstrip("\n").split("\n\n") if not chunk.startswith("# vrrp_sync_group")]
    return "\n\n".join(chunks) + "\n" if chunks != [""] and chunks else ""


def test_every_reader_of_lines_has_examples() -> None:
    assert set(LINES_OF) == {word.line for word in _all(schema.VARIABLES) if word.line}


def _all(variables: Any) -> list[Word]:
    found: list[Word] = []
    waiting = [variable.word for variable in variables]
    while waiting:
        word = waiting.pop()
        found.append(word)
        waiting += word.block.words if word.block is not None else ()
    return found


@pytest.mark.parametrize(
    "name", ["dr_two_nic", "dr_single_nic", "cluster_wlc", "haproxy_unicast", "mysql_dual_master", "nginx_ha"]
)
def test_the_sites_are_read_back(name: str, site: Callable[[str], Any]) -> None:
    for host, variables in site(name)[0].items():
        text = render_variables(variables, host)
        parsed = read_text(text)
        assert [str(problem) for problem in parsed.problems if problem.severity == "error"] == []
        assert render(parsed.configuration) == without_comments(text)
        names = [one["name"] for one in merge(variables)["vrrp_instance"]]
        assert [one["name"] for one in parsed.configuration["vrrp_instance"]] == names


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_command_line(text: str) -> None:
    assume(text.strip() and not text.strip().startswith('"'))  # that is a command line in quotes, with a user after it
    try:
        written = render({**merge({}), "global_defs": {"startup_script": text.strip()}})
    except ConfigurationError:
        return
    assert read_text(written).configuration["global_defs"]["startup_script"] == text.strip()
