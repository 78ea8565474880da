"""Two runs side by side, and baselines as files."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Symbench
from statsmodels.stats.contingency_tables import mcnemar
from test_gate import Scene

from symbench import compare_runs, open_run
from symbench.algebra.metrics import METRICS
from symbench.base.errors import ConfigError
from symbench.base.records import CompareRecord
from symbench.read import baseline
from symbench.read.judge import measured
from symbench.read.pairing.difference import pair_cells

GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Results with two runs of a model that got worse."""
    from symbench import run

    scene = Scene(tmp_path_factory.mktemp("two"), symbench=None)  # type: ignore[arg-type]
    names = []
    for skew in (1.5, 2.5):
        scene.write(skew=skew)
        names.append(run(scene.suite, results=scene.results).manifest.run)
    return scene.results, names[0], names[1]


def test_differences_are_those_of_the_same_samples(two: tuple[Path, str, str]) -> None:
    results, first, second = two
    rows = {row.metric: row for row in compare_runs(first, second, results=results).rows}
    worst = []
    for name in (first, second):
        run = open_run(name, results=results)
        table = run.store.observations(run.manifest.cells[0].key).to_pandas()
        worst.append(table.groupby("sample")["correct"].min().astype(int).to_numpy())
    a, b = worst
    row = rows["worst_case_accuracy"]
    assert row.difference == pytest.approx((b - a).mean())
    assert (row.lost, row.gained) == (int((a > b).sum()), int((b > a).sum()))
    table = [[0, (a > b).sum()], [(b > a).sum(), 0]]
    exact = (a != b).sum() < 25
    assert row.p_value == pytest.approx(float(mcnemar(table, exact=exact, correction=True).pvalue))
    assert row.mark == "worse"
    assert rows["equivariance_error"].mark == "worse"
    assert (rows["equivariance_error"].difference or 0.0) > 0
    assert rows["parameters"].mark == "same"


def test_marks_allow_for_the_number_of_rows(two: tuple[Path, str, str]) -> None:
    results, first, second = two
    rows = compare_runs(first, second, results=results).rows
    tested = [row for row in rows if row.p_value is not None]
    assert len(tested) > 3
    for row in tested:
        assert row.p_adjusted is not None
        assert row.p_value is not None
        assert row.p_adjusted >= row.p_value
        assert (row.mark in {"better", "worse"}) == (row.p_adjusted < 0.05)


def test_the_other_way_round_is_better(two: tuple[Path, str, str]) -> None:
    results, first, second = two
    there, back = (compare_runs(*pair, results=results).rows for pair in ((first, second), (second, first)))
    swap = {"worse": "better", "better": "worse"}
    for a, b in zip(there, back, strict=True):
        assert b.mark == swap.get(a.mark, a.mark)
        if a.difference is not None:
            assert b.difference == pytest.approx(-a.difference)
        if a.low is not None:
            assert b.high == pytest.approx(-a.low, abs=5e-3)


def test_a_run_is_the_same_as_itself(two: tuple[Path, str, str]) -> None:
    results, first, _ = two
    rows = compare_runs(first, first, results=results).rows
    assert {row.mark for row in rows if row.before is not None} == {"same"}


@pytest.mark.parametrize("form", ["text", "md", "csv", "json"])
def test_formats(two: tuple[Path, str, str], form: str, symbench: Symbench) -> None:
    results, first, second = two
    ran = symbench("compare", first, second, "--results", results, "--format", form)
    assert ran.code == 0
    if form == "json":
        record = CompareRecord.model_validate_json(ran.out)
        assert any(row.mark == "worse" for row in record.rows)
    elif form == "csv":
        marks = [row["mark"] for row in csv.DictReader(io.StringIO(ran.out))]
        assert marks[0] == "worse"  # the worst first
    else:
        assert "worse" in ran.out
        assert "lost," in ran.out
    assert symbench("compare", first, second, "--results", results, "--exit-code").code == 1
    assert symbench("compare", first, first, "--results", results, "--exit-code").code == 0


