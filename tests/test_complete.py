"""Completion by the shell: the scripts, and what they are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Folder, Symbench

PROGRAM = Path(sys.executable).parent / "symbench"
"""The command as it is installed: shells complete it by this name."""


def asked(words: str, folder: Path, *, shell: str = "bash") -> list[str]:
    """What a shell is told for a line that ends where the cursor is."""
    environment = {
        **os.environ,
        "_SYMBENCH_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = subprocess.run(
        [str(PROGRAM)], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(symbench: Symbench, shell: str) -> None:
    ran = symbench("completion", shell)
    assert ran.code == 0
    assert f"_SYMBENCH_COMPLETE={shell}_complete" in ran.out
    environment = {**os.environ, "_SYMBENCH_COMPLETE": f"{shell}_source"}
    done = subprocess.run([str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ran.out)
    assert "bug" not in done.stderr


def test_a_question_that_no_shell_asks() -> None:
    environment = {**os.environ, "_SYMBENCH_COMPLETE": "nonsense"}
    done = subprocess.run([str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "bug" not in done.stderr


def test_bash_completes() -> None:
    script = (
        f'eval "$({PROGRAM} completion bash)"; COMP_WORDS=(symbench gate --no-b); COMP_CWORD=2; '
        f'_symbench_completion {PROGRAM}; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "--no-baseline", done.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("symbench base", ["plain,baseline"]),
        ("symbench completion f", ["plain,fish"]),
        ("symbench run ", ["file,"]),
        ("symbench report --results ", ["dir,"]),
        (
            "symbench run --model p4",
            ["file,p4", "plain,p4-cnn", "plain,p4-orientation", "plain,p4m-cnn", "plain,p4-unet"],
        ),
        ("symbench run --data di", ["file,di", "plain,digits"]),
        ("symbench run --symmetry spatial", ["plain,spatial-grid", "plain,spatial-worst10"]),
        ("symbench compare --metric worst_c", ["plain,worst_case_accuracy", "plain,worst_case_loss"]),
        ("symbench schema gat", ["plain,gate"]),
        ("symbench list pre", ["plain,presets"]),
    ],
)
def test_what_could_stand_there(words: str, found: list[str], tmp_path: Path) -> None:
    assert asked(words, tmp_path) == found


@pytest.mark.parametrize("command", ["report", "gate", "compare", "baseline set", "gate --results elsewhere"])
def test_runs_complete_the_newest_first(command: str, tmp_path: Path) -> None:
    runs = tmp_path / ("elsewhere" if "elsewhere" in command else "results") / "runs"
    runs.mkdir(parents=True)
    for name in ("b-20260101T000000Z-aaaa", "a-b-20260301T000000Z-0000", "b-20260201T000000Z-ffff"):
        (runs / f"{name}.json").write_text("{}")
    newest = ["plain,a-b-20260301T000000Z-0000", "plain,b-20260201T000000Z-ffff", "plain,b-20260101T000000Z-aaaa"]
    assert asked(f"symbench {command} ", tmp_path) == ["file,", *newest]
    assert asked(f"symbench {command} b", tmp_path) == ["file,b", *newest[1:]]
    assert asked(f"symbench {command} ru", tmp_path) == ["file,ru"]


def test_asking_measures_nothing(folder: Folder) -> None:
    asked("symbench run small.yaml --", folder.path)
    assert not folder.results.exists()
