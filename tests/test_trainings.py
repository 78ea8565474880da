"""The curve of a training goes from the checkpoint into the cells, and from there into reports of copied runs."""

from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CaseOf, Symbench
from matplotlib import rc_context

from symbench.measure.training.record import MOST_POINTS, curve_of
from symbench.read.report import trainings
from symbench.read.report.style import STYLE


def points(count: int) -> list[dict[str, Any]]:
    """A curve as a checkpoint's note has it."""
    return [
        {
            "epoch": i + 1, "step": 3 * (i + 1), "loss": 2.0 / (i + 1), "accuracy": None,
            "validation_loss": 1.23456789, "validation_accuracy": 0.5,
        }
        for i in range(count)
    ]  # fmt: skip


def test_long_curves_are_kept_in_part() -> None:
    whole, part = curve_of(points(7)), curve_of(points(1234))
    assert whole is not None
    assert part is not None
    assert (whole.epoch, whole.step[-1], whole.accuracy) == (list(range(1, 8)), 21, [None] * 7)
    assert whole.validation_loss == [1.23457] * 7
    assert len(part.epoch) == MOST_POINTS
    assert (part.epoch[0], part.epoch[-1], part.step[-1]) == (1, 1234, 3702)
    assert np.ptp(np.diff(part.epoch)) <= 1, "evenly"
    assert curve_of(points(1)) is not None
    assert curve_of([]) is None


def test_a_run_that_was_copied_draws_its_trainings(
    case: CaseOf, symbench: Symbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, cache = case("numbers"), tmp_path / "cache"
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(cache))
    net.suite.write_text((net.path / "train.yaml").read_text().replace("datasets:", "sweep: {seeds: 2}\ndatasets:"))
    net.edit("epochs: 60", "epochs: 12, validation: 0.25")
    assert net.run().code == 0
    notes = [json.loads(path.read_text())["measured"]["curve"] for path in (cache / "checkpoints").glob("*/*.json")]
    shutil.move(net.results, tmp_path / "copied")
    shutil.rmtree(cache)
    arguments = ("--results", tmp_path / "copied", "--output", tmp_path / "r", "--format", "html,csv,png,md")
    assert symbench("report", *arguments).code == 0
    drawn = pd.read_csv(tmp_path / "r" / "training.csv")
    assert set(drawn["model"]) == {"trained-seed-0"}
    curves = {tuple(mine["loss"].round(4)): mine for _, mine in drawn.groupby("replica")}
    assert len(curves) == len(notes) == 2
    for note in notes:
        mine = curves[tuple(pd.Series([point["loss"] for point in note]).round(4))]
        assert mine["step"].tolist() == [point["step"] for point in note]
        np.testing.assert_allclose(mine["validation_loss"], [point["validation_loss"] for point in note], rtol=1e-5)
    page = (tmp_path / "r" / "report.html").read_text()
    assert '<section id="training">' in page
    assert "validation accuracy" not in page, "numbers are neither right nor wrong"
    assert "training.png" in (tmp_path / "r" / "report.md").read_text()


def test_a_report_without_trainings_has_no_such_section(case: CaseOf, symbench: Symbench) -> None:
    net = case("numbers")
    assert net.run().code == 0
    assert symbench("report", "--results", net.results, "--output", net.path / "r", "--format", "html").code == 0
    page = (net.path / "r" / "report.html").read_text()
    assert 'href="#training"' not in page
    assert 'id="training"' not in page


def test_the_figure_of_many_trainings_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"model-{i:02d}" for i in range(60)]
    noise = np.random.default_rng(0).random((60, 8, trainings.MOST_POINTS, 4)) + 0.1
    rows = [
        {"model": name, "replica": j, "epoch": k + 1, "step": k, **dict(zip(trainings.PANELS, noise[i, j, k], strict=True))}
        for i, name in enumerate(names)
        for j in range(8)
        for k in range(trainings.MOST_POINTS)
    ]  # fmt: skip
    monkeypatch.setattr(trainings, "curves", lambda material: pd.DataFrame(rows))
    with rc_context(STYLE):
        (sketch,) = trainings.sketches(SimpleNamespace(models=names))  # type: ignore[arg-type]
        buffer = BytesIO()
        sketch.figure.savefig(buffer, format="svg")
    assert sketch.title == "Training: the first 16 of 60 models"
    assert sketch.data["model"].nunique() == trainings.MOST_MODELS
    assert sketch.data["replica"].max() + 1 == trainings.MOST_REPLICAS
    assert len(buffer.getvalue()) < 500_000
    assert [axes.get_ylabel() for axes in sketch.figure.axes] == list(trainings.PANELS.values())
