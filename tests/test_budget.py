"""What controls may cost: counted beforehand, dealt out in order, kept to, and said where it was too little."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Case, CaseOf, Folder, Symbench
from test_evaluate import HEAD, NOT_REPEATABLE
from test_running import records
from torch import Tensor

import symbench as sb
from symbench.algebra.controls import CONTROLS, NOT_RUN
from symbench.algebra.metrics import METRICS
from symbench.base.events import Advanced, Event, Finished, Started
from symbench.domains.common.models.base import Model
from symbench.measure.evaluate import controls as run_by
from symbench.measure.evaluate import split
from symbench.measure.evaluate.budget import LEAST, SPEED, UNKNOWN, Budget, Plan, Size
from symbench.measure.evaluate.examined import Examined, relative_error
from symbench.measure.evaluate.extent import Extent, extent_of
from symbench.measure.evaluate.plans import doubled, planned
from symbench.measure.suite.controls import Controls
from symbench.read.pairing.difference import STOPPED, pair_cells
from symbench.read.pairing.runs import Recorded
from symbench.read.report import faults, tables

EXTENTS = {
    "turns": Extent(256, sharp=3, alike=3, scales=[0.98, 1.02, 0.9, 1.1], wide=3.5),
    "rotations": Extent(256, sharp=3, resampled=20, generators=1, alike=3, layers=2, wide=3.5),
    "few samples": Extent(3, sharp=7, resampled=1, generators=2, outputs=2, alike=7, layers=1, scales=[1.1]),
    "one sample": Extent(1, sharp=3, resampled=2, generators=1, alike=3, layers=1, scales=[1.1], wide=2.0),
    "nothing applies": Extent(64, brought={"own": 100}),
}


# Counts.


@pytest.mark.parametrize(
    ("floor", "device", "flops", "passes"),
    [
        ("5 s", "cpu", 1e9, 5 * SPEED["cpu"] / 1e9),
        ("0.5s", "cuda:1", 2e9, 0.5 * SPEED["cuda"] / 2e9),
        ("5 s", "cpu", None, 5 * SPEED["cpu"] / UNKNOWN),
        ("5 s", "cpu", 12.0, 5 * SPEED["cpu"] / LEAST),
        ("5 s", "cpu", 0.0, 5 * SPEED["cpu"] / LEAST),
        ("1 s", "a device of tomorrow", 1e9, min(SPEED.values()) / 1e9),
        (321, "cpu", 1e12, 321),
        (0, "cpu", 1e12, 30),
    ],
)
def test_a_floor_is_a_count(floor: str | float, device: str, flops: float | None, passes: float) -> None:
    assert Budget.of(Controls(floor=floor), 300, device, flops).passes == pytest.approx(max(passes, 0.1 * 300))


def test_full_has_no_bounds() -> None:
    assert Budget.of(Controls(full=True), 300, "cpu", 1e9).passes == math.inf


@pytest.mark.parametrize("extent", EXTENTS.values(), ids=list(EXTENTS))
def test_plans_grow_from_the_least_to_all(extent: Extent) -> None:
    for plan in planned(extent):
        assert not plan.sizes or 0 <= plan.begin < len(plan.sizes), plan.name
        costs = [size.passes for size in plan.sizes]
        assert costs == sorted(costs), plan.name
        assert all(0 < cost < math.inf for cost in costs), plan.name
        assert all(size.samples <= max(extent.samples, 100) for size in plan.sizes), plan.name


def test_the_last_sizes_are_what_full_runs() -> None:
    last = {plan.name: plan.sizes[-1] for plan in planned(EXTENTS["rotations"]) if plan.sizes}
    shapes = {name: (size.samples, size.elements) for name, size in last.items()}
    assert shapes == {
        "repeat": (256, 1), "re-batch": (256, 1), "precision": (256, 1), "exactness": (64, 3),
        "reference split": (256, 4), "Lie derivative": (64, 1), "layers": (64, 3),
        "declared action": (64, 3), "declared leaves": (16, 2),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((8, 16, 256, 256), ([8, 16, 32, 64, 128, 256], 1)),
        ((2, 8, 64, 50), ([2, 4, 8, 16, 32, 50], 2)),
        ((8, 16, 256, 5), ([5], 0)),
        ((2, 4, 64, 3), ([2, 3], 1)),
    ],
)
def test_samples_are_doubled(arguments: tuple[int, int, int, int], found: tuple[list[int], int]) -> None:
    assert doubled(*arguments) == found


# Dealing out.


def plan(name: str, *costs: float, begin: int = 0, must: bool = False) -> Plan:
    return Plan(name, [Size(i + 1, 1, cost) for i, cost in enumerate(costs)], begin, must)


def got(passes: float, *plans: Plan) -> dict[str, list[float]]:
    return {name: [size.passes for size in s.sizes] for name, s in Budget(passes, 100).shares(plans).items()}


def test_beginnings_come_first_in_order_and_then_what_is_left() -> None:
    first, second, third = plan("a", 5, 10, 40, begin=1), plan("b", 10, 20, 30, begin=1), plan("c", 8)
    assert got(38, first, second, third) == {"a": [10], "b": [20], "c": [8]}
    assert got(47, first, second, third) == {"a": [10], "b": [20], "c": [8]}, (
        "9 are left, and no next size costs that"
    )
    assert got(48, first, second, third) == {"a": [10], "b": [20, 30], "c": [8]}
    assert got(68, first, second, third) == {"a": [10, 40], "b": [20], "c": [8]}, "in order"
    assert got(37, first, second, third) == {"a": [10], "b": [20], "c": []}
    assert got(25, first, second, third) == {"a": [10], "b": [10], "c": []}, "the least that says anything"
    assert got(4, first, second, third) == {"a": [], "b": [], "c": []}


def test_what_must_run_runs_its_least_size() -> None:
    assert got(0, plan("a", 5, 10, begin=1, must=True), plan("b", 1)) == {"a": [5], "b": []}


def test_full_runs_the_last_size_at_once() -> None:
    shares = Budget(math.inf, 100, full=True).shares([plan("a", 5, 10, 40, begin=1)])
    assert [size.passes for size in shares["a"].sizes] == [40]


@pytest.mark.parametrize("extent", EXTENTS.values(), ids=list(EXTENTS))
@pytest.mark.parametrize("passes", [0, 10, 40, 100, 250, 1000, 5000, 1e6])
def test_a_budget_is_kept_and_its_remedies_hold(extent: Extent, passes: float) -> None:
    """A larger budget gives nobody less, and the share that a control is told runs it; or all of it."""
    plans, own = planned(extent), 100_000
    shares = Budget(passes, own).shares(plans)
    must = sum(p.sizes[0].passes for p in plans if p.must)
    assert sum(s.sizes[-1].passes for s in shares.values() if s.sizes) <= max(passes, must)
    for each in plans:
        mine = shares[each.name]
        assert bool(mine.sizes) or not each.must
        if not each.sizes or mine.sizes[-1:] == tuple(each.sizes[-1:]) or mine.sizes[-1:] == each.sizes[-1:]:
            continue
        if mine.remedy == "controls: full":
            continue
        share = float(mine.remedy.removeprefix("controls: {share: ").removesuffix("}"))
        assert passes / own < share <= 1
        then = Budget(share * own, own).shares(plans)[each.name].sizes
        begun = bool(mine.sizes) and mine.sizes[0] == each.sizes[each.begin]
        assert then[-1] == each.sizes[-1] if begun else each.sizes[each.begin] in then


def test_a_share_beyond_one_is_full() -> None:
    assert Budget(1, 10).shares([plan("a", 11)])["a"].remedy == "controls: full"
    assert Budget(1, 10).shares([plan("a", 9.91)])["a"].remedy == "controls: {share: 1}"
    assert Budget(1, 10).shares([plan("a", 3.0001)])["a"].remedy == "controls: {share: 0.31}"


# When an answer is clear.


def test_relative_errors_are_those_of_repeated_draws() -> None:
    rng = np.random.default_rng(0)
    above, below = rng.exponential(1.0, (4000, 50)), rng.uniform(1, 3, (4000, 50))
    roots = np.sqrt(above.mean(1))
    found = np.mean([relative_error(row) for row in above])
    assert found == pytest.approx(roots.std() / roots.mean(), rel=0.05)
    ratios = np.sqrt((above * below).mean(1) / below.mean(1))
    found = np.mean([relative_error(a * b, b) for a, b in zip(above, below, strict=True)])
    assert found == pytest.approx(ratios.std() / ratios.mean(), rel=0.1)


@pytest.mark.parametrize(
    ("values", "found"),
    [([0.0, 0.0], 0.0), ([1.0], math.inf), ([1.0, math.nan], math.inf), ([1.0, math.inf], math.inf)],
)
def test_what_is_not_known_is_not_clear(values: list[float], found: float) -> None:
    assert relative_error(np.array(values)) == found


# In a cell.


def verdicts(net: Case) -> dict[tuple[str, str], str]:
    """What exactness says of each model: how much less it is in float64 varies, and what it raised in that."""
    rows = net.frame().query("metric == 'equivariance_error_float64'")
    found = zip(rows["model"], rows["symmetry"], rows["reason"], strict=True)
    said = {(model, symmetry): reason.partition(", as it runs")[0] for model, symmetry, reason in found}
    return {key: "exact" if reason.startswith("exact: ") else reason for key, reason in said.items()}


def with_controls(net: Case, controls: str) -> Case:
    net.suite.write_text(f"{net.suite.read_text()}controls: {controls}\n")
    return net


def without(net: Case, *models: str) -> Case:
    lines = net.suite.read_text().splitlines(keepends=True)
    net.suite.write_text("".join(line for line in lines if line.split(":")[0].strip() not in models))
    return net


@pytest.mark.slow
@pytest.mark.parametrize("name", ["budgets", "half_inside", "float32_inside"])
def test_verdicts_are_those_of_full(case: CaseOf, name: str) -> None:
    """Exact; broken under all, under flips only, under quarter turns only, by a thousandth; and rounded inside."""
    net = case(name)
    assert net.run().code == 0
    few, floors = verdicts(net), net.frame().query("metric == 'equivariance_error' and element.isna()")["floor"]
    shown = {record.key: rows_of(net, record.key) for record in records(net).values()}
    assert with_controls(net, "full").run().code == 0
    assert few == verdicts(net)
    whole = net.frame().query("metric == 'equivariance_error' and element.isna()")["floor"]
    some, all_ = floors.to_numpy(), whole.to_numpy()
    assert ((some <= 3 * all_) & (all_ <= 3 * some)).all(), "a floor is three times a distance"
    most = {record.key: rows_of(net, record.key) for record in records(net).values()}
    assert sum(shown.values()) < sum(most.values()), "by fewer passes"
    if name == "budgets":
        heads = {model: reason.split()[0].rstrip(":") for (model, _), reason in few.items()}
        assert heads == {
            "exact": "exact", "broken": "broken", "turning": "broken", "halves": "broken", "nearly": "broken",
            "single": "undetermined",
        }  # fmt: skip


def rows_of(net: Case, key: str) -> int:
    return len(sb.open_run(results=net.results).store.controls(key))


class Watched:
    """The cells that controls are run on, and every pass that a model made meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cells: list[Examined] = []
        self.passes: dict[str, int] = {}
        self.under_way: str | None = None
        made, call = Examined, Model.__call__

        def examined(*arguments: Any, **named: Any) -> Examined:
            self.cells.append(made(*arguments, **named))
            return self.cells[-1]

        def called(this: Model, leaves: Mapping[str, Tensor], images: Sequence[str] = (), **more: Any) -> Any:
            if self.under_way is not None:
                count = len(next(iter(leaves.values())))
                self.passes[self.under_way] = self.passes.get(self.under_way, 0) + count
            return call(this, leaves, images, **more)

        monkeypatch.setattr(run_by, "Examined", examined)
        monkeypatch.setattr(Model, "__call__", called)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started) and event.unit == "passes":
            self.under_way = event.task.rpartition(": ")[2]
        elif isinstance(event, Finished):
            self.under_way = None


