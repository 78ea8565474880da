"""A plan is plain data: it is pickled, sent elsewhere, and measured there as it would have been here."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Folder, Symbench

import symbench as sb
from symbench.base.errors import DataError, ModelError, Problem, SymbenchError
from symbench.face.api import prepare
from symbench.measure import plan as planning
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import load

SUITE = """\
version: 1
name: sent
datasets:
  digits: {use: digits}
models:
  fresh: {use: mlp}
  taught: {use: mlp, train: {on: digits, epochs: 1, batch: 256, augment: turns}}
symmetries:
  turns: {group: C4, on: image, only: {model: taught}}
  rotations: {group: SO2, on: image, elements: 2, draw: per-sample, reference: drawn, only: {model: fresh}}
"""
ELSEWHERE = """\
import pickle, sys
from pathlib import Path

plan, results = pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
assert not {"symbench.measure.plan.workspace", "symbench.measure.plan.resolve"} & set(sys.modules), "reading a plan loads nothing"

from symbench.measure import engines
from symbench.measure.engines.base import Task
from symbench.base.events import ignore
from symbench.measure.execution.context import Context
from symbench.measure.execution.ledger import Ledger
from symbench.measure.execution.loading import Settings
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import Store

failed = []
context = Context(Workspace(plan), Ledger(Store(results), Settings("cpu")), {}, ignore, lambda: False)
tasks = pickle.loads(pickle.dumps([Task(plan, cell) for cell in plan.cells]))
engines.load("local").run(tasks, context, lambda cell, reason: failed.append(reason))
assert "symbench.measure.plan.resolve" not in sys.modules, "a plan is not made again to be carried out"
sys.exit(next((reason for reason in failed if reason is not None), 0))
"""


def elsewhere(folder: Path, plan: object) -> subprocess.CompletedProcess[str]:
    """Carry a plan out in a fresh process with a cache of its own, which gets it as a file."""
    sent = folder / "plan.pickle"
    sent.write_bytes(pickle.dumps(plan))
    command = [sys.executable, "-c", ELSEWHERE, str(sent), str(folder / "there")]
    environment = {**os.environ, "SYMBENCH_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def tables(results: Path) -> dict[str, bytes]:
    """Everything that was measured, file by file: observations, controls, samples and views."""
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(results.glob("cells/*/*/*.parquet"))}


def test_a_plan_is_carried_out_elsewhere_as_here(tmp_path: Path) -> None:
    suite = tmp_path / "sent.yaml"
    suite.write_text(SUITE)
    choices = sb.Choices(results=tmp_path / "here", device="cpu", limit=40)
    space, _ = prepare(suite, choices)
    done = elsewhere(tmp_path, space.plan)
    assert done.returncode == 0, done.stderr
    assert sb.run(suite, choices=choices).whole
    here, there = tables(tmp_path / "here"), tables(tmp_path / "there")
    assert set(here) == set(there)
    assert any("views" in name for name in here), "one of the symmetries draws elements for every sample"
    assert [name for name in here if here[name] != there[name]] == []


CHANGES = {
    "data": ("data.py", "samples=24", "samples=25", "the data has changed since the run was planned"),
    "model": (
        "model.py",
        "manual_seed(0)",
        "manual_seed(1)",
        "mine/blobs/turns: is not what was planned: module model.py",
    ),
}


@pytest.mark.parametrize(("file", "before", "after", "reason"), CHANGES.values(), ids=CHANGES)
def test_what_has_changed_since_fails_its_cells(
    folder: Folder, file: str, before: str, after: str, reason: str
) -> None:
    """A result must not come to stand under the key of something else."""
    space, _ = prepare(folder.suite, sb.Choices(results=folder.results, device="cpu"))
    source = folder.path / file
    assert before in source.read_text()
    source.write_text(source.read_text().replace(before, after))
    done = elsewhere(folder.path, space.plan)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "The same command plans it anew." in done.stderr
    assert not tables(folder.path / "there")


class Looking(pickle.Unpickler):
    """Notes of which packages things are made as a pickle is read."""

    packages: set[str]

    def find_class(self, module: str, name: str) -> object:
        self.packages.add(module.partition(".")[0])
        return super().find_class(module, name)


def held(thing: object) -> set[str]:
    """The packages whose classes a thing is made of, all the way down."""
    looking = Looking(io.BytesIO(pickle.dumps(thing)))
    looking.packages = set()
    looking.load()
    return looking.packages


def test_nothing_loaded_travels_with_a_plan(folder: Folder) -> None:
    """It is made of our own words alone, and a copy of it says the same."""
    space, _ = prepare(folder.suite, sb.Choices(results=folder.results, device="cpu"))
    assert held(space.plan) <= {"symbench", "pathlib"}
    assert "torch" in held(space.symmetry_of(space.plan.cells[0].pair).elements), "this test can fail"
    again = pickle.loads(pickle.dumps(space.plan))
    assert again == space.plan
    (cell,) = again.cells
    copied = Workspace(again)
    assert torch.equal(copied.symmetry_of(cell.pair).elements.values, space.symmetry_of(cell.pair).elements.values)
    assert copied.data_of("blobs").digest == again.data["blobs"].digest
    assert copied.suite.where("models", "mine") == space.suite.where("models", "mine")
    assert copied.suite.resolved() == load(folder.suite).resolved()


def test_a_plan_cannot_be_changed(folder: Folder) -> None:
    space, _ = prepare(folder.suite, sb.Choices(results=folder.results, device="cpu"))
    with pytest.raises(AttributeError):
        space.plan.cells = ()  # type: ignore[misc]


def test_why_a_cell_fails_travels_with_its_plan(folder: Folder) -> None:
    (folder.path / "model.py").write_text("def build():\n    raise RuntimeError('no weights')\n")
    space, _ = prepare(folder.suite, sb.Choices(results=folder.results, device="cpu"))
    again = pickle.loads(pickle.dumps(space.plan))
    (cell,) = again.cells
    here, there = space.broken_reason(cell), Workspace(again).broken_reason(cell)
    assert isinstance(there, ModelError)
    assert str(here) == str(there)
    assert "no weights" in str(there)


@pytest.mark.parametrize("error", [SymbenchError, DataError, ModelError])
def test_errors_keep_their_problems_when_they_are_sent(error: type[SymbenchError]) -> None:
    problems = (Problem("a", "b", "c", "d"), Problem("e", "f"))
    sent = pickle.loads(pickle.dumps(error(problems)))
    assert type(sent) is error
    assert sent.problems == problems
    assert str(sent) == str(error(problems))


def test_data_without_a_length_leaves_a_rule_nothing_to_tell(folder: Folder, symbench: Symbench) -> None:
    """Its cells will fail, and that is all there is to say."""
    folder.write(
        data="from symbench.testing import Blobs\n\n\nclass Lost(Blobs):\n    def __len__(self):\n        raise RuntimeError('lost')\n\n\ndef load():\n    return Lost(24)\n"
    )
    folder.suite.write_text(
        folder.suite.read_text() + "gates:\n- {metric: accuracy, max_drop: 0.1, against: baseline}\n"
    )
    ran = symbench("validate", folder.suite, "--results", folder.results)
    assert ran.code == 3, ran.err
    assert "lost" in ran.out
    assert "go unseen" not in ran.err


def test_planning_by_names_needs_no_data(folder: Folder) -> None:
    assert [str(pair) for pair in planning.pairs(load(folder.suite))] == ["mine/blobs/turns"]
