"""Deviations at places, in units that errors are told in: against closed forms and loops, and with an atom broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from cases.anisotropic.model import PUSH, WEIGHT
from conftest import Case, CaseOf, Symbench
from scipy.spatial.transform import Rotation
from test_metrics import K, N, observed

from symbench.algebra.comparison import PerPlace, Whole
from symbench.algebra.fields import Axis, Scalar, Vector
from symbench.algebra.fields.units import each, finer
from symbench.algebra.metrics import METRICS
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.measure.evaluate.by_place import by_place, cosines
from symbench.measure.store import Store
from symbench.measure.tasks import Open, Task

RNG = np.random.default_rng(5)
MILLI = 1000


def clusters(**options: Any) -> Any:
    row = DATASETS.row("lennard-jones")
    checked = checked_options(row.options, {"samples": 20, "atoms": 6, **options}, "data")
    return row.load()(**checked.model_dump())


def turns(net: Case) -> np.ndarray:
    """The rotations of the run but the first, by SciPy from what the records say of them, ``(k, 3, 3)``."""
    store = Store(net.results)
    (cell,) = store.manifest().cells
    record = store.cell(cell.key)
    assert record is not None
    vectors = [
        [np.deg2rad(e.parameters["angle_deg"]) * e.parameters[f"axis_{name}"] for name in "xyz"]
        for e in record.elements[1:]
    ]
    return np.asarray(Rotation.from_rotvec(np.array(vectors)).as_matrix())


def second(x: np.ndarray) -> np.ndarray:
    return (3 * x**2 - 1) / 2


def whole(net: Case, metric: str, output: str) -> pd.Series:
    """The estimate over all elements."""
    frame = net.frame()
    mine = frame[(frame["metric"] == metric) & (frame["output"] == output) & frame["element"].isna()]
    found = mine[mine["elements"] == "all"] if len(mine) > 1 else mine
    assert len(found) == 1
    return found.iloc[0]


def test_an_anisotropic_energy_deviates_by_its_closed_form(case: CaseOf) -> None:
    """Over all of SO(3) the mean of P2 is 0 and of its products P2(n_i . n_j) / 5: a design of degree 4 is exact."""
    net = case("anisotropic")
    ran = net.run()
    assert ran.code == 0, ran.err
    positions = clusters().leaves["positions"].double().numpy()
    along = positions / np.linalg.norm(positions, axis=-1, keepdims=True)
    pairs = second(np.einsum("nic,njc->nij", along, along)).sum((1, 2)) / 5
    assert whole(net, "symmetrisation_gain", "energy")["estimate"] == pytest.approx(
        WEIGHT**2 * pairs.mean(), rel=1e-6
    )
    unmoved = second(along[..., 2]).sum(1)
    moved = np.array([second((along @ r.T)[..., 2]).sum(1) for r in turns(net)])
    off = WEIGHT * np.abs(moved - unmoved) / 6 * MILLI
    found = whole(net, "error_per_place", "energy")
    assert found["unit"] == "meV/atom"
    assert found["estimate"] == pytest.approx(off.mean(), rel=1e-6)
    assert found["low"] < found["estimate"] < found["high"]
    assert whole(net, "error_per_place_p95", "energy")["estimate"] == pytest.approx(np.quantile(off, 0.95), rel=1e-6)
    assert whole(net, "error_per_place_max", "energy")["estimate"] == pytest.approx(off.max(), rel=1e-6)
    curve = net.frame().query("metric == 'error_per_place' and output == 'energy' and element.notna()")
    assert curve["estimate"].to_numpy() == pytest.approx(off.mean(axis=1), rel=1e-6)
    assert whole(net, "cosine_per_place", "energy")["reason"] == "the output is one of the whole sample"
    right = clusters().batch(range(20)).targets["energy"].double().numpy()[:, 0]
    loss = [(WEIGHT * s - right) ** 2 for s in (unmoved, *moved)]
    assert whole(net, "worst_case_loss", "energy")["estimate"] == pytest.approx(np.max(loss, axis=0).mean(), rel=1e-5)
    assert whole(net, "worst_element_loss", "energy")["estimate"] == pytest.approx(
        max(np.mean(loss, axis=1)), rel=1e-5
    )


def test_one_broken_atom_is_named(case: CaseOf, symbench: Symbench) -> None:
    net = case("anisotropic")
    net.edit('"model.py:build"', '"model.py:build", args: {pushed: [3], still: [5]}')
    assert net.run().code == 0
    still = np.array(PUSH)
    off = np.array([np.linalg.norm(still - r @ still) for r in turns(net)])  # the same for every sample
    found = whole(net, "error_per_place", "forces")
    assert found["unit"] == "meV/Å"
    assert found["estimate"] == pytest.approx(off.mean() / 6 * MILLI, rel=1e-6)
    assert whole(net, "error_per_place_max", "forces")["estimate"] == pytest.approx(off.max() * MILLI, rel=1e-6)
    cosine = np.mean([(5 + still @ r @ still / (still @ still)) / 6 for r in turns(net)])  # no force: 1
    assert whole(net, "cosine_per_place", "forces")["estimate"] == pytest.approx(cosine, rel=1e-6)
    share, error = whole(net, "worst_place_share", "forces"), whole(net, "worst_place_error", "forces")
    assert symbench("report", "--results", net.results, "--output", net.path / "r", "--format", "md").code == 0
    assert "net: place 3 is the worst of 100 % of the samples" in (net.path / "r" / "report.md").read_text()
    assert share["estimate"] == pytest.approx(1)
    assert share["reason"] == error["reason"] == "place 3 is the worst of 100 % of the samples"
    assert error["estimate"] == pytest.approx(
        6**0.5 * whole(net, "equivariance_error", "forces")["estimate"], rel=1e-6
    )


def test_where_all_atoms_are_broken_alike_none_is_named(case: CaseOf, symbench: Symbench) -> None:
    net = case("anisotropic")
    net.edit('"model.py:build"', '"model.py:build", args: {pushed: [0, 1, 2, 3, 4, 5]}')
    net.edit("float64", "float32")
    assert net.run().code == 0
    assert whole(net, "worst_place_share", "forces")["estimate"] == pytest.approx(1 / 6)
    alone = whole(net, "equivariance_error", "forces")["estimate"]
    for output, places in (("energy", 6), ("forces", 6**0.5)):
        floor = whole(net, "absolute_error", output)["floor"]
        assert floor > 0
        assert whole(net, "error_per_place", output)["floor"] == pytest.approx(MILLI * floor / places)
    assert whole(net, "worst_place_error", "forces")["estimate"] == pytest.approx(alone, rel=1e-6)
    shown = symbench("report", "--results", net.results, "--output", net.path / "r", "--format", "md")
    assert shown.code == 0
    text = Path(net.path / "r" / "report.md").read_text()
    assert " meV/atom" in text
    assert " meV/Å" in text


def test_padding_is_no_place(case: CaseOf) -> None:
    net = case("anisotropic")
    net.edit("atoms: 6", "atoms: [3, 9]")
    net.edit('"model.py:build"', '"model.py:build", args: {pushed: [0, 1, 2, 3, 4, 5, 6, 7, 8], masked: true}')
    ran = net.run()
    assert ran.code == 0, ran.err
    data, still = clusters(atoms=[3, 9]), np.array(PUSH)
    sizes = np.array(data.sizes["atoms"])
    off = np.mean([np.linalg.norm(still - r @ still) for r in turns(net)])
    assert whole(net, "error_per_place", "forces")["estimate"] == pytest.approx(off * MILLI, rel=1e-6)
    found = whole(net, "error_per_place", "energy")
    x = data.leaves["positions"].double().numpy()
    cos = x / np.linalg.norm(x, axis=-1, keepdims=True).clip(1e-9)
    real = np.arange(9) < sizes[:, None]
    sums = [(second((cos @ r.T)[..., 2]) * real).sum(1) for r in (np.eye(3), *turns(net))]
    each_atom = np.mean([WEIGHT * np.abs(s - sums[0]) / sizes for s in sums[1:]])  # each sample counts alike
    assert found["estimate"] == pytest.approx(each_atom * MILLI, rel=1e-6)


# Without a run.


def task(field: Any, shape: tuple[int, ...]) -> Task:
    return Open("out", field).of(shape)


def test_columns_are_a_loops() -> None:
    moved, expected = (torch.from_numpy(RNG.normal(size=(3, 4, 5, 3))) for _ in range(2))
    expected[0, 0, 0], moved[0, 0, 0], moved[1, 1, 1] = 0.0, 0.0, 0.0
    sizes = [5, 2, 3, 1]
    found = by_place(task(Vector().over(Axis("atoms")), (5, 3)), PerPlace((5,), (sizes,)), ("atoms",), {}, {})
    assert found is not None
    columns = found.columns(moved, expected, [0, 1, 2, 3])
    for k in range(3):
        for i, m in enumerate(sizes):
            a, b = moved[k, i, :m].numpy(), expected[k, i, :m].numpy()
            off = np.linalg.norm(a - b, axis=1)
            cosine = [_cosine(x, y) for x, y in zip(a, b, strict=True)]
            assert columns["places"][k, i] == m
            assert columns["place_mean"][k, i] == pytest.approx(off.mean())
            assert columns["place_largest"][k, i] == pytest.approx(off.max())
            assert columns["place_worst"][k, i] == off.argmax()
            assert columns["place_cosine"][k, i] == pytest.approx(np.mean(cosine))


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    if not x.any() and not y.any():
        return 1.0
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y))) if x.any() and y.any() else 0.0


def test_two_zeros_agree_and_one_has_no_direction() -> None:
    zero, one = torch.zeros(1, 3), torch.tensor([[0.0, 2.0, 0.0]])
    assert [cosines(*pair).item() for pair in ((zero, zero), (zero, one), (one, zero), (one, one), (one, -one))] == [
        1.0, 0.0, 0.0, 1.0, -1.0,
    ]  # fmt: skip


def test_what_grows_with_nothing_has_no_places() -> None:
    leaves = {"positions": (Vector().over(Axis("atoms")), (7, 3))}
    assert by_place(task(Scalar(unit="eV"), (1,)), Whole(), (), leaves, {}) is None
    grows = by_place(task(Scalar(unit="eV", per="atoms"), (1,)), Whole(), (), leaves, {})
    assert grows is not None
    assert grows.at.counts([0, 1]).tolist() == [7, 7]
    assert by_place(task(Scalar(per="rings"), (1,)), Whole(), (), leaves, {}) is None
    numbers = by_place(task(Scalar().over(Axis("atoms")), (7,)), PerPlace((7,), (None,)), ("atoms",), {}, {})
    assert numbers is not None
    assert "place_cosine" not in numbers.columns(torch.zeros(2, 3, 7), torch.zeros(2, 3, 7), [0, 1, 2])
    assert str(Scalar(per="atoms")) == "Scalar that grows with atoms"


@pytest.mark.parametrize(
    ("unit", "found"),
    [
        ("eV", (1000.0, "meV")),
        ("eV/Å", (1000.0, "meV/Å")),
        ("eV/Å^3", (1000.0, "meV/Å^3")),
        ("Ha", (1000.0, "mHa")),
        ("eV^2", (1.0, "eV^2")),
        ("eV**2", (1.0, "eV**2")),
        ("kJ/mol", (1.0, "kJ/mol")),
        ("output", (1.0, "output")),
        ("", (1.0, "")),
        ("/s", (1.0, "/s")),
    ],
)
def test_units_that_errors_are_told_in(unit: str, found: tuple[float, str]) -> None:
    assert finer(unit) == found
    assert each("meV", "atoms") == "meV/atom"
    assert each("output", "s") == "output/s"


def columns_of(**changes: Any) -> dict[str, Any]:
    found = {
        "unit": "eV/Å", "axis": "atoms", "places": np.full((K + 1, N), 4.0),
        "place_mean": RNG.exponential(size=(K + 1, N)), "place_largest": 2 + RNG.exponential(size=(K + 1, N)),
        "place_worst": RNG.integers(4, size=(K + 1, N)).astype(float), "place_cosine": RNG.random((K + 1, N)),
    }  # fmt: skip
    return {**found, **changes}


NAMES = [name for name, row in METRICS.rows.items() if row.module.endswith("metrics.places")]


@pytest.mark.parametrize("name", NAMES)
def test_without_columns_there_is_a_reason_and_nan_is_no_number(name: str) -> None:
    metric = METRICS.find(name)[0].load()
    assert metric(observed())[0].reason == "the output stands at no places, and is not declared to grow with any"
    assert metric(observed(axis="atoms"))[0].reason == "measured before deviations were kept place by place"
    columns = columns_of()
    for column in ("place_mean", "place_largest", "place_cosine"):
        columns[column] = np.where(np.arange(N) == 3, np.nan, columns[column])
    found = metric(observed(**columns))[0].estimate
    assert found is None or not np.isfinite(found)


def test_metrics_are_their_definitions() -> None:
    columns = columns_of()
    columns["places"] = np.broadcast_to(RNG.integers(1, 9, size=N).astype(float), (K + 1, N))
    seen = observed(**columns)
    mean, largest, count = (columns[name] for name in ("place_mean", "place_largest", "places"))
    value = {name: METRICS.find(name)[0].load()(seen)[0] for name in NAMES}
    total = sum(mean[k, i] * count[k, i] for k in range(1, K + 1) for i in range(N))
    assert value["error_per_place"].estimate == pytest.approx(MILLI * total / (K * count[0].sum()))
    assert value["error_per_place"].unit == "meV/Å"
    assert value["error_per_place_p95"].estimate == pytest.approx(MILLI * np.quantile(mean[1:], 0.95))
    assert value["error_per_place_max"].estimate == pytest.approx(MILLI * largest[1:].max())
    assert value["cosine_per_place"].estimate == pytest.approx(
        np.average(columns["place_cosine"][1:], weights=count[1:])
    )
    expected = np.mean(largest[1:] ** 2) * count[0].mean() / seen.unrelated_sq[1:].mean()
    assert value["worst_place_error"].estimate == pytest.approx(expected**0.5)
    part = np.sum(largest[1:] ** 2) / seen.deviation_sq[1:].sum()
    assert value["worst_place_share"].estimate == pytest.approx(part)
    curve = METRICS.find("error_per_place")[0].load()(seen)[1:]
    at = [MILLI * (mean[k] * count[k]).sum() / count[k].sum() for k in range(1, K + 1)]
    assert [each.estimate for each in curve] == pytest.approx(at)
    deferred = curve[2].sampled
    assert deferred is not None
    assert deferred.read().estimate == pytest.approx(at[2])