SYMMETRIES = {
    "D4": "{group: D4, on: image}",
    "SO2": "{group: SO2, on: image, elements: 12}",
    "R2": "{group: R2, on: image, reach: 1, step: 0.5}",
    "drawn": "{group: SO2, on: image, elements: 3, draw: per-sample}",
}


@pytest.mark.slow
@pytest.mark.parametrize("floor", [0, 60, 300, 2000])
@pytest.mark.parametrize("symmetry", SYMMETRIES.values(), ids=list(SYMMETRIES))
def test_controls_cost_what_they_were_given(
    case: CaseOf, monkeypatch: pytest.MonkeyPatch, symmetry: str, floor: int
) -> None:
    """Counted by the model: no control passes more samples than its last size says, in whatever dtype."""
    net = case("budgets")
    without(net, "exact", "turning", "halves", "nearly", "single")
    net.edit("{group: D4, on: image}", symmetry)
    net.edit("args: {over: nothing}}", "args: {over: nothing}, layers: {net.1: Image}}")
    with_controls(net, f"{{share: 0, floor: {floor}}}")
    watched = Watched(monkeypatch)
    assert sb.run(net.suite, results=net.results, listen=watched).failed == []
    (cell,) = watched.cells
    plain = {each.name: each for each in planned(replace(extent_seen(cell), wide=1.0))}
    for name, count in watched.passes.items():
        share = cell.shares[name]
        size = share.sizes[-1]
        most = plain[name].sizes[list(share.plan.sizes).index(size)].passes
        # what is run again in other company is not foreseen, and sizes that are out at once leave room for others
        assert count <= {"repeat": 2 * most, "geometry": size.passes}.get(name, most), name
    assert sum(watched.passes.values()) > 0
    assert cell.spent <= max(floor, 16) + 32