def test_what_is_not_there_is_said(two: tuple[Path, str, str], symbench: Symbench) -> None:
    results, first, second = two
    ran = symbench("compare", first, "small-2020", "--results", results)
    assert ran.code == 2
    assert "no run 'small-2020'" in ran.err
    ran = symbench("compare", first, second, "--metric", "acuracy", "--results", results)
    assert ran.code == 2
    assert "Did you mean 'accuracy'?" in ran.err


def test_cells_of_one_side_only(tmp_path: Path, symbench: Symbench) -> None:
    scene = Scene(tmp_path, symbench)
    scene.run(more='  old: {use: "model.py:build"}\n')
    first = open_run(results=scene.results).manifest.run
    scene.run(more='  new: {use: "model.py:build", args: {skew: 1.0}}\n', seed=0)
    second = open_run(results=scene.results).manifest.run
    rows = compare_runs(first, second, results=scene.results).rows
    assert {row.model: row.mark for row in rows if row.metric == ""} == {"new": "only in B", "old": "only in A"}


def test_a_baseline_has_the_estimates_of_its_run(two: tuple[Path, str, str], tmp_path: Path) -> None:
    from symbench.algebra.metrics import METRICS
    from symbench.read import estimates

    results, first, _ = two
    run = open_run(first, results=results)
    baseline.write(run.store, run.manifest, tmp_path / "small.json", reason="first", force=True)
    kept = baseline.read(str(tmp_path / "small.json"))
    key = run.manifest.cells[0].key
    record = run.store.cell(key)
    assert record is not None
    metrics = {name: row for name, row in METRICS if row.scope != "model"}
    pairs = [list(estimates.of_cell(cells, record, metrics)) for cells in (run.store, kept)]
    assert len(pairs[0]) >= 30
    for a, b in zip(*pairs, strict=True):
        assert a.identity == b.identity
        assert a.value.status == b.value.status
        if a.value.estimate is not None:
            assert b.value.estimate == pytest.approx(a.value.estimate, rel=1e-5, abs=1e-9)


def test_a_baseline_is_refused_for_what_nobody_could_reproduce(tmp_path: Path, symbench: Symbench) -> None:
    scene = Scene(tmp_path, symbench)
    scene.run("--limit", "50")
    arguments: list[str | Path] = ["baseline", "set", "--reason", "x", "--results", scene.results]
    ran = symbench(*arguments)
    assert ran.code == 2
    assert "it took only the first 50 samples" in ran.err
    assert not scene.baseline.exists()
    assert symbench(*arguments, "--force").code == 0
    assert scene.baseline.exists()
    assert symbench("baseline", "set", "--results", scene.results).code == 2  # no reason


def test_dirty_and_partial_runs_are_refused(two: tuple[Path, str, str]) -> None:
    results, first, _ = two
    run = open_run(first, results=results)
    whole = run.manifest.model_copy(update={"environment": {"commit": {"id": "x", "dirty": False}}})
    assert baseline.refusals(whole, run.store) == []
    dirty = whole.model_copy(update={"environment": {"commit": {"id": "x", "dirty": True}}})
    assert [p.got for p in baseline.refusals(dirty, run.store)] == ["files differed from the commit"]
    part = whole.model_copy(update={"only": ["model=a"]})
    assert [p.got for p in baseline.refusals(part, run.store)] == ["it took only model=a of the suite"]
    failed = whole.cells[0].model_copy(update={"status": "failed", "reason": "x"})
    broken = whole.model_copy(update={"cells": [failed]})
    assert [p.got for p in baseline.refusals(broken, run.store)] == ["some of its cells failed or are not measured"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"environment": {"commit": None}}, "its code is in no commit. Commit the suite's folder to git and run the"),
        (
            {"environment": {"commit": {"dirty": True}}},
            "files differed from the commit. Commit them and run the suite",
        ),
        ({"limit": 7}, "it took only the first 7 samples. Run it without --limit, or"),
        ({"only": ["model=a"]}, "it took only model=a of the suite. Run it without --only, or"),
        ({"status": "interrupted"}, "it is interrupted. The same command resumes it, or"),
    ],
    ids=["no commit", "dirty", "limit", "only", "interrupted"],
)
def test_each_refusal_says_its_own_remedy(two: tuple[Path, str, str], change: dict[str, object], said: str) -> None:
    results, first, _ = two
    run = open_run(first, results=results)
    committed = {"environment": {"commit": {"id": "x", "dirty": False}}}
    (problem,) = baseline.refusals(run.manifest.model_copy(update={**committed, **change}), run.store)
    assert f"{first}: {said}" in str(problem)
    assert "a whole run" not in str(problem)


