"""From a cell's files to the arrays that metrics see: samples with all elements, or elements with all samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symbench.algebra.fields import Classes
from symbench.algebra.metrics.base import Context, Observed
from symbench.algebra.statistics import Array
from symbench.base.columns import AVERAGED, LISTS, SEEN
from symbench.base.passes import PassRecord
from symbench.base.records import CellRecord

AT_ONCE = 500_000
"""Numbers of all samples that are read at once for the sake of single elements: 4 MB."""


class Cells(Protocol):
    """Where measured cells are: a results folder, or a baseline."""

    def cell(self, key: str) -> CellRecord | None:
        """The record of a finished cell, if it is there and is what was written."""

    def fault(self, key: str) -> str | None:
        """Why a cell that is there counts as not measured."""

    def held(self, key: str, output: str) -> set[str]:
        """The columns of a finished cell's observations that hold anything for an output."""

    def tiles(self, key: str, output: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of an output's observations, a few samples after the others, with all of their elements."""

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits of a finished cell."""

    def controls(self, key: str) -> pa.Table:
        """The rows of a finished cell's controls."""

    def pass_of(self, key: str, file: str) -> PassRecord:
        """A throughput pass.

        Raises:
            ConfigError: it is missing, or not what was written.
        """


@dataclass
class Reading:
    """The observations of one output of one cell, of which no more is in memory than is being looked at.

    Attributes:
        cells: where its files are.
        record: the cell.
        output: the output's name.
    """

    cells: Cells
    record: CellRecord
    output: str

    def __post_init__(self) -> None:
        self._block: tuple[tuple[str, ...], int, Observed] | None = None

    @cached_property
    def _orbits(self) -> tuple[Array, dict[str, Array]]:
        """The samples in ascending order, and what there is of their orbits' means, by the names metrics have."""
        table = self.cells.samples(self.record.key)
        mine = table.filter(pc.equal(table["output"], self.output)).sort_by("sample")
        known = {name: mine[column] for column, name in AVERAGED.items() if mine[column].null_count < len(mine)}
        arrays = {name: column.cast(pa.float64()).to_numpy() for name, column in known.items()}
        return mine["sample"].to_numpy(), arrays

    @cached_property
    def _held(self) -> set[str]:
        return self.cells.held(self.record.key, self.output)

    @property
    def samples(self) -> Array:
        """The dataset's indices, ascending, ``(n,)``."""
        return self._orbits[0]

    @cached_property
    def context(self) -> Context:
        """What is known beside the observations, without what controls came to."""
        record, output = self.record, self.record.outputs[self.output]
        places = output.get("by_place") or {}
        weights = np.array([e.weight for e in record.elements])
        return Context(
            samples=self.samples,
            weights=weights / weights.sum(),
            labels=[e.label for e in record.elements],
            kinds=[e.kind for e in record.elements],
            strata=[e.stratum for e in record.elements],
            null_limit_sq=output["null_limit_sq"],
            controls={},
            facts=record.facts,
            remarks=record.remarks,
            task=output["task"],
            classes=tuple(output.get("classes", ())),
            classes_move=output.get("field") == Classes.kind,
            cell_samples=record.samples,
            unit=output.get("unit", "output"),
            axis=places.get("axis"),
            extensive=places.get("extensive", False),
            per_sample=places.get("places"),
            reader=self._element,
        )

    def tiles(self, names: Sequence[str] = SEEN) -> Iterator[Observed]:
        """A few samples after the others, each with all elements.

        Args:
            names: of the columns; others are None.

        Raises:
            AssertionError: a sample or an element is missing, or there twice.
        """
        seen = 0
        for table in self.cells.tiles(self.record.key, self.output, ["sample", "element", *self._read(names)]):
            tile = self._tile(table, names)
            seen += len(tile.samples)
            yield tile
        if seen != self.record.samples:
            raise AssertionError(f"{self.record.key}: {seen} samples, expected {self.record.samples}")

    def _read(self, names: Sequence[str]) -> list[str]:
        """Those of the columns that hold anything, and what the others are made from or go with."""
        labels = {"label_scores", "label_targets", "place_right"} if {"correct", "valid"} & set(names) else set()
        return [name for name in SEEN if name in self._held and name in {*names, *labels, "valid", "deviation_sq"}]

    def _tile(self, table: pa.Table, names: Sequence[str]) -> Observed:
        count = len(self.record.elements)
        sample, element = table["sample"].to_numpy(), table["element"].to_numpy()
        shape = (count, len(table) // count)
        found = np.lexsort((sample, element))
        order = None if (found == np.arange(len(table))).all() else found  # None: nothing has to be moved
        sample, element = sample[found], element[found]
        if not (element.size == shape[0] * shape[1] and (element.reshape(shape) == np.arange(count)[:, None]).all()):
            raise AssertionError(
                f"{self.record.key}: {len(table)} rows, expected all of {count} elements of each sample"
            )
        if not (sample.reshape(shape) == sample[: shape[1]]).all():
            raise AssertionError(f"{self.record.key}: elements of other samples")
        arrays = {name: _array(table[name], order, shape, self._lengths.get(name)) for name in self._read(names)}
        return self._observed(sample[: shape[1]], arrays)

    def _observed(self, samples: Array, arrays: Mapping[str, Array]) -> Observed:
        known: dict[str, Any] = {name: arrays.get(name) for name in SEEN}
        deviation = known["deviation_sq"]
        if deviation is None:
            raise AssertionError(f"{self.record.key}: no deviations")
        if known["unrelated_sq"] is None:
            known["unrelated_sq"] = np.full_like(deviation, np.nan)
        scores, targets = known["label_scores"], known["label_targets"]
        if scores is not None and targets is not None:  # of several labels: the share that is right
            known["correct"] = ((scores > 0) == targets).mean(axis=-1)
        known["valid"] = known["valid"] == 1
        if (right := known["place_right"]) is not None:  # a map without a labelled place is neither right nor wrong
            known["correct"], known["valid"] = np.nan_to_num(right), known["valid"] & ~np.isnan(right)
        every, averaged = self._orbits
        known |= {name: values[np.searchsorted(every, samples)] for name, values in averaged.items()}
        beside = {name: value for name, value in vars(self.context).items() if name != "samples"}
        return Observed(**known, **beside, samples=samples)

    def whole(self) -> Observed:
        """All observations, samples in ascending order: for metrics that are computed in no other way."""
        return self._elements(range(len(self.record.elements)), SEEN)

    def _element(self, k: int, names: tuple[str, ...]) -> Observed:
        """The observations of one element; its neighbours are read with it, since they are asked for next."""
        numbers = len(self.record.elements)
        if self._block is None or self._block[0] != names or not 0 <= k - self._block[1] < len(self._block[2].labels):
            width = self.block_width(names)
            start = k // width * width
            self._block = names, start, self._elements(range(start, min(numbers, start + width)), names)
        return self._block[2].element(k - self._block[1])

    @cached_property
    def _lengths(self) -> dict[str, int]:
        """How long the lists of each column are that holds lists: all of one are of one length."""
        lists = [name for name in LISTS if name in self._held]
        found = dict[str, int]()
        for table in self.cells.tiles(self.record.key, self.output, lists) if lists else ():
            known = {name: pc.max(pc.list_value_length(table[name])).as_py() for name in lists}
            found |= {name: length for name, length in known.items() if length is not None}
            if len(found) == len(lists):
                break
        return found

    def _width(self, names: Sequence[str]) -> int:
        """The numbers that stand under the names for one sample and element."""
        return sum(self._lengths.get(name, 1) for name in self._read(names))

    def blocks(self, names: Sequence[str], width: int) -> Iterator[Observed]:
        """So many elements after the others, each with all samples in ascending order."""
        count = len(self.record.elements)
        for start in range(0, count, width):
            yield self._elements(range(start, min(count, start + width)), names)

    def block_width(self, names: Sequence[str]) -> int:
        """How many elements are few enough to be read at once."""
        return max(1, AT_ONCE // (self.record.samples * max(1, self._width(names))))

    def _elements(self, numbers: range, names: Sequence[str]) -> Observed:
        """Consecutive elements, all samples in ascending order."""
        rows, arrays = slice(numbers.start, numbers.stop), dict[str, Array]()
        for tile in self.tiles(names):
            at = np.searchsorted(self.samples, tile.samples)
            for name in self._read(names):
                values = getattr(tile, name)[rows]
                if name not in arrays:
                    arrays[name] = np.empty((len(numbers), self.record.samples, *values.shape[2:]), values.dtype)
                arrays[name][:, at] = values
        found = self._observed(self.samples, arrays)
        chosen: dict[str, Any] = {name: list(getattr(found, name))[rows] for name in ("labels", "kinds", "strata")}
        return replace(found, **chosen, weights=found.weights[rows])


def outputs_of(cells: Cells, record: CellRecord) -> Iterator[Reading]:
    """Every output of a cell."""
    for output in record.outputs:
        yield Reading(cells, record, output)


def _array(column: pa.ChunkedArray, order: Array | None, shape: tuple[int, int], length: int | None) -> Array:
    """A column as float64 ``(k, n)``, or ``(k, n, length)`` where it holds lists; NaN where nothing is in it."""
    if length is not None:
        values: Array = np.full((len(column), length), np.nan)
        flat = column.combine_chunks().flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
        values[pc.is_valid(column).to_numpy()] = flat.reshape(-1, length)
    else:
        values = column.cast(pa.float64()).to_numpy()
    return (values if order is None else values[order]).reshape(*shape, *values.shape[1:])
