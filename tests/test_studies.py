"""Studies: what a suite asks of its sweeps is answered from the run's files, as five lines of NumPy answer it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Symbench

import symbench as sb
from symbench.algebra.metrics import METRICS
from symbench.algebra.statistics import Interval
from symbench.algebra.statistics.replicas import systematic
from symbench.base.document import parse
from symbench.base.errors import SuiteError
from symbench.face.api import Run
from symbench.measure.suite import checked
from symbench.read.studies import Answer, answers
from symbench.read.studies.answer import within, written_difference
from symbench.read.studies.exchange import log_rates
from symbench.read.studies.sheet import sheet

SUITE = """\
version: 1
name: asked
sweep: {seeds: 3}
datasets: {blobs: {use: "data.py:load"}}
models:
  plain:
    use: mlp
    width: 8
    depth: 1
    train: {on: blobs, epochs: 2, batch: 8, learning_rate: 0.02}
    sweep: {samples: [6, 12, 24]}
  taught:
    use: mlp
    width: 8
    depth: 1
    train: {on: blobs, epochs: 2, batch: 8, learning_rate: 0.02, augment: turns}
    sweep: {samples: [6, 12, 24]}
  alone: {use: mlp, width: 4, depth: 1}
symmetries: {turns: {group: C4, on: image}}
controls: {samples: 4}
gates: [{metric: accuracy, model: "plain-*", at_least: 0.0}]
studies:
  - {ask: means, metric: loss, over: samples, arms: [plain, taught]}
  - {ask: means, metric: orbit_accuracy, over: samples, against: taught, title: "How good are they?"}
  - {ask: exchange, metric: loss, arms: [plain, taught]}
  - {ask: breaking, arms: [plain, taught]}
  - {ask: means, metric: element_accuracy, element: "90°", arms: [plain]}
  - {ask: means, metric: loss, over: samples, arms: [plain, alone]}
"""
DATA = """\
from symbench.testing import Blobs
def load(split="test"):
    return Blobs(24 if split == "train" else 15, seed=int(split == "train"))
