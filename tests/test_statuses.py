"""What becomes of a command where models, disks or stored cells fail: a sentence, and a status that says which."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import CaseOf, Folder, Symbench

from symbench.base.errors import Problem, described
from symbench.measure import store as stores

FLIPS = "  flips: {group: D1, on: image}"


@pytest.fixture
def measured(folder: Folder, symbench: Symbench) -> Folder:
    """Two cells."""
    folder.write(symmetries=FLIPS)
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    return folder


def damage(folder: Folder, symmetry: str) -> None:
    """Cut a cell's record in half."""
    (manifest,) = (folder.results / "runs").glob("*.json")
    cells = json.loads(manifest.read_text())["cells"]
    (key,) = (cell["key"] for cell in cells if cell["symmetry"] == symmetry)
    record = stores.Store(folder.results).cell_folder(key) / "cell.json"
    record.write_bytes(record.read_bytes()[:200])


def test_whatever_a_model_raises_fails_its_cell_alone(case: CaseOf) -> None:
    raising = case("raising")
    ran = raising.run()
    assert ran.code == 3, ran.err
    assert "Traceback" not in ran.err
    (manifest,) = (json.loads(path.read_text()) for path in (raising.results / "runs").glob("*.json"))
    assert manifest["status"] == "incomplete"
    reasons = {cell["model"]: cell["reason"] for cell in manifest["cells"]}
    for model, said in {
        "cancelled": "raised CancelledError: the loop is closed",
        "left": "raised GeneratorExit:",
        "own": "raised Stop: enough",
        "speechless": "raised Speechless: (its message cannot be had: RuntimeError)",
        "halved": "raised ValueError: half a character: \\ud83d",
        "endless": "more characters)",
        "exits": "raised SystemExit: 0",
    }.items():
        assert said in reasons[model], model
    assert reasons["fine"] is None
    assert len(reasons["endless"]) < 3000


def test_messages_are_cut_and_keep_their_remedy() -> None:
    shown = str(Problem("there", "x" * 10_000, "y" * 10_000, "Do this."))
    assert len(shown) < 4200
    assert shown.startswith("there: xxx")
    assert "... (8,000 more characters), expected yyy" in shown
    assert shown.endswith("Do this.")
    assert described(ValueError("two\nlines")) == "ValueError: two lines"


def test_an_interrupt_is_no_failure_of_the_model(folder: Folder, symbench: Symbench) -> None:
    folder.write(
        model="from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        raise KeyboardInterrupt\n"
    )
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "model.py:Net"))
    assert symbench("run", folder.suite, "--results", folder.results).code == 130


@pytest.mark.parametrize("error", [GeneratorExit(), SystemExit(0), KeyError("x")], ids=lambda e: type(e).__name__)
def test_whatever_reaches_the_edge_is_never_a_verdict(
    symbench: Symbench, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def raising(*_: object) -> None:
        raise error

    monkeypatch.setattr("symbench.face.terminal.show_columns", raising)
    ran = symbench("list")
    assert ran.code == 70
    assert "bug of symbench" in ran.err


def shell(line: str, folder: Folder) -> subprocess.CompletedProcess[str]:
    """A line of bash, in a suite's folder."""
    command = ["bash", "-c", line.replace("symbench", f"{sys.executable} -m symbench", 1)]
    return subprocess.run(command, cwd=folder.path, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("kib", [1, 4], ids=["manifest", "cell"])
def test_a_full_disk_is_a_sentence_and_the_run_resumes(folder: Folder, symbench: Symbench, kib: int) -> None:
    done = shell(f"ulimit -f {kib}; symbench run small.yaml", folder)
    assert done.returncode == 3, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert "the same command resumes" in done.stderr
    assert "Traceback" not in done.stderr
    assert symbench("run", folder.suite, "--results", folder.results).code == 0


def test_results_that_go_away_during_a_run(folder: Folder, symbench: Symbench) -> None:
    folder.write(
        model="import shutil\nfrom torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n"
        f"        shutil.rmtree({str(folder.results)!r}, ignore_errors=True)\n        return x.mean((2, 3)).repeat(1, 3)\n"
    )
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "model.py:Net"))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3, ran.err
    assert "cannot be written: No such file or directory" in ran.err
    assert "Traceback" not in ran.err