def extent_seen(cell: Examined) -> Extent:
    """What the cell's plans were made of, read off them."""
    job = cell.job
    return extent_of(job.prepared, job.dataset.fields, cell.chosen, wide=cell.wide, layers=len(job.layers), side=15)


def test_nothing_but_refusals_is_left_of_a_budget_of_nothing(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(folder.suite.read_text() + "controls: {share: 0, floor: 0}\n")
    run = sb.run(folder.suite, results=folder.results)
    assert run.failed == []
    found = run.store.cell(run.manifest.cells[0].key)
    assert found is not None
    assert (found.controls["repeat"], found.controls["re-batch"]) == (None, None)
    rows = run.store.controls(found.key).to_pandas()
    assert rows.groupby("control").size().to_dict() == {"repeat": 8, "re-batch": 8}
    left_out = {name for name, reason in found.controls.items() if str(reason).startswith(NOT_RUN)}
    assert left_out == {"precision", "exactness", "geometry", "declared action"} == set(found.short)
    assert found.controls["Lie derivative"] == "there is no continuous generator with a derivative"
    frame = run.estimates()
    verdict = frame[frame["metric"] == "equivariance_error_float64"].iloc[0]
    assert pd.isna(verdict["estimate"])
    assert verdict["reason"] == found.controls["exactness"]
    (board,) = tables.boards(frame)
    assert f"mine: precision {found.short['precision']}; exactness " in board.verdicts[-1]
    told = symbench("report", "--results", folder.results, "--format", "md", "--output", folder.path / "out")
    assert told.code == 0, told.err
    assert NOT_RUN in "".join(path.read_text() for path in (folder.path / "out").glob("*.md"))


@pytest.mark.parametrize("kind", list(NOT_REPEATABLE))
def test_a_budget_of_nothing_refuses_what_is_not_repeatable(folder: Folder, symbench: Symbench, kind: str) -> None:
    body, message = NOT_REPEATABLE[kind]
    (folder.path / "model.py").write_text(HEAD + f"    def forward(self, x):\n        {body}\n\n\nbuild = Net\n")
    folder.suite.write_text(folder.suite.read_text() + "controls: {share: 0, floor: 0}\n")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert message in ran.err or "of a sample depends on its batch" in ran.err, "few of a batch are in other company"


def test_the_option_that_is_named_runs_what_was_left_out(case: CaseOf) -> None:
    net = without(case("budgets"), "broken", "turning", "halves", "nearly", "single")
    text = net.suite.read_text()
    with_controls(net, "{share: 0, floor: 0}")
    assert net.run().code == 0
    option = records(net)["exact"].short["exactness"].removeprefix(f"{NOT_RUN}: ").removesuffix(" runs it")
    assert option.startswith("controls: {share: 0.")
    net.suite.write_text(text + option.replace("}", ", floor: 0}\n"))
    assert net.run().code == 0
    assert records(net)["exact"].controls["exactness"] is None
    assert "exactness" not in records(net)["exact"].short
    assert verdicts(net)["exact", "flips-and-turns"] == "exact"


def test_a_split_without_budget_is_told_from_one_that_does_not_apply(case: CaseOf) -> None:
    net = case("budgets")
    net.edit("  flips-and-turns", "  rotations: {group: SO2, on: image, elements: 5}\n  flips-and-turns")
    without(net, "broken", "turning", "halves", "nearly", "single")
    with_controls(net, "{share: 0, floor: 60}")
    assert net.run().code == 0
    rows = net.frame().query("metric == 'model_error'").set_index("symmetry")["reason"].to_dict()
    assert rows["flips-and-turns"] == "no element is resampled: all of the error is the model's"
    assert rows["rotations"].startswith(f"{NOT_RUN}: controls: ")
    boards = {board.title: board for board in faults.boards(net.frame())}
    assert boards["Whose fault: rotations on bars"].failed == [("exact", rows["rotations"])]
    assert "Whose fault: flips-and-turns on bars" not in boards


def test_a_control_that_was_cut_says_what_it_ran_on(case: CaseOf) -> None:
    """An exact model under 2 of 7 elements is not known to be exact under the others; a broken one is broken."""
    net = case("budgets")
    without(net, "turning", "halves", "nearly", "single")
    with_controls(net, "{share: 0, floor: 85}")
    assert net.run().code == 0
    found = records(net)
    assert (
        found["exact"].short["exactness"].startswith("run on 2 of 40 samples and 2 of 7 elements for lack of budget")
    )
    assert verdicts(net)["broken", "flips-and-turns"] == "broken: precision does not matter"


def test_controls_do_not_hang_on_the_batch(case: CaseOf) -> None:
    net = case("float32_inside")
    with_controls(net, "{share: 0.5, floor: 0}")
    taken = []
    for batch in (256, 7):
        results = net.path / f"by-{batch}"
        run = sb.run(net.suite, choices=sb.Choices(results=results, batch=batch))
        assert run.failed == []
        counts = {}
        for status in run.manifest.cells:
            rows = run.store.controls(status.key).to_pandas()
            rows = rows[~rows["control"].isin(["repeat", "re-batch", "precision"])]  # of rounding itself
            counts[status.model, status.symmetry] = rows.groupby("control").size().to_dict()
        taken.append(counts)
    assert taken[0] == taken[1]


def test_splits_of_other_samples_are_not_paired(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    net = without(case("budgets"), "exact", "turning", "halves", "nearly", "single")
    net.edit("{group: D4, on: image}", SYMMETRIES["SO2"])
    runs = []
    for sure, count in ((1e9, 32), (0.0, 40)):
        monkeypatch.setattr(split, "SURE", sure)
        runs.append(sb.run(net.suite, results=net.path / f"of-{count}"))
        (key,) = [cell.key for cell in runs[-1].manifest.cells]
        rows = runs[-1].store.controls(key).to_pandas()
        assert rows[rows["control"] == "reference"]["sample"].nunique() == count
    a, b = (run.store.cell(key) for run in runs)
    assert a is not None
    assert b is not None
    sides = (Recorded(runs[0].store, runs[0].manifest), Recorded(runs[1].store, runs[1].manifest))
    pairs = {p.either.metric: p for p in pair_cells(*sides, a, b, dict(METRICS)) if p.before}
    assert pairs["model_error"].reason == STOPPED
    assert pairs["accuracy"].reason is None
    assert pairs["equivariance_error_float64"].reason is None


def test_what_a_control_of_a_domain_costs_is_what_it_shows(folder: Folder) -> None:
    from symbench.domains.graphs.expressiveness import DRAWINGS
    from symbench.domains.graphs.pairs import graphs

    assert CONTROLS.rows["expressiveness"].passes == len(graphs()) * DRAWINGS


# The suite's options, and what is heard.


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{share: 1.5}", "controls.share: got 1.5, expected 1.0 or less"),
        ("{share: -0.1}", "controls.share: got -0.1, expected 0.0 or more"),
        ("{share: .nan}", "controls.share: got .nan, expected a finite number"),
        (
            "{floor: 5 min}",
            "controls.floor: got '5 min', expected seconds such as '5 s', or a number of forward passes",
        ),
        (
            "{floor: -1}",
            "controls.floor: got -1, expected seconds such as '5 s', or a number of forward passes, 0 or",
        ),
        ("{floor: true}", "controls.floor: got True, expected seconds such as '5 s'"),
        ("{floor: .inf}", "controls.floor: got .inf, expected a finite number"),
        ("half", "controls: got 'half', expected full, or a mapping of share, floor and samples"),
        ("{shares: 0.1}", "controls.shares: got unknown key 'shares', expected one of"),
    ],
)
def test_a_budget_out_of_range_is_a_sentence(folder: Folder, symbench: Symbench, written: str, said: str) -> None:
    folder.suite.write_text(folder.suite.read_text() + f"controls: {written}\n")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2
    assert said in ran.err
    assert "small.yaml:" in ran.err
    assert "Traceback" not in ran.err


