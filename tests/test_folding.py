"""Metrics are folded from a few samples at a time: the numbers are those of the whole table, whatever the tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.metrics.folds import Folded
from symbench.algebra.statistics import Array
from symbench.base.columns import AVERAGED, OBSERVATIONS
from symbench.base.records import CellRecord, ElementRecord
from symbench.read.estimates.floors import BASIS, with_controls
from symbench.read.estimates.folding import Wanted, folded, values_of
from symbench.read.estimates.reading import Reading

K, N, CLASSES, LABELS = 7, 113, 5, 3
KINDS = ["permutation", "permutation", "resampled", "resampled", "exact", "exact", "exact"]
FOLDS = {name: metric for name, row in METRICS.rows.items() if isinstance(metric := row.load(), Folded)}


def drawn(task: str, seed: int = 3) -> dict[str, Array]:
    """Columns ``(k, n)`` as a task has them, with pairs whose label changes."""
    rng = np.random.default_rng(seed)
    target = rng.integers(CLASSES, size=N)
    deviation = np.vstack([np.zeros(N), rng.exponential(size=(K - 1, N))])
    unrelated = np.vstack([np.full(N, np.nan), rng.exponential(2.0, size=(K - 1, N))])
    shared = {"valid": rng.random((K, N)) < 0.8, "deviation_sq": deviation, "unrelated_sq": unrelated}
    if task == "embedding":
        return {**shared, "cosine": rng.uniform(-1, 1, (K, N)), "retrieved": rng.integers(2, size=(K, N)) / 1.0}
    shared["loss"] = rng.exponential(size=(K, N))
    if task == "regression":
        return shared
    if task == "multi-label":
        there = np.broadcast_to(rng.random((N, LABELS)) < 0.4, (K, N, LABELS))
        return {**shared, "label_scores": rng.normal(size=(K, N, LABELS)).astype("f4"), "label_targets": there}
    if task == "segmentation":
        return {**shared, **_maps(rng)}
    if task == "detection":
        return {**shared, **_boxes(rng)}
    prediction = np.where(rng.random((K, N)) < 0.6, target, rng.integers(CLASSES, size=(K, N)))
    right = {"correct": prediction == target, "target": np.broadcast_to(target, (K, N))}
    known = {} if task == "unlabelled" else right
    return {**shared, **known, "prediction": prediction, "confidence": rng.random((K, N))}


def _maps(rng: np.random.Generator) -> dict[str, Array]:
    """Of maps, some without a labelled place."""
    there, said = rng.integers(9, size=(2, K, N, LABELS))
    hits = np.minimum(there, rng.integers(5, size=there.shape))
    labelled = rng.random((K, N)) < 0.9
    counts = {"class_hits": hits, "class_there": there, "class_said": np.maximum(said, hits)}
    shares = {"place_kept": rng.random((K, N)), "place_swapped": np.where(labelled, rng.random((K, N)), np.nan)}
    rim = np.where(np.arange(8) < 5, rng.random((K, N, 8)).astype("f4"), np.nan)
    right = np.where(labelled, rng.random((K, N)), np.nan)
    return {**counts, **shares, "place_right": right, "places": np.full((K, N), 81.0), "rim_sq": rim}


def _boxes(rng: np.random.Generator) -> dict[str, Array]:
    """Of boxes, rows of which some are none."""
    shape = (K, N, 4)
    return {
        "object_scores": rng.random(shape).astype("f4").round(1), "object_classes": rng.integers(-1, 2, size=shape),
        "object_hits": rng.integers(1024, size=shape), "object_targets": rng.integers(-1, 2, size=(K, N, 3)),
        "objects_kept": rng.random((K, N)),
    }  # fmt: skip


class Pieces:
    """A cell in memory, in tiles of some samples in any order."""

    def __init__(self, columns: dict[str, Array], size: int) -> None:
        self.columns, self.size = columns, size
        self.order = np.random.default_rng(7).permutation(N)

    def held(self, key: str, output: str) -> set[str]:
        """The columns that there are."""
        assert (key, output) == ("0" * 64, "out")
        return set(self.columns)

    def tiles(self, key: str, output: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """A few samples after the others; rows within a tile are shuffled."""
        assert (key, output) == ("0" * 64, "out")
        places = {"sample": np.broadcast_to(10 * np.arange(N), (K, N)), "element": np.mgrid[:K, :N][0]}
        for start in range(0, N, self.size):
            some = self.order[start : start + self.size]
            mixed = np.random.default_rng(start).permutation(K * len(some))
            whole = {name: values[:, some] for name, values in {**places, **self.columns}.items()}
            flat = {name: values.reshape(-1, *values.shape[2:])[mixed] for name, values in whole.items()}
            fields = [OBSERVATIONS.field(name) for name in columns]
            arrays = [pa.array(list(flat[f.name]), f.type, from_pandas=True) for f in fields]
            yield pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def samples(self, key: str) -> pa.Table:
        """The averages over orbits, where there are classes."""
        del key
        prediction = self.columns.get("prediction")
        averages = None if prediction is None else prediction[1][self.order]
        columns = {"output": ["out"] * N, "sample": 10 * self.order}
        averaged = {"averaged_prediction": averages, "loss_of_average": self.loss, "orbit_variance": self.loss}
        averaged["consensus_agreement"] = None if self.loss is None else self.loss / (1 + self.loss)
        return pa.table(columns | {k: pa.array([None] * N if v is None else v) for k, v in averaged.items()})

    @property
    def loss(self) -> Array | None:
        """Half of each unmoved sample's loss, in the order of the file; None where there is none."""
        return self.columns["loss"][0][self.order] / 2 if "loss" in self.columns else None


