"""Where cells are measured changes no result, and a further place is one more class and row."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import pytest
from conftest import Folder
from test_plan import tables

import symbench as sb
from symbench.base.errors import ConfigError, DataError, Problem
from symbench.base.events import Event, Note, once
from symbench.base.registry import Row
from symbench.domains.common.canvas import Canvas
from symbench.face.api import prepare
from symbench.measure.engines import ENGINES, load
from symbench.measure.engines.base import Report, Task
from symbench.measure.execution.context import Context
from symbench.measure.execution.samples import prepare_samples
from symbench.measure.execution.worker import measured
from symbench.measure.plan.document import Cell
from symbench.measure.plan.workspace import Workspace
from symbench.testing import Blobs


class Sent:
    """An engine that works with nothing but what can be sent, a cell at a time, the last one first."""

    def run(self, tasks: Sequence[Task], context: Context, report: Report) -> None:
        names = [str(task.cell.pair) for task in tasks]
        for sent in [pickle.dumps(task) for task in reversed(tasks)]:
            task: Task = pickle.loads(sent)
            there = replace(context, workspace=Workspace(task.plan))
            prepare_samples(there, [task.cell])
            for cell, reason in measured(there, [task.cell]):
                assert str(cell.pair) in names
                report(cell, reason)


MORE = {
    "models": "  other: {use: cnn}",
    "symmetries": "  shifts: {group: translations, on: image, reach: 1, border: circular}",
}


def test_another_engine_is_a_class_and_a_row(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(**MORE)
    monkeypatch.setitem(ENGINES.rows, "sent", Row(f"{__name__}:Sent", "for this test"))
    here, sent = (folder.path / name for name in ("here", "sent"))
    runs = [sb.run(folder.suite, choices=sb.Choices(results=here, device="cpu"))]
    runs += [sb.run(folder.suite, choices=sb.Choices(results=sent, device="cpu", engine="sent"))]
    assert all(run.whole for run in runs)
    assert [c.key for c in runs[0].manifest.cells] == [c.key for c in runs[1].manifest.cells]
    assert len(runs[0].manifest.cells) == 4
    assert tables(here) == tables(sent)


def test_an_engine_that_is_not_there_is_refused_before_any_work(folder: Folder) -> None:
    with pytest.raises(ConfigError) as caught:
        sb.run(folder.suite, choices=sb.Choices(results=folder.results, engine="locl"))
    message = str(caught.value)
    assert message.startswith("engine: got engine 'locl', expected one of local")
    assert "Did you mean 'local'?" in message
    assert not folder.results.exists()


@pytest.mark.parametrize("name", ENGINES.names())
def test_engines_have_the_one_method(name: str) -> None:
    assert callable(load(name).run)


def test_the_table_of_engines_is_light() -> None:
    code = "import sys, symbench.measure.engines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


class Roomy(Blobs):
    """Datasets that share a cache, and note what it was asked for."""

    asked: list[int]
    full = False

    @classmethod
    def make_room(cls, wanted: Sequence[tuple[Self, Sequence[int], Sequence[Canvas | None]]]) -> None:
        cls.asked.append(len(wanted))
        if cls.full:
            raise DataError(Problem("cache", "too much"))


class Fitted(Roomy):
    """Another one of the same kind."""


SHARING = """\
version: 1
name: sharing
datasets:
  one: {use: "data.py:load"}
  two: {use: "data.py:load"}
  own: {use: "data.py:load"}
models:
  mine: {use: "model.py:build"}
symmetries:
  turns: {group: C4, on: image}
"""


@pytest.mark.parametrize("full", [False, True], ids=["fits", "full"])
def test_datasets_of_one_kind_share_room(folder: Folder, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """Room is asked for once for all of a kind; where there is too little, those of other kinds go on."""
    folder.suite.write_text(SHARING)
    space, ledger = prepare(folder.suite, sb.Choices(results=folder.results, device="cpu"))
    monkeypatch.setattr(Roomy, "asked", [], raising=False)
    monkeypatch.setattr(Roomy, "full", full)
    space.data["one"].dataset, space.data["two"].dataset = Roomy(24), Fitted(24)
    context = Context(space, ledger, {}, lambda event: None, lambda: False)
    prepare_samples(context, space.plan.cells)
    assert Roomy.asked == [2]
    reasons: dict[str, object] = {cell.pair.dataset: space.broken_reason(cell) for cell in space.plan.cells}
    assert [name for name, reason in reasons.items() if reason is not None] == (["one", "two"] if full else [])


def test_what_a_cell_does_not_need_is_not_prepared(folder: Folder) -> None:
    """So that an engine which is sent one cell reads the data of that one alone."""
    folder.suite.write_text(SHARING)
    space, ledger = prepare(folder.suite, sb.Choices(results=folder.results, device="cpu"))
    there = Workspace(space.plan)
    cells: list[Cell] = [cell for cell in space.plan.cells if cell.pair.dataset == "two"]
    prepare_samples(Context(there, ledger, {}, lambda event: None, lambda: False), cells)
    assert list(there.data) == ["two"]


def test_a_note_is_heard_once() -> None:
    heard: list[Event] = []
    listen = once(heard.append)
    for text in ("a", "b", "a"):
        listen(Note(text))
    assert heard == [Note("a"), Note("b")]
