"""The gate through the command line: every verdict, its reason and its exit status, in every output alike."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Ran, Symbench
from junitparser import JUnitXml

from symbench import judge_run, open_run
from symbench.base.records import CellRecord, GateRecord
from symbench.measure.store import Store

SUITE = """\
version: 1
name: small
datasets:
  blobs: {{use: "data.py:load", args: {{samples: {samples}, seed: {seed}}}}}
models:
  mine: {{use: "model.py:build", args: {{skew: {skew}, fault: {fault}}}}}
{more}symmetries:
  turns: {{group: C4, on: image}}
numerics: {{dtype: {dtype}}}
controls: {{samples: 8}}
gates:
{rules}
"""
DROP = "- {metric: worst_case_accuracy, max_drop: 0.05}"
DATA = (
    "from symbench.testing import Blobs\n\n\n"
    "def load(split='test', samples=24, seed=0):\n    return Blobs(samples, seed=seed)\n"
)
MODEL = """\
import torch
from torch import nn


class Skewed(nn.Module):
    \"\"\"Right about every blob; ``skew`` lets one corner of the noise speak for the first class.\"\"\"

    def __init__(self, skew, fault):
        super().__init__()
        self.skew, self.fault = skew, fault

    def forward(self, x):
        brightness = 4 * x.mean(dim=(-3, -2, -1)) - 0.5
        logits = -4 * (brightness[:, None] - torch.arange(3)) ** 2
        logits[:, 0] = logits[:, 0] + 16 * self.skew * (x[:, 0, 0, 0] - x[:, 0, -1, -1])
        if self.fault == "nan":
            logits = logits * float("nan")
        if self.fault == "raises":
            raise ValueError("broken on purpose")
        return logits


def build(skew=0.0, fault="none"):
    return Skewed(skew, fault)