def record(task: str) -> CellRecord:
    """A cell whose elements are of three kinds, and its group of two pieces."""
    elements = [
        ElementRecord(
            element=i, label=f"g{i}", kind=KINDS[i], size=1.0 * i, weight=i + 1.0, parameters={}, stratum="aaabbbb"[i]
        )
        for i in range(K)
    ]  # fmt: skip
    output = {"task": task.replace("unlabelled", "classification"), "null_limit_sq": 1e-12, "mean_square": 1.0}
    known: dict[str, Any] = {
        "key": "0" * 64, "samples": N, "outputs": {"out": output}, "elements": elements, "facts": {}, "remarks": {},
        "generators": [], "sizes": {}, "lower_precision": {}, "controls": {},
    }  # fmt: skip
    return CellRecord.model_construct(**known)


def reading(task: str, size: int) -> Reading:
    pieces: Any = Pieces(drawn(task), size)
    return Reading(pieces, record(task), "out")


def table(task: str) -> Observed:
    """The whole table, put together by hand."""
    columns = {name: values.astype(np.float64) for name, values in drawn(task).items()}
    columns["valid"] = columns["valid"] == 1
    if task == "multi-label":
        columns["correct"] = ((columns["label_scores"] > 0) == columns["label_targets"]).mean(axis=-1)
    if task == "segmentation":
        right = columns["place_right"]
        columns |= {"correct": np.nan_to_num(right), "valid": columns["valid"] & ~np.isnan(right)}
    known = reading(task, N).context
    beside = {name: getattr(known, name) for name in ("samples", "weights", "labels", "kinds", "strata", "task")}
    averaged = columns["prediction"][1] if "prediction" in columns else None
    half = columns["loss"][0] / 2 if "loss" in columns else None
    agreement = None if half is None else half / (1 + half)
    means = {"averaged": averaged, "loss_of_average": half, "orbit_variance": half, "consensus_agreement": agreement}
    made: dict[str, Any] = {**columns, **beside, **means}
    return Observed(**made, null_limit_sq=1e-12, controls={}, facts={})


TASKS = ["classification", "unlabelled", "multi-label", "embedding", "regression", "segmentation", "detection"]
CHOICES: dict[str, Any] = {
    "all": lambda seen: seen,
    "of one kind": lambda seen: seen.only("resampled"),
    "with the identity": lambda seen: seen.only("permutation"),
    "of one piece": lambda seen: seen.of_stratum("b"),
}


