"""``pytest --symbench suite.yaml``, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Symbench
from test_gate import DROP, Scene

TWO = DROP + "\n- {metric: equivariance_error, at_most: 1.0e-5}"


def run_tests(scene: Scene, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--symbench", "small.yaml", *arguments]
    return subprocess.run(command, cwd=scene.path, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def scene(tmp_path: Path, symbench: Symbench) -> Scene:
    return Scene(tmp_path, symbench)


def test_every_rule_is_a_test(scene: Scene) -> None:
    scene.promote(rules=TWO)
    (scene.path / "test_other.py").write_text("def test_other():\n    raise SystemExit('not asked for')\n")
    done = run_tests(scene, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "small.yaml::worst_case_accuracy max_drop 0.05 PASSED" in done.stdout


def test_a_broken_rule_says_what_the_gate_says(scene: Scene) -> None:
    """The suite is run first: nobody has to remember to."""
    scene.promote(rules=TWO)
    scene.write(skew=3.0, rules=TWO)
    done = run_tests(scene)
    assert done.returncode == 1
    assert "2 failed" in done.stdout
    assert "FAIL  worst_case_accuracy of mine on blobs under turns: " in done.stdout
    assert " points worse [" in done.stdout
    assert "run just this cell: symbench run small.yaml" in done.stdout
    assert "Traceback" not in done.stdout
    itself = f"results/runs/{(scene.results / 'latest').read_text().strip()}.json"
    done = run_tests(scene, "--symbench-no-run", "--symbench-baseline", itself)
    assert "1 failed, 1 passed" in done.stdout  # E is what it is, whatever it was


def test_inconclusive_is_no_pass(scene: Scene) -> None:
    scene.promote(samples=40)
    scene.write(samples=40, skew=0.5)
    done = run_tests(scene)
    assert done.returncode == 1
    assert "INCONCLUSIVE" in done.stdout
    done = run_tests(scene, "--symbench-inconclusive", "warn")
    assert done.returncode == 0
    assert "1 passed, 1 warning" in done.stdout


def test_a_wrong_suite_is_a_sentence(scene: Scene) -> None:
    scene.write(rules="- {metric: acuracy, at_least: 0.5}")
    done = run_tests(scene)
    assert done.returncode == 2
    assert "small.yaml:12: gates.0.metric: 'acuracy' matches nothing" in done.stdout
    assert "Traceback" not in done.stdout
    scene.write(rules="  []")
    assert "the suite has no gates" in run_tests(scene).stdout
