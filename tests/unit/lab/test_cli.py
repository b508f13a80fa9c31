# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's verbs: how each is read, and how a mistake is answered."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from _lab import cli, kernel, kernel_build, lab, network
from _lab.plan import Plan

MAKEFILE = Path(__file__).parents[3] / "Makefile"


@pytest.fixture
def saved(plan: Plan, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The lab `t` on disk, with every host down."""
    monkeypatch.setenv("LAB", "t")
    directory = cache / "labs/t"
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(json.dumps(plan.to_dict()))
    return plan


VERBS: list[tuple[list[str], dict[str, Any]]] = [
    (["demo"], {"site": "dr-two-nic", "json": False}),
    (["demo", "--site", "nat", "--json"], {"site": "nat", "json": True}),
    (["status"], {"json": False}),
    (["list", "--json"], {"json": True}),
    (["down"], {}),
    (["ssh", "web01"], {"host": "web01", "command": []}),
    (["ssh", "web01", "ip", "-4", "address"], {"host": "web01", "command": ["ip", "-4", "address"]}),
    (["kernel"], {}),
    (["crash", "web01"], {"host": "web01"}),
    (["boot", "web01"], {"host": "web01"}),
    (["freeze", "web01"], {"host": "web01", "frozen": True}),
    (["thaw", "web01"], {"host": "web01", "frozen": False}),
    (["pull", "web01", "ens33"], {"host": "web01", "nic": "ens33", "plugged": False}),
    (["plug", "web01", "ens33"], {"host": "web01", "nic": "ens33", "plugged": True}),
    (["partition", "lvs01", "web01"], {"hosts": ["lvs01", "web01"]}),
    (["heal"], {}),
    (["netem", "web01", "ens33"], {"host": "web01", "nic": "ens33", "loss": 0.0, "delay_ms": 0.0}),
    (["netem", "web01", "ens33", "--loss", "2.5", "--delay-ms", "30"], {"loss": 2.5, "delay_ms": 30.0}),
]


@pytest.mark.parametrize("argv, expected", VERBS, ids=[" ".join(argv) for argv, _expected in VERBS])
def test_a_verb(argv: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAB", "SITE"):
        monkeypatch.setenv(name, "")  # as make hands over a variable that is set to nothing
    arguments = vars(cli._parser().parse_args(argv))
    assert callable(arguments.pop("run"))
    assert arguments.pop("lab") == "default"
    assert expected.items() <= arguments.items()


def test_every_make_target_has_its_verb() -> None:
    (line,) = [line for line in MAKEFILE.read_text(encoding="utf-8").splitlines() if line.startswith("LAB_VERBS")]
    assert set(line.partition(":=")[2].split()) == {argv[0] for argv, _expected in VERBS} - {"demo", "kernel", "list"}


@pytest.mark.parametrize(
    "argv", [[], ["crsh", "web01"], ["crash"], ["pull", "web01"], ["netem", "web01", "ens33", "--loss", "much"]]
)
def test_no_verb(argv: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(argv)


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("verb", [["crash"], ["boot"], ["freeze"], ["thaw"], ["ssh"], ["partition", "lvs01"]])
def test_an_unknown_host_is_answered_with_the_known_ones(
    verb: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "run", lambda argv, **more: "[]")
    assert cli.main([*verb, "web1"]) == 1
    assert capsys.readouterr().err == "lab: lab t has no host 'web1'; its hosts: lvs01, web01, client\n"


@pytest.mark.usefixtures("saved")
def test_an_unknown_nic_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["netem", "web01", "lab0", "--loss", "5"]) == 1
    assert capsys.readouterr().err == "lab: host web01 has no NIC 'lab0' of the site's; those are: ens33, ens37\n"
    assert cli.main(["pull", "web01", "ens3"]) == 1
    assert "its NICs: lab0, ens33, ens37" in capsys.readouterr().err


@pytest.mark.usefixtures("saved")
def test_a_lab_that_is_not_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--lab", "x", "status"]) == 1
    assert capsys.readouterr().err == "lab: no lab 'x' is up; there are: t\n"


@pytest.mark.usefixtures("saved")
def test_the_labs_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out == "t\n"
    assert cli.main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["t"]


@pytest.mark.usefixtures("saved")
def test_the_status(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cables = {"h0n1": "up", "h1n1": "up", "h1n2": "pulled", "h2n1": "partitioned"}
    monkeypatch.setattr(network, "cable_states", lambda plan: cables)
    assert cli.main(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["lab"] == "t"
    assert status["hosts"][1] == {
        "host": "web01",
        "state": "down",
        "pid": None,
        "nics": {
            "ens33": {"addresses": ["192.0.2.11/24", "fd00::11/64"], "cable": "up"},
            "ens37": {"addresses": [], "cable": "pulled"},
        },
    }
    assert cli.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "namespace lab-t" in lines[0]
    assert [line.split() for line in lines[1:]] == [
        ["lvs01", "down", "ens33", "192.0.2.1/24"],
        ["web01", "down", "ens33", "192.0.2.11/24,fd00::11/64", "ens37", "-", "(pulled)"],
        ["client", "down", "eth0", "192.0.2.200/24", "(partitioned)"],
    ]


@pytest.mark.usefixtures("saved")
def test_ssh_becomes_ssh(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda file, argv: became.append(argv))
    cli.main(["ssh", "web01", "uptime", "-p"])
    assert became == [["ssh", "-F", str(cache / "labs/t/ssh_config"), "web01", "uptime", "-p"]]


@pytest.mark.usefixtures("saved")
def test_ending_a_lab(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "namespace_exists", lambda namespace: False)
    assert cli.main(["--lab", "..", "down"]) == 1
    assert "lab name '..'" in capsys.readouterr().err
    assert lab.saved_plan("t") is not None
    assert cli.main(["down"]) == 0
    assert capsys.readouterr().err == "lab: lab t is gone\n"
    assert cli.main(["down"]) == 0
    assert capsys.readouterr().err == "lab: there was no lab t\n"


def test_the_fast_kernel_is_built_or_the_build_undone(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(kernel_build, "build", lambda progress: True)
    (kernel.fast_dir() / "modules/7.2.13").mkdir(parents=True)
    assert cli.main(["kernel"]) == 0
    said = capsys.readouterr().err
    assert said == f"lab: Linux 7.2.13 is built: {kernel.fast_dir()}; boot it with LAB_KERNEL=fast\n"
    assert set(handlers) == {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
    with pytest.raises(SystemExit, match="143"):
        handlers[signal.SIGTERM](signal.SIGTERM, None)
    assert capsys.readouterr().err == "lab: SIGTERM: removing what was made\n"
