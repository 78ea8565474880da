"""The throughput passes of a model on a dataset, as metrics see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symbench.base.errors import ConfigError
from symbench.base.passes import PassRecord, alike
from symbench.base.records import PassStatus
from symbench.read.estimates.floors import Kind
from symbench.read.estimates.reading import Cells


@dataclass(frozen=True)
class Taken:
    """Passes of a model on a dataset.

    Attributes:
        records: those of the hardware of the newest one, the oldest first.
        others: how many there are of other hardware.
        failure: why there is none.
    """

    records: tuple[PassRecord, ...] = ()
    others: int = 0
    failure: str | None = None

    def seen(self, whole: Kind) -> Kind:
        """What a metric sees, with these passes."""
        said = {} if self.failure is None else {"passes": self.failure}
        if self.others:
            said["other passes"] = f"passes of other hardware, batches or numerics are left out: {self.others}"
        return replace(whole, passes=self.records, remarks={**whole.remarks, **said})


NONE = Taken()


def taken(cells: Cells, listed: Sequence[PassStatus], model: str, dataset: str) -> Taken:
    """The passes of one model on one dataset.

    Args:
        cells: where their files are.
        listed: all passes of a run or a baseline.
        model: its name.
        dataset: its name.
    """
    records, reasons = [], []
    for status in listed:
        if (status.model, status.dataset) != (model, dataset):
            continue
        try:
            if status.file is None:
                reasons.append(status.reason or "the pass failed")
            else:
                records.append(cells.pass_of(status.key, status.file))
        except ConfigError as error:
            reasons.append(str(error))
    chosen = alike(records)
    return Taken(tuple(chosen), len(records) - len(chosen), None if records or not reasons else reasons[-1])