def test_new_files_are_whole_or_not_there(folder: Folder) -> None:
    done = shell("ulimit -f 0; symbench new other.yaml", folder)
    assert done.returncode == 2
    assert "PATH: other.yaml cannot be written: File too large" in done.stderr
    assert not (folder.path / "other.yaml").exists()


def test_a_report_of_part_of_a_run_is_what_was_asked(folder: Folder, symbench: Symbench) -> None:
    folder.write(models='  bad: {use: "bad.py:build"}')
    (folder.path / "bad.py").write_text("def build():\n    raise KeyError('w')\n")
    assert symbench("run", folder.suite, "--results", folder.results).code == 3
    ran = symbench("report", "--results", folder.results, "--format", "md")
    assert ran.code == 0, ran.err
    assert "bad: no numbers" in ran.out
    assert symbench("report", "--results", folder.results, "--format", "md", "--exit-code").code == 3


@pytest.mark.parametrize("command", ["leaderboard", "report --format md", "compare {run} {run}"])
def test_a_cell_that_cannot_be_used_is_named(measured: Folder, symbench: Symbench, command: str) -> None:
    run = (measured.results / "latest").read_text().strip()
    words = [*command.format(run=run).split(), "--results", str(measured.results)]
    whole = symbench(*words)
    assert (whole.code, "was measured" in whole.err) == (0, False), whole.err
    damage(measured, "flips")
    ran = symbench(*words)
    assert ran.code == 3
    assert "cell.json is damaged" in ran.err
    assert "mine/blobs/turns" not in ran.err
    assert ran.out, "the other cell is shown"


def test_what_was_deleted_is_no_fault_of_the_leaderboard(measured: Folder, symbench: Symbench) -> None:
    damage(measured, "flips")
    store = stores.Store(measured.results)
    for path in (measured.results / "cells").glob("*/*"):
        if path.is_dir() and store.cell(path.name) is None:
            shutil.rmtree(path)
    ran = symbench("leaderboard", "--results", measured.results)
    assert ran.code == 0
    assert "was measured" not in ran.err


def git(folder: Folder, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *who, *words], cwd=folder.path, check=True, capture_output=True, timeout=60)


def test_what_is_committed_after_its_run_is_committed(folder: Folder, symbench: Symbench) -> None:
    """The same command says that there is nothing to do, which must not be the end of it."""
    promote = ("baseline", "set", "--reason", "r", "--results", folder.results)
    git(folder, "init", "--quiet")
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    refused = symbench(*promote)
    assert refused.code == 2
    assert "its code is in no commit. Commit the suite's folder to git and run the suite again" in refused.err
    (folder.path / ".gitignore").write_text("results/\n__pycache__/\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "m")
    assert "nothing to do" in symbench("run", folder.suite, "--results", folder.results).err
    assert symbench(*promote).code == 0
    (folder.path / "other.py").write_text("")
    assert "nothing to do" in symbench("run", folder.suite, "--results", folder.results).err
    assert symbench(*promote).code == 0, "what was measured is in that commit still"


def test_validate_says_the_same_in_json(folder: Folder, symbench: Symbench) -> None:
    folder.write(models='  bad: {use: "bad.py:build"}')
    (folder.path / "bad.py").write_text("def build():\n    raise KeyError('w')\n")
    ran = symbench("validate", folder.suite, "--results", folder.results, "--json")
    assert ran.code == 3
    assert json.loads(ran.out)["schema_version"] == 1
    assert "1 of 2 cells will fail" in ran.err


@pytest.mark.parametrize("path", ["~", "~/below", "./~"])
def test_a_tilde_is_the_home_folder_where_it_leads(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    home = folder.path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(folder.path)
    assert symbench("run", folder.suite, "--results", path).code == 0
    assert symbench("report", "--results", path, "--format", "md").code == 0
    where = {"~": home, "~/below": home / "below", "./~": folder.path / "~"}[path]
    assert (where / "latest").is_file()
    assert symbench("run", folder.suite, "--results", "~nobody-of-this-name/x").code == 2


def test_results_in_a_folder_whose_name_is_no_text(folder: Folder, symbench: Symbench) -> None:
    ran = symbench("run", folder.suite, "--results", os.fsdecode(b"\xff"))
    assert ran.code == 2
    assert "Invalid value for '--results'" in ran.err