"""


@dataclass(frozen=True)
class Asked:
    run: Run
    answers: list[Answer]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "data.py").write_text(DATA)
    run = sb.run(folder / "suite.yaml", choices=sb.Choices(results=folder / "results", device="cpu"))
    assert not run.failed
    return Asked(run, list(answers(run.store, run.manifest, run.metrics)))


def observed(asked: Asked, model: str) -> pd.DataFrame:
    cell = next(cell for cell in asked.run.manifest.cells if cell.model == model)
    found: pd.DataFrame = asked.run.store.observations(cell.key).to_pandas()
    return found


def test_every_training_is_a_replica_of_its_own(asked: Asked) -> None:
    frame = asked.run.estimates()
    replicas = frame.drop_duplicates("model").set_index("model")["replica"].to_dict()
    assert len(replicas) == 19
    assert [replicas[f"plain-seed-{i}-samples-6"] for i in range(3)] == [0, 1, 2]
    assert replicas["alone"] == 0
    losses = frame[(frame["metric"] == "loss") & frame["model"].str.startswith("plain")]
    assert losses["estimate"].nunique() == 9, "no two trainings are alike"


def test_means_are_those_of_the_observations(asked: Asked) -> None:
    frame = asked.answers[0].frame
    assert list(frame["arm"]) == ["plain"] * 3 + ["taught"] * 3
    assert list(frame["at"]) == [6, 12, 24] * 2
    for row in frame.to_dict("records"):
        tables = [observed(asked, f"{row['arm']}-seed-{i}-samples-{row['at']}") for i in range(3)]
        means = [table[table["element"] == 0]["loss"].mean() for table in tables]
        assert row["estimate"] == pytest.approx(np.mean(means), rel=1e-6)
        assert row["between_seeds"] == pytest.approx(np.std(means, ddof=1), rel=1e-6)
        assert row["low"] < row["estimate"] < row["high"]
        assert row["parameters"] == 8 * 81 + 8 + 8 * 3 + 3
    differences = frame["difference"].to_numpy()
    assert np.isnan(differences[:3]).all(), "nothing is compared with itself"
    assert differences[3:] == pytest.approx(frame["estimate"].to_numpy()[3:] - frame["estimate"].to_numpy()[:3])


def test_what_is_said_follows_from_the_numbers(asked: Asked) -> None:
    text = asked.answers[1].text
    assert asked.answers[1].title == "How good are they?"
    assert "3 trainings each" in text
    assert "At samples 6: plain" in text
    assert "Against taught" in text
    for row in asked.answers[1].frame.dropna(subset="difference").to_dict("records"):
        apart = row["difference_low"] > 0 or row["difference_high"] < 0
        assert apart or "plain cannot be told apart" in text


@pytest.mark.parametrize(
    ("numbers", "metric", "signed", "text"),
    [
        ((-0.58, -0.602, -0.553), "accuracy", True, "-58.0 points [-60.2, -55.3]"),
        ((-0.58, -0.602, -0.553), "accuracy", False, "58.0 points [55.3, 60.2]"),
        ((-1.0, -1.03, -0.999), "loss", False, "1.00 [0.999, 1.03]"),
        ((0.5, 0.25, 0.75), "loss", False, "0.500 [0.250, 0.750]"),
        ((0.5, None, None), "loss", True, "+0.500"),
    ],
)
def test_a_difference_is_written_with_its_sign_or_as_a_distance(
    numbers: tuple[float, float | None, float | None], metric: str, signed: bool, text: str
) -> None:
    assert written_difference(Interval(*numbers, n=9), METRICS.row(metric), signed=signed) == text


@pytest.mark.parametrize(
    ("metric", "given", "kept"),
    [
        ("accuracy", (0.9, 0.75, 1.25), (0.9, 0.75, 1.0)),
        ("equivariance_error", (0.1, -0.2, 0.4), (0.1, 0.0, 0.4)),
        ("loss", (0.1, -0.2, None), (0.1, -0.2, None)),
    ],
)
def test_limits_are_such_as_the_metric_can_have(
    metric: str, given: tuple[float, float | None, float | None], kept: tuple[float, float | None, float | None]
) -> None:
    assert within(Interval(*given, n=9), METRICS.row(metric)) == Interval(*kept, n=9)


def test_two_trainings_are_too_few_to_tell_what_they_have_in_common(asked: Asked) -> None:
    done = asked.run.manifest
    two = done.model_copy(update={"cells": [cell for cell in done.cells if "seed-2" not in cell.model]})
    text = list(answers(asked.run.store, two, asked.run.metrics))[3].text
    assert text.count("inconclusive, 2 trainings are too few for an interval.") == 6


def test_a_table_has_limits_beside_their_estimate() -> None:
    frame = pd.DataFrame(
        {
            "arm": ["a", "b"], "estimate": [0.5, 0.25], "low": [0.25, 0.125], "high": [0.75, 0.5],
            "difference": [None, 1.0], "difference_low": [None, -1.0], "difference_high": [None, 2.0],
            "share_estimate": [1.0, 2.0], "share_low": [1.0, float("nan")], "share_high": [2.0, 3.0],
            "at": [None, None], "unit": ["share", "share"],
        }
    )  # fmt: skip
    assert sheet(Answer("", "", frame, "means")) == (
        ["arm", "estimate", "difference", "share"],
        [["a", "0.5 [0.25, 0.75]", "", "1 [1, 2]"], ["b", "0.25 [0.125, 0.5]", "1 [-1, 2]", "2"]],
    )


def test_one_element_may_be_asked_about(asked: Asked) -> None:
    frame = asked.answers[4].frame
    assert len(frame) == 3
    tables = [observed(asked, f"plain-seed-{i}-samples-24") for i in range(3)]
    right = np.mean([table[table["element"] == 1]["correct"].mean() for table in tables])
    assert frame["estimate"].iloc[2] == pytest.approx(right)


def test_a_model_without_seeds_has_no_interval(asked: Asked) -> None:
    answer = asked.answers[5]
    assert "With one training there is no interval over seeds." in answer.text
    known = answer.frame.groupby("arm")["low"].count().to_dict()
    assert known == {"plain": 3, "alone": 0}


def test_breaking_is_that_of_the_outputs(asked: Asked) -> None:
    """The squared deviation that is kept is the one that E is made of."""
    frame = asked.answers[3].frame
    assert list(frame["arm"]) == [f"{arm} samples {n}" for arm in ("plain", "taught") for n in (6, 12, 24)]
    tables = [observed(asked, f"plain-seed-{i}-samples-6") for i in range(3)]
    mean = np.mean([table["deviation_sq"].sum() / 4 / 15 for table in tables])  # four elements of equal weight
    assert frame["estimate"].iloc[0] == pytest.approx(mean, rel=1e-5)
    assert (frame["share_estimate"] <= 1).all()


def test_pairs_of_trainings_tell_what_is_common(asked: Asked) -> None:
    kept = []
    for i in range(3):
        name = f"plain-seed-{i}-samples-6"
        cell = next(cell for cell in asked.run.manifest.cells if cell.model == name)
        table = asked.run.store.deviations(cell.key)
        assert table is not None
        kept.append(np.stack(table.to_pandas().sort_values(["sample", "element"])["values"].to_list()))
    products = [(kept[i] * kept[j]).sum() / 4 / 15 for i in range(3) for j in range(3) if i != j]
    assert asked.answers[3].frame["common_estimate"].iloc[0] == pytest.approx(np.mean(products), rel=1e-5)


def test_the_report_shows_answers_and_the_first_of_each_training(asked: Asked, symbench: Symbench) -> None:
    results = asked.run.store.root
    ran = symbench("report", "--results", results, "--format", "html,md,svg,csv,json")
    assert ran.code == 0, ran.err
    assert "How good are they?" in ran.out
    folder = next((results / "reports").iterdir())
    page, text = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    assert page.count('<article class="study">') == 6
    assert 'id="studies"' in page
    assert "## How good are they?" in text
    assert f"| {' | '.join(sheet(asked.answers[1])[0])} |\n" in text
    assert sheet(asked.answers[1])[0][:3] == ["arm", "samples", "replicas"]
    assert text.count("| taught |") >= 6, "a table for each answer"
    assert "plain-seed-0-samples-6" in text
    assert "plain-seed-1-samples-6" not in text
    assert (folder / "study.0.svg").exists()
    assert "plain-seed-1-samples-6" in (folder / "estimates.csv").read_text(), "the data hold all"
    found = json.loads((folder / "estimates.json").read_text())["studies"]
    assert [each["ask"] for each in found] == ["means", "means", "exchange", "breaking", "means", "means"]


def test_cells_that_are_missing_are_said(asked: Asked) -> None:
    done = asked.run.manifest
    cells = [
        c if c.model != "plain-seed-0-samples-6" else c.model_copy(update={"status": "failed"}) for c in done.cells
    ]
    found = next(answers(asked.run.store, done.model_copy(update={"cells": cells}), asked.run.metrics))
    assert "plain at 6: 1 failed" in found.text
    none = done.model_copy(update={"cells": [c for c in done.cells if c.model == "alone"]})
    assert "No answer" in next(answers(asked.run.store, none, asked.run.metrics)).text


def test_two_trainings_and_none_that_breaks_are_answered_in_words(asked: Asked) -> None:
    """Two have no interval of what is common, and what is exactly equivariant has nothing to have a share of."""
    done = asked.run.manifest
    models = {name: entry for name, entry in done.suite["models"].items() if not name.startswith("plain-seed-2")}
    cells = [cell for cell in done.cells if cell.model in models]
    two = done.model_copy(update={"suite": {**done.suite, "models": models}, "cells": cells})
    found = list(answers(asked.run.store, two, asked.run.metrics))[3]
    assert "inconclusive, 2 trainings are too few for an interval." in found.text
    assert "taught samples 6" in found.text, "other arms are answered"
    nothing = systematic(np.zeros((3, 5, 2)), seed=0)
    assert nothing.own.estimate == 0
    assert np.isnan(nothing.share.estimate)


def test_an_exchange_rate_is_the_distance_along_the_samples() -> None:
    sizes = np.log([100, 1000])
    curve = np.array([[0.5, 0.9]])
    same = log_rates(sizes, curve, sizes, curve)
    twice = log_rates(sizes, curve, sizes + np.log(2), curve)
    assert same == pytest.approx(0)
    assert np.exp(twice) == pytest.approx(2)
    assert np.isnan(log_rates(sizes, curve, sizes, curve + 1)).all(), "no value that both reach"
    dipping = log_rates(
        np.log([100, 300, 1000]), np.array([[0.8, 0.75, 0.9]]), np.log([338, 339]), np.array([[0.8, 0.82]])
    )
    assert np.exp(dipping) == pytest.approx(338 / 338, rel=0.2), "a value above a dip is reached after it"
    assert np.isnan(log_rates(sizes, curve, sizes, curve * np.nan)).all()
    falling = log_rates(
        np.log([1, 10, 100]), np.array([[0.5, 0.4, 0.9]]), np.log([1, 10, 100]), np.array([[0.5, 0.5, 0.9]])
    )
    assert falling == pytest.approx(0), "a curve that falls by chance is taken as level"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("metric: loss, over: samples, arms: [plain, taught]", "metric: los", "got 'los', expected one of .*Did you mean 'loss'"),
        ("over: samples, against: taught", "over: sample, against: taught", "studies.1.over: got 'sample', expected one of samples"),
        ("against: taught", "against: nobody", "studies.1.against: got 'nobody'"),
        ("arms: [plain, taught]}\n  - {ask: breaking", "arms: [plain]}\n  - {ask: breaking", "two that are held against"),
        ("metric: loss, arms: [plain, taught]}\n  - {ask: b", "metric: loss, arms: [plain, alone]}\n  - {ask: b", "alone is not swept over samples"),
        ("arms: [plain, taught]}\n  - {ask: means", "arms: [plain, alone]}\n  - {ask: means", "alone is not trained from several seeds"),
        ("title: \"How good", "expected: {plain: [1.0]}, title: \"How good", "got 1 values, expected 3, one for each value of samples"),
        ("metric: loss, over: samples, arms: [plain, taught]", "metric: \"m.py:loss\"", "got 'm.py:loss'"),
        ("ask: breaking", "ask: braking", "studies.3"),
        ("sweep: {seeds: 3}", "", "plain, taught is not trained from several seeds"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(old: str, new: str, message: str) -> None:
    assert old in SUITE
    with pytest.raises(SuiteError, match=message):
        checked(parse(SUITE.replace(old, new), Path("s.yaml")), Path(__file__).parent)


def test_a_rule_may_be_about_one_training(asked: Asked, symbench: Symbench) -> None:
    results = asked.run.store.root
    suite = results.parent / "suite.yaml"
    suite.write_text(SUITE.replace('model: "plain-*", at_least', 'model: "plain-*", replica: 1, at_least'))
    ran = symbench("gate", "--suite", suite, "--results", results, "--json")
    assert ran.code == 0, ran.err
    rules = json.loads(ran.out)["rules"]
    assert [(rule["model"], rule["replica"]) for rule in rules] == [
        (f"plain-seed-1-samples-{n}", 1) for n in (6, 12, 24)
    ]


def test_deviations_are_kept_of_replicas_alone(asked: Asked) -> None:
    cell = next(cell for cell in asked.run.manifest.cells if cell.model == "alone")
    assert asked.run.store.deviations(cell.key) is None
