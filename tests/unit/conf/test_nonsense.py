# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a site's variables hold: problems or a file, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from _lvs_agent.conf import schema
from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.render import render_variables
from _lvs_agent.conf.words import Block

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 300),
    st.floats(),
    st.sampled_from(
        ["VI_1", "192.0.2.1", "192.0.2.1-9", "2001:db8::1/64", "fwmark 1", "a weight 5", "DR", "TUN", "\n"]
    ),
    st.text(max_size=8),
)
ANYTHING = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
)


def block(of: Block) -> st.SearchStrategy[Any]:
    """A block with some of its words, each with something: right, wrong, or a nested block."""
    found: dict[str, st.SearchStrategy[Any]] = {}
    for word in of.words:
        inner = block(word.block) if word.block is not None else SCALARS
        found[word.name] = st.one_of(ANYTHING, inner, st.lists(inner, max_size=2))
    names = st.lists(st.sampled_from(sorted(found)), max_size=6, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: found[name] for name in chosen}))


VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        **{
            one.name: st.one_of(st.lists(block(one.word.block), max_size=2), block(one.word.block))
            if one.word.block is not None
            else ANYTHING
            for one in schema.VARIABLES
        },
        schema.HOST_GLOBALS: ANYTHING,
        schema.HOST_INSTANCES: st.dictionaries(st.just("VI_1"), ANYTHING),
        "director_address": ANYTHING,
        "director_engine": ANYTHING,
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    VARIABLES,
    VARIABLES,
    st.fixed_dictionaries({}, optional={"real_server_vips": ANYTHING, "real_server_mode": ANYTHING}),
)
def test_there_is_always_an_answer(
    one: Mapping[str, Any], two: Mapping[str, Any], real: Mapping[str, Any]
) -> None:
    assert [str(problem) for problem in site_problems({"a": one, "b": two}, {"c": real})]
    try:
        text = render_variables(one, "a")
    except ConfigurationError:
        return
    # every block that begins ends
    assert sum(line.endswith("{") for line in text.splitlines()) == sum(
        line.strip() == "}" for line in text.splitlines()
    )
