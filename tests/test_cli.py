"""The command line: exit codes, streams, bad input, and that no mistake of a user shows a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import torch
from conftest import ROOT, Folder, Symbench, subprocess_symbench

from symbench.face import cli


def assert_refused(ran: object, *parts: str) -> None:
    code, out, err = vars(ran)["code"], vars(ran)["out"], vars(ran)["err"]
    assert code == 2, err
    assert out == "", "results only on stdout"
    assert "Traceback" not in err
    for part in parts:
        assert part in err


def test_results_go_to_stdout_and_all_else_to_stderr(folder: Folder, symbench: Symbench) -> None:
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 0
    assert "turns on blobs" in ran.out
    assert "1 cell, 1 of them to be measured, on" in ran.err
    assert "symbench report --results" in ran.err
    ran = symbench("report", "--results", folder.results)
    assert ran.code == 0
    assert "turns on blobs" in ran.out
    assert "report.html" in ran.err


def strict(text: str) -> dict[str, object]:
    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is no JSON")

    document: dict[str, object] = json.loads(text, parse_constant=refuse)
    return document


@pytest.mark.parametrize("command", ["run", "report", "validate", "list"])
def test_json_is_one_strict_document(folder: Folder, symbench: Symbench, command: str) -> None:
    symbench("run", folder.suite, "--results", folder.results)
    suite: list[str | Path] = [folder.suite] if command in {"run", "validate"} else []
    results: list[str | Path] = [] if command == "list" else ["--results", folder.results]
    ran = symbench(command, *suite, *results, "--json")
    assert ran.code == 0
    document = strict(ran.out)
    assert document["schema_version"] == 1
    if command in {"run", "report"}:
        assert set(document) == {"schema_version", "run", "estimates", "cells"}


def test_validate_lists_cells_and_writes_nothing(folder: Folder, symbench: Symbench) -> None:
    before = sorted(folder.path.rglob("*"))
    ran = symbench("validate", folder.suite, "--results", folder.results)
    assert ran.code == 0
    assert "mine" in ran.out
    assert "to be measured" in ran.out
    assert [p for p in sorted(folder.path.rglob("*")) if "__pycache__" not in str(p)] == before


def test_validate_says_what_will_fail(folder: Folder, symbench: Symbench) -> None:
    folder.write(models='  bad: {use: "bad.py:build"}')
    (folder.path / "bad.py").write_text("def build():\n    raise KeyError('w')\n")
    ran = symbench("validate", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert "will fail: bad: building it raised KeyError: 'w'" in ran.out
    assert "1 of 2 cells will fail" in ran.err


def test_new_writes_a_suite_that_is_right_and_never_overwrites(tmp_path: Path, symbench: Symbench) -> None:
    path = tmp_path / "suite.yaml"
    assert symbench("new", path).code == 0
    assert path.read_text() == (ROOT / "symbench" / "face" / "template.yaml").read_text()
    assert symbench("validate", path, "--results", tmp_path / "r").code == 0
    assert_refused(symbench("new", path), "is there already")
    assert_refused(symbench("new", tmp_path / "no" / "where.yaml"), "cannot be written")


@pytest.mark.parametrize("kind", ["groups", "actions", "datasets", "models", "metrics"])
def test_list_names_everything_with_one_line(symbench: Symbench, kind: str) -> None:
    from symbench.algebra import actions, groups, metrics
    from symbench.domains.common import datasets, models

    table = {
        "groups": groups.GROUPS,
        "actions": actions.ACTIONS,
        "datasets": datasets.DATASETS,
        "models": models.MODELS,
        "metrics": metrics.METRICS,
    }[kind]
    lines = symbench("list", kind).out.splitlines()
    assert len(lines) == 1 + len(list(table))  # type: ignore[call-overload]
    for name, row in table:  # type: ignore[attr-defined]
        assert any(line.split()[0] == name and row.summary in line for line in lines[1:])


BAD_ENTRIES = [
    ('use: "model.py:build"', 'use: "modle.py:build"', "expected a file at"),
    ('use: "model.py:build"', 'use: "model.py:biuld"', "Did you mean 'build'?"),
    (
        'use: "model.py:build"',
        'use: "model.py:build", weights: gone.pt',
        "models.mine.weights: got 'gone.pt', expected a file",
    ),
    ('use: "model.py:build"', 'use: "model.py:build", weights: junk.safetensors', "junk.safetensors cannot be read"),
    (
        'use: "model.py:build"',
        'use: "model.py:build", weights: other.safetensors',
        "of another architecture: 2 missing keys",
    ),
    ('use: "data.py:load"', 'use: "data.py:laod"', "Did you mean 'load'?"),
    ('use: "data.py:load"', 'use: "data.py:load", args: {nothing: 1}', "loading it raised TypeError"),
    ("group: C4", "group: S16, action: patches", "4 x 4 patches do not divide an image of 9 x 9 pixels"),
    ("group: C4", "group: S9", "S9 acts on Scalar over the 2-D grid 'image' in several ways"),
    ("group: C4", "group: SO4", "got group 'SO4'"),
    (
        "on: image",
        "on: imaeg",
        "symmetries.turns.on: got 'imaeg', expected a leaf of a dataset: one of image. Did you mean",
    ),
    ("group: C4", "group: C4, elements: 9", "got 9, expected at most 3"),
    ("group: C4", "group: scalings, elements: 3", "expected an even number"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_ENTRIES, ids=[m[:40] for _, _, m in BAD_ENTRIES])
def test_bad_suites_are_refused_before_any_work(
    folder: Folder, symbench: Symbench, old: str, new: str, message: str
) -> None:
    from safetensors.torch import save_file

    (folder.path / "junk.safetensors").write_bytes(b"junk" * 9)
    save_file({"x": torch.zeros(1)}, folder.path / "other.safetensors")
    text = folder.suite.read_text()
    assert old in text
    folder.suite.write_text(text.replace(old, new))
    for command in ("run", "validate"):
        assert_refused(symbench(command, folder.suite, "--results", folder.results), message)
    assert not folder.results.exists(), "nothing is written"


def test_unreadable_places(folder: Folder, symbench: Symbench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(symbench("run", folder.suite, "--results", tmp_path / "file"), "--results")
    assert_refused(
        symbench("run", folder.suite, "--results", tmp_path / "file" / "below"), "cannot be written", "--results"
    )
    assert_refused(symbench("run", tmp_path / "none.yaml"), "no such file", "small.yaml")
    assert_refused(symbench("report", "--results", tmp_path / "empty"), "no run here yet", "symbench run")
    symbench("run", folder.suite, "--results", folder.results)
    assert_refused(symbench("report", "nope", "--results", folder.results), "no run 'nope'", "expected one of small-")
    assert_refused(
        symbench("report", "--results", folder.results, "--format", "gif"), "got 'gif', expected one of html, md"
    )
    assert_refused(
        symbench("report", "--results", folder.results, "--output", tmp_path / "file"), "cannot be written"
    )


def test_bad_options(folder: Folder, symbench: Symbench) -> None:
    assert_refused(symbench("run", folder.suite, "--limit", "0"), "--limit: got 0, expected 1 or more")
    assert_refused(symbench("run", folder.suite, "--batch-size", "-1"), "--batch-size: got -1")
    assert_refused(
        symbench("run", folder.suite, "--only", "model=nine"), "'nine' matches nothing", "Did you mean 'mine'?"
    )
    assert_refused(
        symbench("run", folder.suite, "--no-code"),
        "models.mine.use: got 'model.py:build', which would run code",
        "--no-code",
    )
    assert_refused(symbench("run", folder.suite, "--nope"), "No such option")
    assert_refused(symbench("rum"), "No such command")
    if not torch.cuda.is_available():
        assert_refused(symbench("run", folder.suite, "--device", "cuda"), "--device: got 'cuda', which this machine")


def test_no_arguments_is_help(symbench: Symbench) -> None:
    ran = symbench()
    assert ran.code == 0
    assert "Commands:" in ran.out


def test_options_from_the_environment_but_not_trust(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBENCH_RUN_RESULTS", str(folder.results))
    monkeypatch.setenv("SYMBENCH_RUN_LIMIT", "7")
    assert symbench("run", folder.suite).code == 0
    manifest = json.loads(next((folder.results / "runs").glob("*.json")).read_text())
    assert manifest["limit"] == 7


class Wants:
    """A pickle that calls something when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return (str, ("code ran",))