def test_baselines_are_shown_and_listed(tmp_path: Path, symbench: Symbench) -> None:
    scene = Scene(tmp_path, symbench)
    scene.promote()
    shown = symbench("baseline", "show", "--results", scene.results)
    assert shown.code == 0
    assert "reason   first" in shown.out
    assert "worst_case_accuracy" in shown.out
    (scene.baseline.parent / "broken.json").write_text("{")
    listed = json.loads(symbench("baseline", "list", "--results", scene.results, "--json").out)["baselines"]
    assert [("broken" in row) for row in listed] == [True, False]
    assert symbench("baseline", "show", "--results", scene.results).code == 2  # which one?


def test_the_golden_baseline_of_schema_version_1_is_read(tmp_path: Path) -> None:
    """Kept as it was written: what is in git must be readable for as long as version 1 is."""
    kept = baseline.read(str(GOLDEN / "baseline-1.json"))
    assert kept.record.schema_version == 1
    cell = kept.cells[0]
    record = kept.cell(cell.key)
    assert record is not None
    from symbench.read import estimates
    from symbench.read.compare import named

    found = {e.metric: e for e in estimates.of_cell(kept, record, named(["worst_case_accuracy"])) if e.primary}
    expected = kept.record.cells[0].estimates["worst_case_accuracy"][0]
    assert found["worst_case_accuracy"].value.estimate == pytest.approx(expected, rel=1e-5)
    for file in GOLDEN.glob("baseline-1.*"):
        shutil.copy(file, tmp_path)
    text = (tmp_path / "baseline-1.json").read_text()
    (tmp_path / "baseline-1.json").write_text(text.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ConfigError, match=r"baseline-1.json: schema_version is 2, expected at most 1. Upgrade"):
        baseline.read(str(tmp_path / "baseline-1.json"))


def test_same_means_the_same_numbers_not_the_same_estimate() -> None:
    from symbench.algebra.metrics.base import Value
    from symbench.algebra.statistics import Mean
    from symbench.read.estimates import Estimate
    from symbench.read.estimates.identical import same_numbers

    def of(values: list[float]) -> Estimate:
        row = METRICS.find("accuracy")[0]
        return Estimate("accuracy", row, "logits", "all", 3, "share", None, Value.of(Mean(np.array(values))))

    assert same_numbers(of([1, 0, 1]), of([1, 0, 1]))
    assert not same_numbers(of([1, 0, 1]), of([1, 1, 0]))
    assert not same_numbers(of([1, 0, 1]), of([1, 0]))


def test_averages_of_another_version_are_not_compared(two: tuple[Path, str, str]) -> None:
    results, first, second = two
    before, after = (measured(name, results) for name in (first, second))
    a, b = (side.cell(side.cells[0].key) for side in (before, after))
    assert a is not None
    assert b is not None
    versions = {**b.identity["versions"], "averages": 99}
    changed = b.model_copy(update={"identity": {**b.identity, "versions": versions}})
    pairs = {pair.either.metric: pair for pair in pair_cells(before, after, a, changed, METRICS.rows)}
    reason = "another version of the mean output over the orbit"
    assert {name for name, pair in pairs.items() if pair.reason == reason} >= {"averaged_accuracy", "averaged_loss"}
    assert pairs["orbit_accuracy"].reason is None