"""


@dataclass
class Scene:
    """A folder with a suite, its results and its gate."""

    path: Path
    symbench: Symbench

    def write(
        self,
        *,
        skew: float = 0.0,
        fault: str = "none",
        samples: int = 300,
        seed: int = 0,
        dtype: str = "float32",
        rules: str = DROP,
        more: str = "",
    ) -> None:
        known = {"skew": skew, "fault": fault, "samples": samples, "seed": seed, "dtype": dtype, "more": more}
        self.suite.write_text(SUITE.format(**known, rules=rules))
        (self.path / "data.py").write_text(DATA)
        (self.path / "model.py").write_text(MODEL)

    @property
    def suite(self) -> Path:
        return self.path / "small.yaml"

    @property
    def results(self) -> Path:
        return self.path / "results"

    @property
    def baseline(self) -> Path:
        return self.results / "baselines" / "small.json"

    def run(self, *arguments: str, **suite: Any) -> Ran:
        self.write(**suite)
        return self.symbench("run", self.suite, "--results", self.results, *arguments)

    def promote(self, **suite: Any) -> None:
        assert self.run(**suite).code == 0
        ran = self.symbench("baseline", "set", "--force", "--reason", "first", "--results", self.results)
        assert ran.code == 0, ran.err

    def gate(self, *arguments: str | Path) -> Ran:
        return self.symbench("gate", "--results", self.results, *arguments)


@pytest.fixture
def scene(tmp_path: Path, symbench: Symbench) -> Scene:
    return Scene(tmp_path, symbench)


def identical(scene: Scene) -> None:
    scene.promote()


def unharmed(scene: Scene) -> None:
    scene.promote()
    scene.run(skew=0.01)  # another model, that predicts the same


def regression(scene: Scene) -> None:
    scene.promote()
    scene.run(skew=3.0)


def undecided(scene: Scene) -> None:
    scene.promote(samples=40)
    scene.run(samples=40, skew=0.5)


def first_release(scene: Scene) -> None:
    scene.run()


def not_a_number(scene: Scene) -> None:
    scene.promote()
    assert scene.run(fault="nan").code == 3


def failed_cell(scene: Scene) -> None:
    scene.promote()
    assert scene.run(fault="raises").code == 3


def lost_cell(scene: Scene) -> None:
    scene.promote()
    shutil.rmtree(scene.results / "cells")


def only_a_part(scene: Scene) -> None:
    other = '  other: {use: "model.py:build"}\n'
    scene.promote(more=other)
    scene.run("--only", "model=mine", more=other)


def nothing_selected(scene: Scene) -> None:
    scene.promote(rules="- {metric: element_accuracy, element: 45*, max_drop: 0.1}")


def limited(scene: Scene) -> None:
    scene.promote()
    scene.run("--limit", "50")


def newer_baseline(scene: Scene) -> None:
    scene.promote()
    text = scene.baseline.read_text().replace('"schema_version": 1', '"schema_version": 2')
    scene.baseline.write_text(text)


def corrupted_baseline(scene: Scene) -> None:
    scene.promote()
    scene.baseline.write_text(scene.baseline.read_text()[:-20])


def corrupted_observations(scene: Scene) -> None:
    scene.promote()
    parquet = scene.baseline.with_suffix(".parquet")
    parquet.write_bytes(parquet.read_bytes()[:-9] + b"X" * 9)


def other_data(scene: Scene) -> None:
    scene.promote()
    scene.run(seed=1)


def other_numerics(scene: Scene) -> None:
    scene.promote()
    scene.run(dtype="float64")


def other_mode(scene: Scene) -> None:
    scene.promote()
    scene.run(dtype="float32, mode: fast, tolerance: {changed: 1, deviation: 9}")


def no_such_cell(scene: Scene) -> None:
    scene.promote()
    scene.run(more='  other: {use: "model.py:build"}\n')


SCENES: list[tuple[Callable[[Scene], None], list[str], str, int, str]] = [
    (identical, [], "pass", 0, "identical to the baseline"),
    (unharmed, [], "pass", 0, "the interval is within the limit"),
    (regression, [], "fail", 1, "beyond the limit"),
    (undecided, [], "inconclusive", 4, "its interval reaches across"),
    (undecided, ["--inconclusive", "fail"], "inconclusive", 1, "its interval reaches across"),
    (undecided, ["--inconclusive", "warn"], "inconclusive", 0, "its interval reaches across"),
    (undecided, ["--inconclusive", "pass"], "inconclusive", 0, "its interval reaches across"),
    (first_release, [], "missing", 4, "there is no baseline"),
    (first_release, ["--no-baseline", "fail"], "fail", 1, "there is no baseline"),
    (first_release, ["--no-baseline", "pass"], "pass", 0, "taken as a first release"),
    (not_a_number, [], "error", 3, "is NaN or infinite"),
    (failed_cell, [], "error", 3, "broken on purpose"),
    (lost_cell, [], "missing", 4, "not measured"),
    (only_a_part, [], "missing", 4, "the suite's other cells were not looked at"),
    (
        nothing_selected,
        [],
        "missing",
        4,
        "matches nothing in this run: no element or class is called '45*', but 0°, 90°",
    ),
    (limited, [], "not comparable", 4, "first 50 samples"),
    (newer_baseline, [], "error", 2, "schema_version is 2"),
    (corrupted_baseline, [], "error", 2, "is corrupted"),
    (corrupted_observations, [], "error", 2, "missing or another one"),
    (other_data, [], "not comparable", 4, "another dataset"),
    (other_numerics, [], "not comparable", 4, "other numerics: dtype"),
    (
        other_mode,
        [],
        "not comparable",
        4,
        "other modes: measured in exact and in fast; run both in one numerics.mode",
    ),
    (no_such_cell, [], "missing", 4, "no such cell"),
]


@pytest.mark.parametrize(
    ("set_up", "options", "verdict", "code", "reason"),
    SCENES,
    ids=[" ".join([scene[0].__name__, *scene[1]]) for scene in SCENES],
)
def test_verdict_text_junit_and_exit_status_agree(
    scene: Scene, set_up: Callable[[Scene], None], options: list[str], verdict: str, code: int, reason: str
) -> None:
    set_up(scene)
    junit = scene.path / "junit.xml"
    ran = scene.gate(*options, "--json", "--junit", junit)
    assert ran.code == code, ran.out + ran.err
    record = GateRecord.model_validate_json(ran.out)
    worst = [match for match in record.rules if match.verdict == verdict]
    assert worst, record
    assert reason in worst[0].reason
    assert record.exit_code == code
    assert (record.verdict == "pass") == (code == 0)
    cases = JUnitXml.fromfile(str(junit))
    assert (cases.failures + cases.errors > 0) == (code != 0)
    assert cases.tests == len(record.rules)
    text = scene.gate(*options)
    assert text.code == code
    assert f"exit status {code}" in text.out.splitlines()[-1]
    assert verdict.upper() in text.out
    assert "Traceback" not in text.err


def test_a_failing_line_prints_the_command_that_measures_it_again(scene: Scene) -> None:
    regression(scene)
    ran = scene.gate()
    command = next(line.partition("run just this cell: ")[2] for line in ran.out.splitlines() if "this cell:" in line)
    assert command.startswith(f"symbench run {scene.suite} --only model=mine,dataset=blobs,symmetry=turns")
    again = scene.symbench(*command.split()[1:])
    assert again.code == 0
    assert "nothing to do" in again.err


def test_the_drop_is_a_paired_difference(scene: Scene) -> None:
    """Against a loop over the samples of both runs."""
    scene.promote(skew=1.5)
    before = open_run(results=scene.results)
    scene.run(skew=2.0)
    after = open_run(results=scene.results)
    match = judge_run(results=scene.results).rules[0]
    worst = []
    for run in (before, after):
        table = run.store.observations(run.manifest.cells[0].key).to_pandas()
        worst.append(table.groupby("sample")["correct"].min().astype(float).to_numpy())
    drop = worst[0] - worst[1]
    assert 0 < drop.mean() < 1
    assert match.change == pytest.approx(drop.mean())
    reach = 1.96 * drop.std(ddof=1) / np.sqrt(len(drop))
    assert match.change_high == pytest.approx(drop.mean() + reach, abs=0.01)
    assert match.before == pytest.approx(worst[0].mean())


def test_rules_of_their_own_limit(scene: Scene) -> None:
    rules = (
        "- {metric: accuracy, at_least: 0.95}\n"
        "- {metric: equivariance_error, at_most: 1.0e-5}\n"
        "- {metric: parameters, at_most: 10}\n"
        "- {metric: worst_case_accuracy, at_least: 0.99}"
    )
    scene.run(rules=rules)
    record = judge_run(results=scene.results)
    assert [match.verdict for match in record.rules] == ["pass", "pass", "pass", "inconclusive"]
    assert record.rules[1].reason.startswith("at the floor")
    assert record.rules[3].needed is not None
    assert record.rules[3].needed > 300  # all of 300 samples right are no proof of 99 %


def test_a_relative_drop_is_a_part_of_the_baseline(scene: Scene) -> None:
    scene.promote(skew=1.0)
    scene.run(skew=1.02, rules="- {metric: equivariance_error, max_relative_drop: 0.5}")
    match = judge_run(results=scene.results).rules[0]
    assert match.verdict == "pass"
    assert match.before is not None
    assert match.margin == pytest.approx(0.5 * match.before)
    assert match.change is not None
    assert match.change > 0  # more E is worse


def test_rules_may_change_without_a_new_run(scene: Scene) -> None:
    scene.promote()
    first = (scene.results / "latest").read_text()
    ran = scene.run(rules="- {metric: parameters, at_most: -1}")
    assert "nothing to do" in ran.err
    assert (scene.results / "latest").read_text() == first
    assert scene.gate().code == 1
    scene.write(rules="- {metric: accuracy, at_least: 0.5}")
    assert scene.gate().code == 1
    assert scene.gate("--suite", scene.suite).code == 0


def test_a_suite_without_rules_never_passes(scene: Scene) -> None:
    scene.run(rules="  []")
    ran = scene.gate()
    assert ran.code == 2
    assert "the suite has no gates, expected a rule" in ran.err


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{metric: acuracy, at_least: 0.5}", "gates.0.metric: 'acuracy' matches nothing"),
        ("{metric: accuracy, model: yours, at_least: 0.5}", "gates.0.model: 'yours' matches nothing"),
        ("{metric: accuracy}", "one of at_least, at_most, max_drop, max_relative_drop"),
        ("{metric: accuracy, at_least: 0.5, max_drop: 0.1}", "one of at_least, at_most"),
        ("{metric: accuracy, max_drop: -0.1}", "expected 0.0 or more"),
        ("{metric: accuracy, at_least: 95}", "got 95, expected a share from 0 to 1"),
        ("{metric: accuracy, max_drop: .nan}", "expected a finite number"),
        ("{metric: parameters, max_drop: 5}", "neither direction of it is worse"),
        ("{metric: absolute_error_max, max_drop: 5}", "two of it have no interval"),
        ("{metric: accuracy, at_lest: 0.5}", "got unknown key 'at_lest'"),
    ],
)
def test_rules_that_cannot_be_judged_are_refused_before_torch(scene: Scene, rule: str, message: str) -> None:
    scene.write(rules=f"- {rule}")
    ran = scene.symbench("validate", scene.suite)
    assert ran.code == 2
    assert message in ran.err
    assert "small.yaml:12" in ran.err


def test_validate_says_what_a_margin_can_tell(scene: Scene) -> None:
    scene.write(rules="- {metric: accuracy, max_drop: 0.01}\n- {metric: accuracy, max_drop: 0.5}")
    ran = scene.symbench("validate", scene.suite)
    assert ran.code == 0
    told = [line for line in ran.err.splitlines() if "it can detect" in line]
    assert "the margin is smaller" in told[0]
    assert "the margin is smaller" not in told[1]


def test_a_baseline_from_git(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.promote()
    monkeypatch.chdir(scene.path)
    for command in ("init -q", "add -f results/baselines", "-c user.name=me -c user.email=m@e commit -qm base"):
        subprocess.run(["git", *command.split()], check=True)
    shutil.rmtree(scene.results / "baselines")
    scene.run(skew=3.0)
    ran = scene.gate("--baseline", "git:HEAD:results/baselines/small.json")
    assert ran.code == 1
    ran = scene.gate("--baseline", "git:HEAD:results/baselines/other.json")
    assert ran.code == 4
    assert "there is no baseline at git:HEAD:results/baselines/other.json" in ran.out
    ran = scene.gate("--baseline", "git:--output=x:results/baselines/small.json")
    assert ran.code == 2
    assert "expected git:REF:PATH" in ran.out


def test_the_same_weights_on_other_terms_come_to_the_same_verdict(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch size, threads and the size of parts are no part of a cell's key: their rounding changes no prediction
    whose margin is more than the floor."""
    import torch

    from symbench.read.judge import compare_runs
    from symbench.testing import Blobs

    scene.promote(skew=2.0)
    threads, other = torch.get_num_threads(), scene.path / "other"
    for name in ("evaluate", "evaluate.first_pass", "evaluate.reference"):
        monkeypatch.setattr(f"symbench.measure.{name}.PART", 64)
    try:
        torch.set_num_threads(1)
        ran = scene.symbench("run", scene.suite, "--results", other, "--batch-size", "7")
    finally:
        torch.set_num_threads(threads)
    assert ran.code == 0, ran.err
    runs = [open_run(results=results) for results in (scene.results, other)]
    tables = [run.store.observations(run.manifest.cells[0].key).to_pandas() for run in runs]
    predictions = [t.pivot(index="element", columns="sample", values="prediction").to_numpy() for t in tables]
    images = Blobs(300).batch(range(300)).leaves["image"]
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    orbit = torch.cat([torch.rot90(images, k, (-2, -1)) for k in range(4)])
    scores = namespace["build"](skew=2.0)(orbit).softmax(-1).sort(dim=-1).values
    decided = (scores[:, -1] - scores[:, -2]).reshape(4, 300).numpy() > 1e-5
    assert decided.mean() > 0.99
    assert (predictions[0] == predictions[1])[decided].all()
    ran = scene.symbench("gate", "--results", other, "--baseline", scene.baseline)
    assert ran.code == 0
    compared = compare_runs(str(scene.baseline), str(other / "runs" / f"{runs[1].manifest.run}.json"))
    assert {row.mark for row in compared.rows if row.unit != "s" and row.before is not None} == {"same"}