def test_trust_is_never_taken_from_the_environment(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"a": Wants()}, folder.path / "w.pt")
    folder.suite.write_text(folder.suite.read_text().replace('"model.py:build"', '"model.py:build", weights: w.pt'))
    monkeypatch.setenv("SYMBENCH_RUN_TRUST_PICKLE", "1")
    refused = symbench("run", folder.suite, "--results", folder.results)
    assert refused.code == 2
    assert "--trust-pickle" in refused.err
    allowed = symbench("run", folder.suite, "--results", folder.results, "--trust-pickle")
    assert "--trust-pickle" not in allowed.err
    assert "holds a dict, expected a state dict of tensors" in allowed.err


def test_every_option_has_a_variable_of_its_name(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, command in cli.cli.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in {"trust_pickle", "help"}:
                assert option.opts[0].lstrip("-").replace("-", "_") == option.name, f"{name} {option.opts}"
    monkeypatch.setenv("SYMBENCH_RUN_JSON", "1")
    strict(symbench("run", folder.suite, "--results", folder.results).out)


def test_every_command_has_help(symbench: Symbench) -> None:
    for name, command in cli.cli.commands.items():
        assert command.help, name
        for option in command.params:
            assert option.param_type_name == "argument" or vars(option).get("help"), f"{name} {option.name}"


def test_a_bug_of_ours_exits_70_and_says_so(symbench: Symbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("symbench.face.terminal.show_columns", broken)
    ran = symbench("list")
    assert ran.code == 70
    assert "bug of symbench" in ran.err
    assert "ZeroDivisionError" in ran.err


SLOW = "import time\nfrom torch import nn\nclass Slow(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.h = nn.Linear(1, 3)\n    def forward(self, x):\n        time.sleep(0.4)\n        return self.h(x.mean((2, 3)))\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_finishes_the_part_in_hand(folder: Folder, number: signal.Signals) -> None:
    folder.write(model=SLOW, symmetries="  flips: {group: D2, on: image}")
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "model.py:Slow"))
    command = [sys.executable, "-m", "symbench", "run", str(folder.suite), "--results", str(folder.results)]
    process = subprocess.Popen(
        [*command, "--batch-size", "4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "to be measured" in process.stderr.readline()
    time.sleep(1.0)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopping after the part in hand" in err
    assert "Traceback" not in err
    assert out == ""
    resumed = subprocess_symbench("run", folder.suite, "--results", folder.results, "--batch-size", "24")
    assert resumed.returncode == 0, resumed.stderr
    assert len(list((folder.results / "runs").glob("*.json"))) == 1


def test_a_reader_that_goes_away_is_no_error(folder: Folder) -> None:
    process = subprocess.run(
        f"{sys.executable} -m symbench list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )
    assert process.stdout.strip() == "groups"
    assert process.stderr == ""
    gone = f"{sys.executable} -m symbench list --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", gone], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "0", done.stderr


def test_names_and_reasons_cannot_steer_the_terminal(folder: Folder, symbench: Symbench) -> None:
    folder.write(
        model="from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        raise ValueError('\\x1b[31mred\\x1b]0;title\\x07')\n"
    )
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "model.py:Net"))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert "\x1b" not in ran.out + ran.err
    assert "\\x1b[31mred" in ran.err
