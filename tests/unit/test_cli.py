# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvs-agent check as a user runs it: what it writes, and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from _lvs_agent import cli, cli_check

CHECKOUT = Path(__file__).parents[2]
BROKEN = CHECKOUT / "docs/broken-files.md"

GOOD = """\
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    @lvs01 priority 100
    @lvs02 priority 50
    virtual_ipaddress {
        192.0.2.100
    }
}
"""
DOUBTFUL = GOOD + "vrrp_sync_group G {\n    group {\n        VI_1\n    }\n}\n"
BAD = GOOD.replace("interface eth0", "interfac eth0")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {"good": GOOD, "doubtful": DOUBTFUL, "bad": BAD}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lvs_agent(*arguments: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """The program as one runs it from a checkout."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT / "plugins/module_utils"),
        "PYTHONIOENCODING": encoding,
    }
    command = [sys.executable, "-m", "_lvs_agent.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, encoding=encoding, timeout=60, check=False)


# --- the documentation


def broken_files() -> dict[str, str]:
    """The sections of the page, by title."""
    sections = BROKEN.read_text(encoding="utf-8").split("\n## ")[1:]
    return {title: rest for title, _line, rest in (section.partition("\n") for section in sections)}


def test_there_are_ten_broken_files() -> None:
    assert len(broken_files()) == 10


@pytest.mark.parametrize("text", broken_files().values(), ids=list(broken_files()))
def test_a_broken_file_gets_the_message_of_the_page(
    text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in re.findall(r"^`(.+?)`\n\n```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        (folder / name).write_text(content)
    ((command, shown),) = re.findall(r"^```console\n\$ lvs-agent (.*?)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    status = cli.main(command.split())
    assert capsys.readouterr().out == shown
    assert status == (cli_check.BAD if " error: " in shown else cli_check.GOOD)


# --- exit statuses


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["good"], 0),
        (["doubtful"], 0),
        (["--strict", "good"], 0),
        (["--strict", "doubtful"], 1),
        (["bad"], 5),
        (["good", "bad", "doubtful"], 5),
        (["--strict", "doubtful", "bad"], 5),
        (["no-such-file"], 5),
        (["."], 5),
        (["good", "--compare", "good"], 0),
        (["good", "--compare", "good", "--strict"], 1),
        (["good", "--compare", "bad"], 5),
    ],
)
def test_exit_status(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", *arguments]) == status
    said = capsys.readouterr()
    assert said.out
    assert said.err == ""


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "usage: lvs-agent"),
        (["chek"], "invalid choice: 'chek'"),
        (["check"], "the following arguments are required: FILE"),
        (["check", "good", "--engine", "nginx"], "invalid choice: 'nginx'"),
        (["check", "good", "bad", "--compare", "good"], "--compare takes one FILE"),
        (["check", "good", "--compare-id", "x"], "there are more --compare-id than --compare"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_help_tells_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "0, no errors; 1, warnings and --strict; 2, wrong usage; 5, errors" in said


# --- what is written


def test_the_last_line_tells_what_was_read(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["check", "good", os.devnull])
    assert capsys.readouterr().out.splitlines()[0] == "good: no errors, no warnings (1 vrrp_instance)"


def test_an_empty_file_is_not_taken_for_a_good_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").touch()
    assert cli.main(["check", "empty"]) == 0
    assert "(neither vrrp_instance nor virtual_server)" in capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--json", "bad", "doubtful", "no-such-file"]) == 5
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == ["bad", "doubtful", "no-such-file"]
    assert (said["errors"], said["warnings"]) == (3, 1)
    assert said["problems"][1] == {
        "file": "bad",
        "line": 2,
        "column": 5,
        "severity": "error",
        "where": "vrrp_instance[VI_1]",
        "what": "there is no word 'interfac' in vrrp_instance",
        "instead": "did you mean interface?",
        "also": [],
    }


def test_json_of_a_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other").write_text(GOOD.replace("2.100", "2.101").replace("100", "90"))
    cli.main(["check", "--json", "good", "--compare", "other"])
    (found,) = [one for one in json.loads(capsys.readouterr().out)["problems"] if one["severity"] == "error"]
    assert (found["file"], found["line"], found["column"]) == ("good", 7, 9)
    assert found["also"] == [{"file": "other", "line": 7, "column": 9}]


def test_one_file_for_both_directors(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "good", "--compare", "good", "--strict"]
    assert cli.main([*arguments, "--config-id", "lvs01", "--compare-id", "lvs02"]) == 0
    assert cli.main([*arguments, "--config-id", "lvs01", "--compare-id", "lvs01"]) == 1
    assert "priority 100 on every one of them" in capsys.readouterr().out


REFUSED = """\
virtual_server 192.0.2.1 80 {{
    delay_loop 6
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.0.0.1 80 {{
        HTTP_GET {{
            url {{
                path /
                regex "(?|a|b)"
            }}
        }}
    }}
    real_server 10.0.0.2 80 {{
        SSL_GET {{
            @lvs_agent tls_verify
            @lvs_agent tls_ca_file {folder}/nothing.pem
            url {{
                path /
            }}
        }}
    }}
}}
virtual_server_group web {{
    192.0.2.1 80
}}
virtual_server group web {{
    delay_loop 6
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.0.0.2 80 {{
        weight 1
    }}
}}
"""


@pytest.mark.parametrize(
    "options, places",
    [([], [(7, "HTTP_GET"), (27, "web]")]), (["--local"], [(7, "HTTP_GET"), (15, "SSL_GET"), (27, "web]")])],
)
def test_what_the_daemon_refuses(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], places: list[tuple[int, str]]
) -> None:
    (folder / "refused").write_text(REFUSED.format(folder=folder))
    assert cli.main(["check", "--engine", "keepalived", "refused", *options]) == 0
    capsys.readouterr()
    assert cli.main(["check", "--json", "refused", *options]) == 5
    found = [one for one in json.loads(capsys.readouterr().out)["problems"] if one["severity"] == "error"]
    assert [one["line"] for one in found] == [line for line, _word in places]
    assert all(one["where"].endswith(word) for one, (_line, word) in zip(found, places))


def test_the_engine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bfd").write_text("bfd_instance B {\n    neighbor_ip 192.0.2.9\n}\n")
    assert cli.main(["check", "bfd"]) == 5
    assert "lvs-agent does not support bfd_instance" in capsys.readouterr().out
    assert cli.main(["check", "--engine", "keepalived", "bfd"]) == 0


def test_this_machine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "local").write_text(GOOD.replace("eth0", "no-such-nic"))
    assert cli.main(["check", "local"]) == 0
    assert cli.main(["check", "--local", "local"]) == 5
    assert "local:2:15: error: vrrp_instance[VI_1].interface: this machine has no interface no-such-nic" in (
        capsys.readouterr().out
    )


def test_included_files_have_their_own_excerpts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "main").write_text("include bad\n")
    cli.main(["check", "main"])
    assert "bad:2:5: error: vrrp_instance[VI_1]: there is no word 'interfac'" in capsys.readouterr().out


def test_a_terminal_is_not_harmed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "evil\x1b[2J").write_bytes(b"\x1b]0;owned\x07 {\n}\nvirtual_server_group \x9b31m\xe2\x80\xae {\n}\n")
    assert cli.main(["check", "evil\x1b[2J"]) == 5
    said = capsys.readouterr().out
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_can_take_it(folder: Path, encoding: str) -> None:
    (folder / "words").write_text("\u30ad\u30fc\u00e9 \u2028 {\n}\n", encoding="utf-8")
    said = lvs_agent("check", "words", encoding=encoding)
    assert "Traceback" not in said.stderr
    assert said.returncode == 5


def test_no_colours_but_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["check", "bad"])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cli.main(["check", "bad"])
    assert "bad:2:5: \x1b[1;31merror\x1b[0m: vrrp_instance[VI_1]" in capsys.readouterr().out


def test_many_findings_have_few_excerpts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "many").write_text("".join(f"word{number} x\n" for number in range(500)))
    cli.main(["check", "many"])
    said = capsys.readouterr().out
    assert said.count(": error: ") == 500
    assert said.count("^~") == 200
    assert "many: 500 errors" in said


def test_it_runs_from_a_checkout_and_a_reader_may_go() -> None:
    said = lvs_agent("check", "good", "bad")
    assert (said.returncode, said.stderr) == (5, "")
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins/module_utils")}
    command = [sys.executable, "-m", "_lvs_agent.cli", "check", *["bad"] * 2000]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_nothing_but_the_standard_library_is_needed() -> None:
    code = "import sys, _lvs_agent.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    path = str(CHECKOUT / "plugins/module_utils")
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {path!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    ours = {name for name in said.stdout.split() if name not in sys.stdlib_module_names and name != "__main__"}
    assert ours == {"_lvs_agent"}