def test_the_json_is_of_the_published_schema(scene: Scene) -> None:
    import jsonschema

    regression(scene)
    schema = json.loads(scene.symbench("schema", "gate").out)
    jsonschema.validate(json.loads(scene.gate("--json").out), schema)
    assert scene.symbench("schema", "gat").code == 2
    assert "gate" in scene.symbench("schema").out.split()


def rewritten(scene: Scene, **columns: Any) -> None:
    """Other observations under the same key, as of a recipe that was trained anew and came out otherwise."""
    import pyarrow.parquet as pq

    from symbench.measure.store import sha256_file

    path = next((scene.results / "cells").rglob("cell.json"))
    cell = json.loads(path.read_text())
    for part in cell["parts"]:
        file = path.parent / part["file"]
        table = pq.read_table(file)
        for name, value in columns.items():
            index = table.schema.get_field_index(name)
            table = table.set_column(index, table.schema.field(name), [[value] * len(table)])
        pq.write_table(table, file)
        part["sha256"] = sha256_file(file)
    Store(scene.results).write_cell(CellRecord.model_validate(cell))


def test_an_equal_key_is_no_pass_where_the_numbers_differ(scene: Scene) -> None:
    scene.promote()
    rewritten(scene, correct=False)
    record = judge_run(results=scene.results)
    assert record.verdict == "fail"
    assert record.rules[0].change == 1.0


