"""What repeated passes come to: Student between passes, like hardware only, and rules that ask for several of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Case, CaseOf, Symbench
from scipy import stats

from symbench import open_run
from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics.passes import latency, peak_memory, throughput
from symbench.algebra.statistics import Passes, absolute, change, relative_change
from symbench.base.passes import PassRecord, alike, why_unlike
from symbench.read.judge import compare_runs, judge_run, set_baseline
from symbench.read.numbers import memory, rate

RNG = np.random.default_rng(4)
BEFORE, AFTER = RNG.normal(100, 3, 4), RNG.normal(90, 5, 6)


def passes(values: Any, wide: float = 1.0) -> Passes:
    array = np.asarray(values, dtype=float)
    return Passes(array, np.stack([array - wide, array + wide], axis=1))


# Statistics.


def test_limits_between_passes_are_students() -> None:
    found = passes(AFTER).interval(seed=0)
    theirs = stats.t.interval(0.95, len(AFTER) - 1, AFTER.mean(), stats.sem(AFTER))
    assert (found.low, found.high, found.n) == pytest.approx((*theirs, 6))


def test_no_limit_of_a_time_is_below_0() -> None:
    found = passes([1.0, 9.0, 2.0]).interval(seed=0)
    assert found.low == 0
    assert found.high is not None
    assert found.high > 9


@pytest.mark.parametrize(("values", "ends"), [([5.0], (4.0, 6.0)), ([5.0, 8.0], (4.0, 9.0))])
def test_fewer_than_three_passes_show_their_own_limits_and_decide_nothing(
    values: list[float], ends: tuple[float, float]
) -> None:
    found = passes(values).interval(seed=0)
    assert (found.low, found.high) == ends
    confidence = absolute(passes(values), 1, seed=0)
    assert (confidence.low, confidence.high) == (None, None)
    assert confidence.p_above(-1e9) == confidence.p_below(1e9) == 1


def test_one_value_is_tested_as_by_scipy() -> None:
    greater = stats.ttest_1samp(AFTER, 88.0, alternative="greater").pvalue
    for sign, theirs in ((1, greater), (-1, 1 - greater)):
        assert absolute(passes(AFTER), sign, seed=0).p_above(sign * 88.0) == pytest.approx(theirs)
        assert absolute(passes(AFTER), sign, seed=0).p_below(sign * 88.0) == pytest.approx(1 - theirs)


@pytest.mark.parametrize("factor", [1.0, 0.95])
def test_a_change_is_welchs(factor: float) -> None:
    """A drop of throughput: passes of two runs do not pair."""
    theirs = stats.ttest_ind(AFTER, factor * BEFORE, equal_var=False)
    low, high = theirs.confidence_interval(0.95)
    if factor == 1:
        found = change(passes(BEFORE), passes(AFTER), -1, seed=0)
    else:
        found = relative_change(passes(BEFORE), passes(AFTER), -1, 0.05, seed=0)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (factor * BEFORE.mean() - AFTER.mean(), -high, -low)
    )
    one_sided = stats.ttest_ind(factor * BEFORE, AFTER, equal_var=False, alternative="greater").pvalue
    assert found.p_above(0.0) == pytest.approx(one_sided)


def test_passes_that_do_not_vary_are_sure() -> None:
    found = change(passes([2.0] * 3), passes([1.0] * 3), -1, seed=0)
    assert (found.estimate, found.low, found.high) == (1.0, 1.0, 1.0)
    assert (found.p_above(0.5), found.p_above(1.5)) == (0.0, 1.0)
    assert change(passes([2.0] * 3), passes([1.0] * 2), -1, seed=0).high is None


def test_limits_cover_as_often_as_they_claim() -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(2000):
        found = passes(rng.normal(100, 5, 3)).interval(seed=0)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 100 <= found.high
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)


# Numbers.


def test_rates_and_memory_are_written_short() -> None:
    assert [rate(x) for x in (0.4123, 57.31, 99.99, 12345.0, 1.234e6)] == ["0.412", "57.3", "100", "12,300", "1.23 M"]
    assert [memory(x) for x in (0.25, 57.31, 1270.0)] == ["0.25 MiB", "57.3 MiB", "1.24 GiB"]


# Runs with passes whose times are made up.


@pytest.fixture
def timed(case: CaseOf) -> Case:
    """One model, and one pass of it."""
    net = case("timed")
    net.edit("sweep: [4, 64]", "sweep: []")
    for name in ("roomy", "narrow"):
        net.edit(f'  {name}: {{use: "model.py:{name.capitalize()}"}}\n', "")
    assert net.run().code == 0
    return net


def put(net: Case, speeds: list[float], **environment: Any) -> None:
    """In place of the passes that there are, some of so many samples per second; latency is 2 / speed."""
    run = open_run(results=net.results)
    status = run.manifest.passes[0]
    folder = net.results / "throughput" / status.key[:2] / status.key
    record = run.store.pass_of(status.key, sorted(path.name for path in folder.iterdir())[0])
    for path in folder.iterdir():
        path.unlink()
    add(net, record, speeds, **environment)


def add(net: Case, record: PassRecord, speeds: list[float], **environment: Any) -> None:
    store = open_run(results=net.results).store
    assert record.latency is not None
    for number, speed in enumerate(speeds):
        times = {"median": 16 / speed, "low": 15.9 / speed, "high": 16.2 / speed, "iterations": 20}
        alone = {"median": 2 / speed, "low": 1.9 / speed, "high": 2.2 / speed}
        update = {
            "throughput": record.throughput.model_copy(update=times),
            "latency": record.latency.model_copy(update=alone),
            "started": f"{record.started[:-8]}{len(list((net.results / 'throughput').rglob('*.json')))}{number}+00:00",
            "environment": {**record.environment, **environment},
            "remarks": [],
        }
        store.write_pass(record.model_copy(update=update))
    assert net.run().code == 0


def rules(net: Case, *lines: str) -> None:
    text = net.suite.read_text().partition("gates:")[0]
    net.suite.write_text(text + "gates:\n" + "".join(f"  - {line}\n" for line in lines))
    assert net.run().code == 0


def verdicts(net: Case, **more: Any) -> list[tuple[str, str]]:
    record = judge_run(results=net.results, **more)
    return [(match.verdict, match.reason) for match in record.rules]


def test_estimates_are_means_over_passes(timed: Case) -> None:
    put(timed, [1000.0, 1100.0, 1200.0])
    frame = timed.frame().set_index("metric")
    row = frame.loc["throughput"]
    theirs = stats.t.interval(0.95, 2, 1100, stats.sem([1000, 1100, 1200]))
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((1100, *theirs))
    assert (row["level"], row["n"], row["unit"], row["better"]) == (0.95, 60, "samples/s", "higher")
    assert row["symmetry"] is None or row.isna()["symmetry"]
    assert row["reason"] == "3 passes, 60 forward passes of 16 samples"
    row = frame.loc["latency"]
    assert row["estimate"] == pytest.approx(np.mean([2 / 1000, 2 / 1100, 2 / 1200]))
    assert (row["unit"], row["better"]) == ("s", "lower")
    row = frame.loc["peak_memory"]
    assert 0 < row["estimate"] < 1
    assert row["unit"] == "MiB"


def test_one_pass_shows_the_limits_within_it(timed: Case) -> None:
    put(timed, [1000.0])
    row = timed.frame().set_index("metric").loc["throughput"]
    assert (row["low"], row["high"]) == pytest.approx((16 / 0.0162, 16 / 0.0159))
    assert row["reason"].startswith("one pass, 20 forward passes of 16 samples")


def test_passes_of_other_hardware_are_left_out_and_that_is_said(timed: Case) -> None:
    run = open_run(results=timed.results)
    record = run.store.pass_of(run.manifest.passes[0].key, run.manifest.passes[0].file or "")
    put(timed, [1000.0, 1100.0], processor="Another")
    add(timed, record, [500.0, 510.0, 520.0])
    row = timed.frame().set_index("metric").loc["throughput"]
    assert row["estimate"] == pytest.approx(510)
    assert row["reason"].endswith("passes of other hardware, batches or numerics are left out: 2")


def test_a_doubtful_pass_says_so_in_its_row(timed: Case) -> None:
    run = open_run(results=timed.results)
    status = run.manifest.passes[0]
    record = run.store.pass_of(status.key, status.file or "")
    put(timed, [1000.0, 1010.0])
    run.store.write_pass(record.model_copy(update={"remarks": ["noisy: the load before them was 9.0 on 2 cores"]}))
    assert timed.run().code == 0
    reason = timed.frame().set_index("metric").loc["throughput"]["reason"]
    assert "of 1 of 3 passes something is to be said, of the last; noisy: the load before them was 9.0" in reason


def test_why_passes_are_unlike(timed: Case) -> None:
    run = open_run(results=timed.results)
    record = run.store.pass_of(run.manifest.passes[0].key, run.manifest.passes[0].file or "")

    def other(**environment: Any) -> PassRecord:
        return record.model_copy(update={"environment": {**record.environment, **environment}})

    assert why_unlike(record, record) is None
    assert why_unlike(record, other(device="NVIDIA H100")) == "other hardware: device cpu and NVIDIA H100"
    assert why_unlike(other(threads=7), other(threads=8)) == "other hardware: threads 7 and 8"
    assert why_unlike(other(processor=None), other(processor=None)) == "other hardware: processor unknown and unknown"
    assert why_unlike(record, other(processor="x"), ("device",)) is None
    half = record.throughput.model_copy(update={"batch": 8})
    assert why_unlike(record, record.model_copy(update={"throughput": half})) == "other batches: 16 and 8 samples"
    assert why_unlike(record, record.model_copy(update={"mode": "fast"})) == "other modes: exact and fast"
    fast = {**record.identity, "numerics": {**record.identity["numerics"], "mode": "fast"}}
    assert why_unlike(record, record.model_copy(update={"identity": fast})) == "other numerics"
    assert alike([]) == []


# Rules.


def test_a_rule_on_time_needs_three_passes_and_says_how_to_get_them(timed: Case, symbench: Symbench) -> None:
    rules(
        timed,
        "{metric: throughput, at_least: 10}",
        "{metric: latency, at_most: 5}",
        "{metric: peak_memory, at_most: 100}",
    )
    put(timed, [1000.0])
    found = verdicts(timed)
    for verdict, reason in found[:2]:
        assert verdict == "inconclusive"
        assert reason.startswith("one pass on this hardware: a rule on time needs 3; 'symbench run ")
        assert f"--passes 3 --results {timed.results}' adds them" in reason
    assert found[2] == ("pass", "a number without an interval")
    done = symbench("gate", "--results", timed.results)
    assert done.code == 4
    assert "would decide" not in done.out
    put(timed, [1000.0, 1010.0, 1005.0])
    assert [verdict for verdict, _ in verdicts(timed)] == ["pass", "pass", "pass"]
    assert symbench("gate", "--results", timed.results).code == 0


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("{metric: throughput, at_least: 900}", "pass"),
        ("{metric: throughput, at_least: 1500}", "fail"),
        ("{metric: throughput, at_least: 1004}", "inconclusive"),
        ("{metric: throughput, at_most: 900}", "fail"),
        ("{metric: latency, at_most: 0.0025}", "pass"),
        ("{metric: latency, at_most: 0.0015}", "fail"),
        ("{metric: peak_memory, at_most: 0.0001}", "fail"),
        ("{metric: throughput, max_drop: 10}", "missing"),
    ],
)
def test_limits_are_held_against_what_varies_between_passes(timed: Case, rule: str, verdict: str) -> None:
    put(timed, [1000.0, 1010.0, 1005.0])
    rules(timed, rule)
    (found,) = verdicts(timed)
    assert found[0] == verdict


def test_what_would_decide_is_passes(timed: Case, symbench: Symbench) -> None:
    put(timed, [1000.0, 1010.0, 1005.0])
    rules(timed, "{metric: throughput, at_least: 1004}")
    out = symbench("gate", "--results", timed.results).out
    assert " passes, or a limit of " in out
    assert "time it again: symbench run " in out
    assert "--passes 4" in out
    assert "samples could go unseen" not in out


def promoted(net: Case) -> Path:
    path, _ = set_baseline(reason="first", results=net.results, output=net.path / "base.json", force=True)
    return path


@pytest.mark.parametrize(
    ("after", "rule", "verdict"),
    [
        pytest.param([1001.0, 1009.0, 1003.0], "max_drop: 50", "pass", id="as fast"),
        pytest.param([800.0, 805.0, 810.0], "max_drop: 50", "fail", id="slower"),
        pytest.param([960.0, 955.0, 950.0], "max_drop: 50", "inconclusive", id="at the margin"),
        pytest.param([800.0, 805.0, 810.0], "max_relative_drop: 0.3", "pass", id="within a share"),
        pytest.param([800.0, 805.0, 810.0], "max_relative_drop: 0.1", "fail", id="beyond a share"),
        pytest.param([1500.0, 1505.0, 1510.0], "max_drop: 0", "pass", id="faster"),
    ],
)
def test_a_baseline_carries_its_passes(timed: Case, after: list[float], rule: str, verdict: str) -> None:
    put(timed, [1000.0, 1010.0, 1005.0])
    path = promoted(timed)
    put(timed, after)
    rules(timed, f"{{metric: throughput, {rule}}}")
    record = judge_run(results=timed.results, baseline=str(path))
    assert [match.verdict for match in record.rules] == [verdict]
    assert record.rules[0].before == pytest.approx(1005)
    assert record.rules[0].passes == 3


def test_a_baseline_of_other_hardware_is_not_comparable(timed: Case) -> None:
    put(timed, [1000.0, 1010.0, 1005.0], processor="Another")
    path = promoted(timed)
    put(timed, [1000.0, 1010.0, 1005.0], processor="This one")
    rules(timed, "{metric: throughput, max_drop: 500}", "{metric: peak_memory, max_drop: 1}")
    assert verdicts(timed, baseline=str(path)) == [
        ("not comparable", "other hardware: processor Another and This one"),
        ("pass", "identical to the baseline"),
    ]


def test_a_baseline_with_too_few_passes_decides_nothing(timed: Case) -> None:
    put(timed, [1000.0, 1010.0])
    path = promoted(timed)
    put(timed, [1000.0, 1010.0, 1005.0])
    rules(timed, "{metric: throughput, max_drop: 500}")
    assert verdicts(timed, baseline=str(path)) == [
        ("inconclusive", "2 passes in the baseline: a rule on time needs 3; set one of a run that has them")
    ]


def test_comparisons_pair_passes(timed: Case) -> None:
    put(timed, [1000.0, 1010.0, 1005.0])
    path = promoted(timed)
    put(timed, [800.0, 805.0, 810.0])
    rows = {
        row.metric: row
        for row in compare_runs(str(path), open_run(results=timed.results).manifest.run, results=timed.results).rows
    }
    row = rows["throughput"]
    assert row.mark == "worse"
    assert [row.before, row.after] == pytest.approx([1005, 805])
    assert row.low is not None
    assert row.high is not None
    assert row.low < -200 < row.high
    assert rows["peak_memory"].mark == "same"
    assert "seconds_per_sample" not in rows, "a note, and no measure of speed"


def test_rules_without_passes_say_what_asks_for_one(timed: Case) -> None:
    timed.edit("throughput: {batch: 16, seconds: 0.01, iterations: 5, sweep: []}\n", "")
    rules(timed, "{metric: throughput, at_least: 10}")
    assert verdicts(timed) == [("missing", "no throughput pass: 'throughput: true' in the suite asks for one")]


def test_metrics_of_passes_are_those_of_the_table() -> None:
    for name, function in (("throughput", throughput), ("latency", latency), ("peak_memory", peak_memory)):
        assert METRICS.row(name).load() is function
    assert {name for name, row in METRICS.rows.items() if row.of_passes} == {"throughput", "latency", "peak_memory"}