def same(one: Value, other: Value) -> None:
    """Every field of two estimates is alike to 1e-12, their limits too."""
    for name in ("n", "element", "reason", "failed", "output", "unit", "drawn", "within"):
        assert getattr(one, name) == getattr(other, name)
    number = other.estimate
    assert one.estimate == (None if number is None else pytest.approx(number, rel=1e-12, abs=1e-14))
    assert (one.sampled is None) == (other.sampled is None)
    if one.sampled is not None and other.sampled is not None:
        a, b = (each.sampled.interval(seed=0, resamples=99) for each in (one, other) if each.sampled)
        assert (a.low is None, a.high is None, a.n) == (b.low is None, b.high is None, b.n)
        if a.low is not None and a.high is not None:
            assert (a.low, a.high) == pytest.approx((b.low, b.high), rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(one.sampled.influence(), other.sampled.influence(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", FOLDS)
def test_a_folded_metric_is_the_whole_tables(name: str, task: str, choice: str) -> None:
    """Alone, so that a column that it looks at and does not name is not there."""
    wanted, where = Wanted(name, FOLDS[name]), reading(task, 16)
    found = folded(where, [wanted], [CHOICES[choice]])[wanted]
    values = values_of(wanted, CHOICES[choice](where.context), found)
    expected = FOLDS[name](CHOICES[choice](table(task)))
    assert len(values) == len(expected)
    for one, other in zip(values, expected, strict=True):
        same(one, other)


def test_all_at_once_are_as_each_alone() -> None:
    """Steps that several metrics have are taken once."""
    where = reading("classification", 16)
    every = [Wanted(name, metric, number) for name, metric in FOLDS.items() for number in (0, 1)]
    found = folded(where, every, [CHOICES["all"], CHOICES["of one kind"]])
    for each in every:
        choose = CHOICES["of one kind" if each.subset else "all"]
        alone = Wanted(each.name, each.metric)
        known = choose(where.context)
        expected = values_of(alone, known, folded(where, [alone], [choose])[alone])
        for one, other in zip(values_of(each, known, found[each]), expected, strict=True):
            same(one, other)


@pytest.mark.parametrize("task", TASKS)
def test_the_whole_table_is_put_together_from_its_tiles(task: str) -> None:
    seen, expected = reading(task, 10).whole(), table(task)
    for name in OBSERVATIONS.names:
        if name in vars(expected):
            np.testing.assert_array_equal(getattr(seen, name), getattr(expected, name))
    for name in AVERAGED.values():
        np.testing.assert_array_equal(getattr(seen, name), getattr(expected, name))


def test_elements_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours are read together, and each element is its own."""
    monkeypatch.setattr("symbench.read.estimates.reading.AT_ONCE", 3 * N * 3)
    where, expected = reading("classification", 16), table("classification")
    passes: list[tuple[str, ...]] = []
    tiles = where.cells.tiles

    def counted(key: str, output: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        passes.append(tuple(columns))
        return tiles(key, output, columns)

    monkeypatch.setattr(where.cells, "tiles", counted)
    for k in range(K):
        mine = where.context.element(k, "confidence")
        assert mine.confidence is not None
        assert expected.confidence is not None
        np.testing.assert_array_equal(mine.confidence[0], expected.confidence[k])
        assert mine.labels == [f"g{k}"]
        assert mine.loss is None
    assert len(passes) == 3


def test_floors_are_of_all_samples() -> None:
    rows = pa.table({"control": [], "output": []}).to_pandas()
    where = reading("classification", 16)
    basis = Wanted("floors", BASIS)
    found = folded(where, [basis], [CHOICES["all"]])[basis]
    assert not isinstance(found, Value)
    assert found["unrelated"] / found["count"] == pytest.approx(np.nanmean(drawn("classification")["unrelated_sq"]))
    np.testing.assert_array_equal(found["before"][0], drawn("classification")["prediction"][0])
    assert with_controls(where.context, rows, where.record, "out", found).null_limit_sq == 1e-12


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.slice(0, len(t) - 1), "rows, expected all of 7 elements"),
        (lambda t: t.set_column(1, "element", pa.array(np.zeros(len(t), "i4"))), "expected all of 7 elements"),
        (lambda t: t.set_column(0, "sample", pa.array(np.arange(len(t)), pa.int32())), "elements of other samples"),
    ],
    ids=["a row is missing", "elements are wrong", "samples are wrong"],
)
def test_a_tile_that_is_not_whole_is_refused(spoil: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where = reading("classification", 16)
    tiles = where.cells.tiles
    monkeypatch.setattr(where.cells, "tiles", lambda *a: (spoil(t) for t in tiles(*a)))
    with pytest.raises(AssertionError, match=said):
        list(where.tiles())


def test_samples_that_are_missing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    where = reading("classification", 16)
    tiles = where.cells.tiles
    monkeypatch.setattr(where.cells, "tiles", lambda *a: list(tiles(*a))[1:])
    with pytest.raises(AssertionError, match=r"97 samples, expected 113"):
        list(where.tiles())


def test_a_step_that_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seen: Observed, found: Any) -> Any:
        raise ZeroDivisionError(len(seen.samples))

    wanted = Wanted("broken", replace(FOLDS["loss"], steps=(broken,)))
    found = folded(reading("regression", 16), [wanted], [CHOICES["all"]])[wanted]
    assert isinstance(found, Value)
    assert found.failed
    assert "metric broken" in str(found.reason)
    assert "ZeroDivisionError" in str(found.reason)