def test_a_cell_that_was_taken_out_is_missing(scene: Scene) -> None:
    scene.promote(more='  other: {use: "model.py:build"}\n')
    scene.run()
    record = judge_run(results=scene.results)
    assert record.exit_code == 4
    assert [(m.model, m.verdict) for m in record.rules] == [("mine", "pass"), ("other", "missing")]
    assert "the baseline has this cell, and the run has not" in record.rules[1].reason


def test_the_rules_of_a_suite_are_for_its_own_runs(scene: Scene) -> None:
    scene.promote()
    scene.write(skew=3.0)
    ran = scene.gate("--suite", scene.suite)
    assert ran.code == 2
    assert "is a run of another version of 'small'" in ran.err


def test_the_newest_run_is_not_the_file_touched_last(scene: Scene) -> None:
    scene.promote()
    first = next((scene.results / "runs").glob("*.json"))
    scene.run(skew=3.0)
    first.touch()
    assert scene.gate("--suite", scene.suite).code == 1


def test_other_control_samples_are_not_comparable(scene: Scene) -> None:
    rules = "- {metric: round_trip_consistency, max_drop: 0.1}\n- {metric: worst_case_accuracy, max_drop: 0.1}"
    scene.write(rules=rules)
    turned = (
        scene.suite.read_text().replace("group: C4", "group: SO2").replace("on: image}", "on: image, elements: 7}")
    )
    for controls in ("samples: 8", "samples: 16"):
        scene.suite.write_text(turned.replace("samples: 8", controls))
        assert scene.symbench("run", scene.suite, "--results", scene.results).code == 0
        if controls == "samples: 8":
            scene.symbench("baseline", "set", "--force", "--reason", "x", "--results", scene.results)
    record = judge_run(results=scene.results)
    assert (record.rules[0].verdict, record.rules[0].reason) == ("not comparable", "other control samples")
    assert record.rules[1].verdict == "pass"


