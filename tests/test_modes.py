"""numerics.mode: faster copies are held against the model, fall back in words, and are never taken for it."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Case, CaseOf, Symbench
from test_gate import Scene
from test_running import loaded, records

from symbench import Choices, Interrupted, compare_runs, open_run, run
from symbench.base.records import CellRecord
from symbench.domains.common.models.running import Habits
from symbench.measure.evaluate import modes
from symbench.measure.evaluate.modes import Distance
from symbench.measure.faster.build import runner_of
from symbench.measure.faster.flow import flow_of
from symbench.measure.faster.runner import Way
from symbench.measure.suite.numerics import Numerics, Tolerance

BEHAVIOUR = ("accuracy", "orbit_accuracy", "equivariance_error")


def with_model(case: Case, name: str, **numerics: Any) -> Case:
    case.edit('net: {use: "model.py:Net"}', f'{name.lower()}: {{use: "model.py:{name}"}}')
    case.edit("mode: fast", ", ".join(f"{key}: {value}" for key, value in {"mode": "fast", **numerics}.items()))
    return case


def record_of(case: Case) -> CellRecord:
    ran = case.run()
    assert ran.code == 0, ran.err
    (record,) = records(case).values()
    return record


@pytest.mark.slow
def test_every_mode_measures_what_exact_does(case: CaseOf) -> None:
    found, net = {}, case("modes")
    for before, mode in (("fast", "exact"), ("exact", "fused"), ("fused", "fast")):
        net.edit(f"mode: {before}", f"mode: {mode}")
        found[mode] = record_of(net), {metric: net.estimate(metric) for metric in BEHAVIOUR}
    assert [record.mode for record, _ in found.values()] == ["exact", "fused", "fast"]
    assert len({record.key for record, _ in found.values()}) == 3
    (plain, exact), (fused, _), (fast, _) = found.values()
    for mode, limit in (("fused", 1e-4), ("fast", 0.05)):
        for metric in BEHAVIOUR:
            assert abs(found[mode][1][metric] - exact[metric]) <= limit * max(exact[metric], 0.1), (mode, metric)
    assert "mode" not in plain.identity["numerics"], (
        "cells that were measured before there were modes stay what they are"
    )
    assert plain.remarks == {}
    assert "changed_predictions" not in plain.facts
    assert fused.facts["changed_predictions"] == 0
    assert 0 < (fused.facts["largest_deviation"] or 0) < 1e-4 < (fast.facts["largest_deviation"] or 0) < 0.1
    assert fused.facts["checked_passes"] == 16
    for fact in ("parameters", "buffers", "flops"):
        assert fast.facts[fact] == plain.facts[fact], "of the model, not of its copy"
    assert net.estimate("changed_predictions") == fast.facts["changed_predictions"]
    assert net.estimate("largest_deviation") == fast.facts["largest_deviation"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Named", "Several", "Writes", "Differentiates", "Views", "Flat"])
def test_models_of_every_habit_run_fast(case: CaseOf, name: str) -> None:
    record = record_of(with_model(case("modes"), name))
    said = record.remarks["mode"]
    assert record.mode == "fast"
    assert said.startswith("measured in mode fast (bfloat16")
    laid_out = name not in {"Views", "Flat"}
    assert ("channels last" in said) == laid_out, "what reads memory as it lies by default is asked again without"
    assert ("weights packed" in said) == (laid_out and name != "Differentiates")
    assert record.controls["precision"] is None, "that control is of the model itself, in float64"


@pytest.mark.slow
def test_float64_has_a_faster_mode_too(case: CaseOf) -> None:
    net = case("modes")
    net.edit("dtype: float32, mode: fast", "dtype: float64, mode: fused")
    record = record_of(net)
    assert record.mode == "fused"
    assert record.remarks["mode"].startswith("measured in mode fused (batch norms folded, channels last): ")
    assert 0 < (record.facts["largest_deviation"] or 0) < 1e-12


FALLING = {
    "Cancels": ("fused", r"not in mode fast: on 16 inputs .* from exact, outputs by .* samples; tolerated is 0.25"),
    "Single": ("fused", r"not in mode fast: single: raised RuntimeError: expected m1 and m2 to have the same dtype"),
    "Locked": ("exact", r"not in mode fast: a copy of it cannot be had: TypeError: Locked cannot be copied"),
    "Used": (
        "exact",
        r"not in mode fused: on 16 inputs \d+\.\d% of predictions differ .*; tolerated are 1.0% of predictions",
    ),
    "LateNaN": ("exact", r"not in mode fast: latenan: output 'logits' is NaN or infinite for"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FALLING))
def test_what_does_not_suit_falls_back_and_says_so(case: CaseOf, name: str) -> None:
    net, (mode, why) = with_model(case("modes"), name), FALLING[name]
    ran = net.run()
    assert ran.code == 0, ran.err
    (record,) = records(net).values()
    assert record.mode == mode
    assert re.search(why, record.remarks["mode"])
    assert f"{name.lower()}/bars/turns: measured in mode {mode}" in ran.err
    assert f"{name.lower()}: measured in mode {mode}" in " ".join(ran.out.split()), "and beside its numbers"
    assert "nothing to do: 1 cell measured already" in net.run().err


@pytest.mark.slow
def test_nothing_that_a_refused_copy_measured_is_kept(case: CaseOf) -> None:
    net = with_model(case("modes"), "LateNaN")
    fallen = record_of(net)
    net.edit("mode: fast", "mode: exact")
    exact = record_of(net)
    store = open_run(results=net.results).store
    assert fallen.key != exact.key
    assert store.observations(fallen.key).equals(store.observations(exact.key))
    assert fallen.outputs == exact.outputs


@pytest.mark.slow
def test_float16_that_overflows_falls_back(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "half_of", lambda device: torch.float16)
    record = record_of(with_model(case("modes"), "Large"))
    assert record.mode == "fused"
    assert re.search("not in mode fast: large: output 'logits' is NaN or infinite", record.remarks["mode"])


@pytest.mark.slow
def test_a_device_without_half_precision_runs_fused(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "half_of", lambda device: None)
    record = record_of(case("modes"))
    assert record.mode == "fused"
    assert record.remarks["mode"].endswith("not in mode fast: cpu has no quick half precision")


@pytest.mark.slow
def test_the_suite_says_what_is_tolerated(case: CaseOf) -> None:
    record = record_of(with_model(case("modes"), "Net", tolerance="{deviation: 1.0e-9}"))
    assert record.mode == "exact"
    assert "not in mode fused: on 16 inputs" in record.remarks["mode"]
    assert record.identity["numerics"]["tolerance"] == {"fast": [0.02, 1e-9], "fused": [0.01, 1e-9]}


@pytest.mark.slow
def test_programs_run_as_they_were_saved(case: CaseOf) -> None:
    net = case("modes")
    program = torch.export.export(loaded("modes").Net().eval(), (torch.rand(8, 1, 15, 15),))
    torch.export.save(program, net.path / "net.pt2")
    net.edit('"model.py:Net"', "net.pt2")
    record = record_of(net)
    assert record.mode == "exact"
    assert record.remarks["mode"] == (
        "measured in mode exact; not in mode fast: it is a program (ExportedModule), which runs as it was saved"
    )


def test_a_model_is_not_changed_by_its_copy() -> None:
    net = loaded("modes").Net().eval()
    made, before = copy.deepcopy(net), copy.deepcopy(net.state_dict())
    x = torch.rand(2, 1, 15, 15)
    with torch.no_grad():
        flow = flow_of(made, lambda: made(x), 2)
        runner_of(made, Way(torch.bfloat16, merged=True), flow, device="cpu", habits=Habits())
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == before[name].dtype for name in before)


# Runs that are resumed.


def resumed(case: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[CellRecord, list[str]]:
    """A run that is stopped after a part and taken up again; and how often its mode was decided."""
    monkeypatch.setattr("symbench.measure.evaluate.PART", 8)
    monkeypatch.setattr("symbench.measure.evaluate.first_pass.PART", 8)
    monkeypatch.setattr("symbench.measure.evaluate.reference.PART", 8)
    decided, chosen = [], modes.chosen

    def counted(job: Any, order: Any) -> Any:
        decided.append(job.numerics.mode)
        return chosen(job, order)

    monkeypatch.setattr(modes, "chosen", counted)
    asked = iter([False] * 7 + [True])
    with pytest.raises(Interrupted, match="stopped after 2 of 5 parts"):
        run(case.suite, choices=Choices(results=case.results), stopped=lambda: next(asked))
    return record_of(case), decided


@pytest.mark.slow
def test_a_decision_stands_when_a_run_is_resumed(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    record, decided = resumed(case("modes"), monkeypatch)
    assert record.mode == "fast"
    assert decided == ["fast"]


# What is beyond a tolerance.


@pytest.mark.parametrize(
    ("distance", "why"),
    [
        (Distance(16, 0.0, 0.0, 0.0), None),
        (Distance(16, 0.02, 0.25, 1.0), None),
        (Distance(16, None, 0.25, 1.0), None),
        (
            Distance(16, 0.0625, 0.0, 0.0),
            "on 16 inputs 6.2% of predictions differ from exact, outputs by at most 0.0e.00",
        ),
        (Distance(16, None, 0.3, 0.0), "on 16 inputs outputs by at most 3.0e-01 .* samples; tolerated is 0.25"),
        (Distance(16, 0.0, float("nan"), 0.0), "tolerated is 0.25"),
        (Distance(16, float("nan"), 0.0, 0.0), "tolerated are 2.0% of predictions"),
    ],
    ids=["equal", "at the limits", "no classes", "predictions", "outputs", "NaN", "NaN predictions"],
)
def test_what_is_beyond_the_limits_is_refused(distance: Distance, why: str | None) -> None:
    found = distance.beyond(*Numerics(mode="fast").limits("fast"))
    assert (found is None) == (why is None)
    assert why is None or re.search(why, found or "")


@pytest.mark.parametrize("first", [False, True], ids=["second", "first"])
@pytest.mark.parametrize("at", ["changed", "deviation", "absolute"])
def test_of_several_outputs_one_that_is_nan_is_not_passed_over(at: str, first: bool) -> None:
    sound = Distance(16, 0.01, 0.1, 2.0)
    other = Distance(**{**asdict(Distance(16, 0.0, 0.2, 1.0)), at: float("nan")})
    found = Distance.largest(16, [other, sound] if first else [sound, other])
    expected = {"changed": 0.01, "deviation": 0.2, "absolute": 2.0, at: float("nan")}
    assert found.passes == 16
    assert [found.changed, found.deviation, found.absolute] == pytest.approx(list(expected.values()), nan_ok=True)


def test_outputs_of_which_nothing_is_predicted_are_not_counted() -> None:
    without, share = Distance(16, None, 0.1, 2.0), Distance(16, 0.03, 0.0, 0.0)
    assert Distance.largest(16, [without, share]) == Distance(16, 0.03, 0.1, 2.0)
    assert Distance.largest(16, [without]) == without


def test_each_mode_has_limits_of_its_own() -> None:
    plain, own = Numerics(mode="fast"), Numerics(mode="fast", tolerance=Tolerance(changed=0.5))
    assert plain.modes == ["fast", "fused"]
    assert Numerics(mode="fused").modes == ["fused"]
    assert Numerics().modes == []
    assert plain.limits("fused") < plain.limits("fast")
    assert own.limits("fused") == (0.5, plain.limits("fused")[1])


# Comparisons.


@pytest.fixture
def scene(tmp_path: Path, symbench: Symbench) -> Scene:
    return Scene(tmp_path, symbench)


FAST = "float32, mode: fast, tolerance: {changed: 1, deviation: 9}"


@pytest.mark.slow
def test_modes_are_not_compared(scene: Scene, symbench: Symbench) -> None:
    scene.run()
    first = open_run(results=scene.results).manifest.run
    scene.run(dtype=FAST)
    second = open_run(results=scene.results).manifest.run
    rows = compare_runs(first, second, results=scene.results).rows
    both = [row for row in rows if row.before is not None and row.after is not None]
    assert both
    assert {row.mark for row in both} == {"not comparable"}
    said = "other modes: measured in exact and in fast; run both in one numerics.mode"
    assert {row.reason for row in both} == {said}
    assert said in " ".join(symbench("compare", first, second, "--results", scene.results).out.split())


@pytest.mark.slow
def test_models_of_two_modes_are_not_ranked_together(scene: Scene, symbench: Symbench) -> None:
    scene.run()
    scene.write(dtype=FAST)
    scene.suite.write_text(scene.suite.read_text().replace("name: small", "name: quick").replace("mine:", "yours:"))
    assert symbench("run", scene.suite, "--results", scene.results).code == 0
    ran = symbench("leaderboard", "--results", scene.results, "--json")
    places = {(row["model"], row["symmetry"]) for row in json.loads(ran.out)["estimates"] if row["symmetry"]}
    assert places == {("mine", "turns (small)"), ("yours", "turns (quick)")}
