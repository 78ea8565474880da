"""A run or a baseline that is read: its cells, their records, and what models took in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from symbench.base.errors import ConfigError
from symbench.base.passes import PassRecord
from symbench.base.records import CellRecord, CellStatus, Manifest, PassStatus
from symbench.measure.store import Store
from symbench.read import estimates


class Measured(estimates.Cells, Protocol):
    """A run or a baseline: its cells, and where they are."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def cells(self) -> Sequence[CellStatus]:
        """Its cells, measured or not."""

    @property
    def passes(self) -> Sequence[PassStatus]:
        """The throughput passes of its models."""


class Timed:
    """The records of a run or a baseline, each with its model's time over all cells, which took one each."""

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        self.times = estimates.times(measured, measured.cells)

    def record(self, cell: CellStatus | None) -> CellRecord | None:
        """The record of a cell that is measured."""
        if cell is None or cell.status == "failed":
            return None
        record = self.measured.cell(cell.key)
        return record and estimates.with_seconds(record, self.times.get((cell.model, cell.dataset), []))

    def passes(self, cell: CellStatus | None) -> estimates.Taken:
        """The throughput passes of a cell's model on its dataset."""
        if cell is None:
            return estimates.NONE
        return estimates.taken(self.measured, self.measured.passes, cell.model, cell.dataset)

    def fault(self, cell: CellStatus | None) -> str | None:
        """Why a cell that is there counts as not measured."""
        return None if cell is None or cell.status == "failed" else self.measured.fault(cell.key)


@dataclass(frozen=True)
class Recorded:
    """A run in a results folder."""

    store: Store
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its id."""
        return self.manifest.run

    @property
    def cells(self) -> Sequence[CellStatus]:
        """Its cells, measured or not."""
        return self.manifest.cells

    @property
    def passes(self) -> Sequence[PassStatus]:
        """The throughput passes of its models."""
        return self.manifest.passes

    @property
    def replicas(self) -> dict[str, int]:
        """Which training each model is of those that differ by their seed alone, from 0."""
        return estimates.replicas_of(self.manifest)

    def pass_of(self, key: str, file: str) -> PassRecord:
        """A throughput pass.

        Raises:
            ConfigError: it is missing, or not what was written.
        """
        return self.store.pass_of(key, file)

    def cell(self, key: str) -> CellRecord | None:
        """The record of a finished cell, if it is there."""
        return self.store.cell(key)

    def fault(self, key: str) -> str | None:
        """Why a cell that is there counts as not measured."""
        return self.store.fault(key)

    def held(self, key: str, output: str) -> set[str]:
        """The columns that hold anything for an output."""
        return self.store.held(key, output)

    def tiles(self, key: str, output: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of an output's observations, a few samples after the others."""
        return self.store.tiles(key, output, columns)

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits of a finished cell."""
        return self.store.samples(key)

    def controls(self, key: str) -> pa.Table:
        """The rows of a finished cell's controls."""
        return self.store.controls(key)


def faults(measured: Measured) -> list[str]:
    """What of a run counts as not measured although it is there, a sentence each."""
    each = ((cell, measured.fault(cell.key)) for cell in measured.cells if cell.status != "failed")
    found = [f"{'/'.join(names_of(c).values())} (cell {c.key[:12]}): {fault}" for c, fault in each if fault]
    for status in measured.passes:
        try:
            if status.file is not None:
                measured.pass_of(status.key, status.file)
        except ConfigError as error:
            found.append(f"{status.model}/{status.dataset} (throughput pass): {error}")
    return found


def names_of(cell: CellStatus) -> dict[str, str]:
    """Its names, by their kind."""
    return {"model": cell.model, "dataset": cell.dataset, "symmetry": cell.symmetry}