def test_a_broken_file_of_the_run_is_a_verdict(scene: Scene) -> None:
    scene.promote()
    part = next((scene.results / "cells").rglob("observations-*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    junit = scene.path / "junit.xml"
    ran = scene.gate("--junit", junit)
    assert ran.code == 4
    assert f"counts as not measured: {part.name} is not what was written" in ran.out
    assert JUnitXml.fromfile(str(junit)).errors == 1


def test_a_metric_whose_interval_fails_is_an_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in's, for one: its numbers are no shares, and it says they are."""
    from symbench.algebra.metrics import accuracy
    from symbench.algebra.metrics.base import Observed, Value
    from symbench.algebra.statistics import Mean

    def wrong(seen: Observed) -> list[Value]:
        return [Value.of(Mean(np.linspace(4, 6, len(seen.samples))))]

    scene.run(rules="- {metric: accuracy, at_least: 0.5}")
    monkeypatch.setattr(accuracy, "accuracy", wrong)
    record = judge_run(results=scene.results)
    assert record.exit_code == 3
    assert record.rules[0].verdict == "error"
    assert "expected shares from 0 to 1" in record.rules[0].reason


def test_counts_of_a_model_stand_once_whatever_the_symmetry(scene: Scene) -> None:
    scene.write(rules="- {metric: parameters, symmetry: flips, at_most: 10}\n- {metric: parameters, at_most: 10}")
    text = scene.suite.read_text().replace("numerics:", "  flips: {group: D2, on: image}\nnumerics:")
    scene.suite.write_text(text)
    assert scene.symbench("run", scene.suite, "--results", scene.results).code == 0
    record = judge_run(results=scene.results)
    assert [(m.rule, m.verdict) for m in record.rules] == [(0, "pass"), (1, "pass")]


def test_times_count_where_several_cells_agree_on_like_hardware(scene: Scene) -> None:
    rule = "- {metric: seconds_per_sample, max_relative_drop: 1000}"
    scene.promote(rules=rule)
    scene.run(skew=0.01, rules=rule)
    first = judge_run(results=scene.results).rules[0]
    assert first.verdict == "inconclusive", first.reason  # one cell took one time
    for results in (scene.results,):
        for path in (results / "cells").rglob("cell.json"):
            cell = json.loads(path.read_text())
            cell["environment"]["processor"] = "another"
            Store(results).write_cell(CellRecord.model_validate(cell))
    record = judge_run(results=scene.results)
    assert record.rules[0].verdict == "not comparable"
    assert "other hardware: processor" in record.rules[0].reason


def test_several_datasets_kinds_and_elements(scene: Scene) -> None:
    rules = (
        "- {metric: orbit_accuracy, elements: permutation, at_least: 0.0}\n"
        "- {metric: element_accuracy, symmetry: turns, element: ['180*', '99*'], at_least: 0.5}"
    )
    scene.write(rules=rules)
    text = scene.suite.read_text().replace("models:", '  more: {use: "data.py:load", args: {seed: 5}}\nmodels:')
    text = text.replace("numerics:", "  eighths: {group: C8, on: image, border: disc}\nnumerics:")
    scene.suite.write_text(text)
    assert scene.symbench("run", scene.suite, "--results", scene.results).code == 0
    record = judge_run(results=scene.results)
    found = [(m.rule, m.dataset, m.symmetry, m.element, m.verdict) for m in record.rules]
    assert record.exit_code == 4
    assert [m for m in found if m[0] == 1] == [
        (1, "blobs", "turns", "180°", "pass"),
        (1, "more", "turns", "180°", "pass"),
        (1, None, None, "99*", "missing"),
    ]
    assert {m[1:3] for m in found if m[0] == 0} == {
        (data, symmetry) for data in ("blobs", "more") for symmetry in ("turns", "eighths")
    }


@pytest.mark.parametrize(("skew", "code"), [(0.0, 2), (3.0, 1)])
def test_a_report_that_cannot_be_written_takes_no_verdict_back(scene: Scene, skew: float, code: int) -> None:
    scene.promote()
    scene.run(skew=skew)
    ran = scene.gate("--junit", str(scene.suite / "gate.xml"))
    assert ran.code == code
    assert f"exit status {code}" in ran.out
    assert "--junit: " in ran.err
    assert "cannot be written" in ran.err


def test_what_is_forced_is_said(scene: Scene) -> None:
    """A cell that was altered is left out of a baseline, and named, however much one insists."""
    scene.run()
    cell = next(scene.results.rglob("cell.json"))
    cell.write_text(cell.read_text().replace('"samples"', '"sample5"', 1))
    ran = scene.symbench("baseline", "set", "--force", "--reason", "x", "--results", scene.results)
    assert "taken all the same: " in ran.err
    assert "cell.json is " in ran.err
