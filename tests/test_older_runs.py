"""Runs and baselines that were written under schema version 1: reported, compared and gated against."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Symbench

from symbench import open_run
from symbench.read.pairing.older import identity_of, tasks_of

GOLDEN = ROOT / "tests" / "golden" / "run-1"
IMAGES = {"turns", "slant"}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A results folder with one run of version 1, its baseline, and the suite beside it."""
    shutil.copytree(GOLDEN, tmp_path / "old")
    return tmp_path / "old"


def test_what_was_written_is_of_version_1(older: Path) -> None:
    run = open_run(results=older)
    assert run.manifest.schema_version == 1
    records = [run.store.cell(cell.key) for cell in run.manifest.cells]
    assert [record.schema_version for record in records if record] == [1] * len(run.manifest.cells)


def test_it_is_reported(older: Path, symbench: Symbench, tmp_path: Path) -> None:
    ran = symbench("report", "--results", older, "--output", tmp_path / "out", "--format", "html,md,csv,svg")
    assert ran.code == 0, ran.err
    drawn = {path.name for path in (tmp_path / "out").glob("*.svg")}
    assert {"ranks.turns.digits.svg", "attribution.slant.digits.svg"} <= drawn
    kinds = set(open_run(results=older).estimates()["elements"].dropna())
    assert {"permutation", "resampled"} <= kinds


def test_the_same_numbers_are_measured_today(older: Path, symbench: Symbench, tmp_path: Path) -> None:
    """Predictions equal, E to the floor; then the new run is gated against the old baseline."""
    results = tmp_path / "new"
    shutil.copytree(older / "baselines", results / "baselines")
    suite = older / "golden.yaml"
    suite.write_text(suite.read_text().replace("{samples: 16}", "{samples: 16, full: true}"))  # no budgets then
    ran = symbench("run", suite, "--results", results)
    assert ran.code == 0, ran.err
    names = ["model", "dataset", "symmetry", "output", "element", "elements", "metric"]
    before, after = (
        open_run(results=folder).estimates().query("status == 'ok'").set_index(names) for folder in (older, results)
    )
    shares = before[before["unit"] == "share"]
    assert len(shares) > 50
    assert np.allclose(shares["estimate"], after.loc[shares.index, "estimate"], atol=1e-9), "predictions are equal"
    errors = before[(before["unit"] == "E") & before["floor"].notna()]
    assert len(errors) > 10
    distance = (errors["estimate"] - after.loc[errors.index, "estimate"]).abs()
    assert (distance <= np.maximum(errors["floor"], 1e-5 * errors["estimate"])).all(), distance.max()
    gated = symbench("gate", "--results", results, "--json")
    rules = json.loads(gated.out)["rules"]
    judged = [rule for rule in rules if rule["symmetry"] in IMAGES]
    assert judged
    assert {rule["verdict"] for rule in judged} <= {"pass", "inconclusive"}, "compared, not set aside"
    compared = symbench("compare", older / "runs" / f"{open_run(results=older).manifest.run}.json", open_run(results=results).manifest.run,
                        "--results", results, "--format", "json")  # fmt: skip
    assert compared.code == 0, compared.err
    rows = [row for row in json.loads(compared.out)["rows"] if row["metric"] == "accuracy"]
    assert rows
    assert {row["difference"] for row in rows} == {0.0}, "paired on the same samples and elements"


def test_outputs_along_an_axis_are_another_number_today(older: Path) -> None:
    run = open_run(results=older)
    record = next(r for cell in run.manifest.cells if (r := run.store.cell(cell.key)) and cell.symmetry == "turns")
    assert set(identity_of(record)["dataset"]["fields"].values()) == {"Scalar over the 2-D grid 'image'"}
    rows = record.model_copy(update={"outputs": {"y": {"task": "regression", "field": "Nodes('items', Scalar)"}}})
    assert tasks_of(rows) == {"": ("regression", "Nodes('items', Scalar)")}, "never equal to today's"