def test_budgets_belong_to_the_key(folder: Folder, symbench: Symbench) -> None:
    text, keys = folder.suite.read_text(), []
    for written in ("{}", "{share: 0.2}", "{floor: 6 s}", "full", "{samples: 8}", "{full: true, samples: 256}"):
        folder.suite.write_text(f"{text}controls: {written}\n")
        keys.append(json.loads(symbench("validate", folder.suite, "--json").out)["cells"][0]["key"])
    assert len(set(keys)) == 5
    assert keys[3] == keys[5]


def test_a_bar_names_the_control_under_way(folder: Folder) -> None:
    heard: list[Event] = []
    assert sb.run(folder.suite, results=folder.results, listen=heard.append).failed == []
    started = [event for event in heard if isinstance(event, Started)]
    assert started[0] == Started("mine/blobs/turns", 24 * 4, "images")
    assert [event.task for event in started[1:4]] == [
        f"mine/blobs/turns: {name}" for name in ("repeat", "re-batch", "precision")
    ]
    assert started[1].unit == "passes"
    open_, counted = 0, 0
    for event in heard:
        open_ += isinstance(event, Started) - isinstance(event, Finished)
        counted += event.steps if isinstance(event, Advanced) and open_ == 1 else 0
        assert open_ in {0, 1, 2}
    assert open_ == 0
    assert counted == 24 * 4, "what controls pass is not counted as the cell's"
