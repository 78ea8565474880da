"""What models cost: numbers and operations against counts by hand, times of a known length, and fronts in doubt."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Case, CaseOf
from test_running import loaded, records
from torch import nn

from symbench import judge_run, open_run
from symbench.domains.common.models.running import plain_kernels
from symbench.measure.evaluate.job import seeded_order
from symbench.read import estimates
from symbench.read.report import tables, tradeoffs

# 15 tokens of width 24 in 3 heads of 8; a multiply-add is two operations
EMBED, HEAD = 2 * 15 * 15 * 24, 2 * 24 * 2
ATTENTION = 2 * 15 * 24 * (3 * 24) + 2 * (2 * 3 * 15 * 15 * 8) + 2 * 15 * 24 * 24
FORWARD = 2 * (2 * 15 * 24 * 40)
STEP = 15 + 8  # numbers that a recurrent layer of width 8 multiplies at each of 15 rows, for each gate
BY_HAND = {
    "attention": EMBED + ATTENTION + HEAD,
    "larger": 2 * 16 * 48 * (3 * 48) + 2 * (2 * 4 * 16 * 16 * 12) + 2 * 16 * 48 * 48 + 2 * 48 * 4,  # 344,448
    "encoder": EMBED + ATTENTION + FORWARD + HEAD,
    "product": 2 * (2 * 3 * 15 * 15 * 5) + 2 * 15 * 2,
    "lstm": 2 * 15 * (4 * 8) * STEP + 2 * 8 * 2,
    "gru": 2 * 15 * (3 * 8) * STEP + 2 * 8 * 2,
    "vectors": 2 * 2 * 225,
    "held": 2 * 225 * 4 + 2 * (2 * 4 * 4),
    "uncounted": 2 * 2 * 2,
}
FIRST, SECOND = 2 * 9 * 225, 2 * 25 * 225


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Case]:
    import shutil

    from conftest import ROOT

    from symbench import Choices, run

    folder = tmp_path_factory.mktemp("costs") / "costs"
    shutil.copytree(ROOT / "tests" / "cases" / "costs", folder)
    shutil.copy(ROOT / "tests" / "cases" / "bars.py", folder)
    done = run(folder / "suite.yaml", choices=Choices(results=folder / "results"))
    assert done.failed == []
    frame = done.estimates()
    return frame[frame["symmetry"].isna()].set_index(["model", "metric"]), Case(folder, None)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("model", list(BY_HAND))
def test_operations_are_those_counted_by_hand(measured: tuple[pd.DataFrame, Case], model: str) -> None:
    assert measured[0].loc[(model, "flops"), "estimate"] == BY_HAND[model]


@pytest.mark.slow
def test_operators_without_a_formula_are_named(measured: tuple[pd.DataFrame, Case]) -> None:
    rows = measured[0]
    reason = rows.loc[("uncounted", "flops"), "reason"]
    assert reason == "without torchvision::deform_conv2d, aten::_fft_r2c, which torch cannot count"
    told = rows.xs("flops", level="metric")["reason"].dropna()
    assert sorted(told.index) == ["branches", "uncounted"]
    board = tables.costs(rows.reset_index())
    assert "uncounted: FLOPs without torchvision::deform_conv2d, aten::_fft_r2c, which torch cannot count" in (
        board.verdicts
    )


@pytest.mark.slow
def test_control_flow_that_depends_on_the_data_is_averaged_and_said(measured: tuple[pd.DataFrame, Case]) -> None:
    rows, net = measured
    record = records(net)["branches"]
    order = seeded_order(40, record.identity["dataset"]["digest"], seed=0, limit=None)[:16]
    standing = sum(index % 2 for index in order)
    assert 0 < standing < 16
    expected = FIRST + SECOND * standing / 16
    assert rows.loc[("branches", "flops"), "estimate"] == expected
    said = f"are the mean of 16 samples, from {FIRST:,} to {FIRST + SECOND:,}"
    assert rows.loc[("branches", "flops"), "reason"] == said


@pytest.mark.slow
def test_numbers_are_counted_once_and_apart(measured: tuple[pd.DataFrame, Case]) -> None:
    """A frozen layer of 225 x 4 + 4, a norm of 4 + 4 with 4 + 4 + 1 buffers, and 4 x 4 + 4 that are used twice."""
    rows = measured[0].loc["held"]["estimate"]
    assert rows["parameters"] == 904 + 8 + 20
    assert rows["trainable_parameters"] == 8 + 20
    assert rows["buffers"] == 9


def test_backward_passes_inside_count(case: CaseOf) -> None:
    """A convolution and a head, and the way back through both to the image."""
    net = case("gradient_inside")
    assert net.run().code == 0
    assert net.frame().query("metric == 'flops'")["estimate"].iloc[0] == 2 * (2 * 9 * 8 * 225 + 2 * 8 * 2)


def test_kernels_are_plain_for_a_while_only() -> None:
    lstm = nn.LSTM(2, 2)
    switches = (torch.backends.mkldnn, torch.backends.cudnn)
    before = [torch.backends.mha.get_fastpath_enabled(), *(switch.enabled for switch in switches)]
    with pytest.raises(ZeroDivisionError), plain_kernels(lstm):
        assert not torch.backends.mha.get_fastpath_enabled()
        assert not any(switch.enabled for switch in switches)
        raise ZeroDivisionError
    assert [torch.backends.mha.get_fastpath_enabled(), *(switch.enabled for switch in switches)] == before
    with plain_kernels(nn.Conv2d(1, 1, 1)):
        assert [switch.enabled for switch in switches] == before[1:], "convolutions keep their fast libraries"


# Times.


@pytest.fixture
def times(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> Case:
    from symbench.measure.evaluate import cost

    counted: list[str] = []

    def count(job: object, order: object) -> tuple[float | None, str | None]:
        counted.append(job.model.name)  # type: ignore[attr-defined]
        return 1.0, None

    monkeypatch.setattr(cost, "count_flops", count)
    net = case("costs")
    (net.path / "times.yaml").replace(net.path / "suite.yaml")
    assert net.run().code == 0
    assert counted == ["brief", "long"], "once for each model and dataset, not for each cell"
    return net


@pytest.mark.slow
def test_times_are_of_warm_passes_with_their_spread(times: Case) -> None:
    """40 images, fewer than a batch: a pass of 4 ms, the first one 0.3 s longer, and one of 60 ms."""
    frame = times.frame().query("metric == 'seconds_per_sample'").set_index("model")
    for name, seconds in (("brief", 0.004), ("long", 0.06)):
        row = frame.loc[name]
        assert seconds / 40 <= row["low"] <= row["estimate"] <= row["high"]
        assert row["estimate"] < 2 * seconds / 40
        assert np.isnan(row["level"]), "the middle half is no confidence interval"
        assert row["reason"].endswith(" passes of 40 samples")
    run = open_run(results=times.results)
    cells = [(cell, run.store.cell(cell.key)) for cell in run.manifest.cells]
    facts = [(cell.model, record.facts) for cell, record in cells if record is not None]
    assert [f["timed_batch"] for _, f in facts] == [40.0] * 6
    passes = [f["timed_passes"] for _, f in facts]
    assert all(count is not None for count in passes)
    assert passes[0] >= 10  # type: ignore[operator]
    # a long model is timed by the passes that are made anyway, and by one or two beside in the first cell
    assert passes[3] <= 3  # type: ignore[operator]
    assert passes[4:] == [2.0, 2.0]
    # every cell has a time of its own, so that the gate has several
    taken = estimates.times(run.store, run.manifest.cells)
    assert {key: len(set(values)) for key, values in taken.items()} == {("brief", "bars"): 3, ("long", "bars"): 3}


@pytest.mark.slow
def test_the_gate_holds_every_cells_time_against_the_limit(times: Case) -> None:
    suite = times.path / "suite.yaml"
    rules = "gates:\n" + "".join(
        f"- {{metric: seconds_per_sample, model: long, at_most: {limit}}}\n" for limit in (0.1, 0.0001)
    )
    suite.write_text(suite.read_text() + rules)
    assert times.run().code == 0
    record = judge_run(results=times.results)
    assert [(m.verdict, m.reason) for m in record.rules] == [
        ("pass", "all of 3 cells were timed within the limit"),
        ("fail", "all of 3 cells took longer than the slowest is allowed"),
    ]


def test_a_time_spreads_over_its_cells(case: CaseOf) -> None:
    net = case("gradient_inside")
    assert net.run().code == 0
    record = records(net)["net"]
    facts = {**record.facts, "seconds_low": 3.0, "seconds_high": 5.0, "seconds_per_sample": 4.0}
    record = record.model_copy(update={"facts": facts})
    for taken, expected in (
        ([4.0], (4.0, 3.0, 5.0)),
        ([4.0, 2.0, 9.0], (4.0, 2.0, 9.0)),
        ([4.0, 4.1], (4.05, 3.0, 5.0)),
    ):
        found = estimates.with_seconds(record, taken).facts
        assert tuple(found[f"seconds_{name}"] for name in ("per_sample", "low", "high")) == expected
    alone = record.model_copy(update={"facts": {"seconds_per_sample": 4.0}})
    assert estimates.with_seconds(alone, [4.0]).facts["seconds_low"] is None
    document = json.loads(record.model_dump_json())
    assert document["facts"]["timed_batch"] == 40


# Fronts.


def test_a_front_has_no_point_whose_place_is_in_doubt() -> None:
    """Against the front with each point in turn at its lower limit, and the others as they are."""
    rng = np.random.default_rng(0)
    left_out = 0
    for _ in range(60):
        good = rng.integers(0, 5, 6) / 4
        cheap = rng.random(6)
        low = cheap - 0.3 * rng.random(6)
        sure = tradeoffs.front(good.tolist(), cheap.tolist())
        found = tradeoffs.front(good.tolist(), cheap.tolist(), low.tolist())
        for i in range(6):
            against = np.where(np.arange(6) == i, low, cheap)
            assert found[i] == tradeoffs.front(good.tolist(), against.tolist())[i]
        assert not any(f and not s for f, s in zip(found, sure, strict=True))
        left_out += sum(sure) - sum(found)
    assert left_out > 20
    assert tradeoffs.front([3, 2, 1], [1, 2, 3], [float("nan")] * 3) == [True] * 3
    assert tradeoffs.front([3, 2, 1], [1, 2, 3], [0.1, 0.5, 2.5]) == [True, False, True]


def test_a_models_front_knows_how_sure_its_time_is() -> None:
    rows = [
        {"model": m, "dataset": "d", "symmetry": None, "metric": "throughput", "estimate": t, "low": a, "high": b}
        for m, t, a, b in (("slow", 0.25, 0.24, 0.26), ("near", 0.5, 0.22, 1.1), ("quick", 1.0, 0.95, 1.05))
    ]  # fmt: skip
    ranked = pd.DataFrame({"model": ["slow", "near", "quick"], "chance": np.nan})
    for name in tradeoffs.MEASURES:
        ranked[name] = [0.9, 0.8, 0.7]
    found = tradeoffs.with_costs(ranked, pd.DataFrame(rows), "d").set_index("model")
    assert found["throughput"].to_dict() == {"slow": 0.25, "near": 0.5, "quick": 1.0}
    assert found["front_throughput"].to_dict() == {"slow": True, "near": False, "quick": True}
    sure = pd.DataFrame(rows).assign(low=np.nan, high=np.nan)
    found = tradeoffs.with_costs(ranked, sure, "d").set_index("model")
    assert found["front_throughput"].all()


def test_ticks_are_short_and_plain() -> None:
    told = {0.25: "0.25", 7: "7", 500: "500", 999: "999", 1500: "1.5 k", 30_000: "30 k", 250_000: "250 k", 2e9: "2 G"}
    assert {number: tradeoffs.short(number) for number in told} == told


def test_cases_are_what_they_are_called() -> None:
    """The branch that the operations are counted of is taken for standing bars alone."""
    cases = loaded("costs")
    images = loaded("", "bars").Bars().images
    assert [bool(image[0, 4, 7] > 0.5) for image in images] == [index % 2 == 1 for index in range(40)]
    assert sum(p.numel() for p in cases.Held().parameters()) == 932
