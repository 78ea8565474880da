"""Datasets: batches with declared fields and targets.

To add one: write its file here, and add a row to ``DATASETS``. A user's own dataset needs neither: any sequence
of ``(image, label)`` will do (``items.py`` of the images).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from symbench.algebra.fields import USUAL, Field
from symbench.base.registry import Row, Table

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DatasetRow(Row):
    """A dataset in the table.

    Attributes:
        fields: the field of every leaf that its batches hold.
        varying: the same under some options, where they make a difference; it returns None where only the loaded
            dataset can tell.
        made_for: of a row for sequences, the package whose objects they hold; empty for the usual one.
    """

    fields: Mapping[str, Field] = field(default_factory=lambda: {"image": USUAL})
    varying: Callable[[Mapping[str, Any]], Mapping[str, Field] | None] | None = field(default=None, kw_only=True)
    made_for: str = field(default="", kw_only=True)

    def fields_under(self, options: Mapping[str, Any]) -> Mapping[str, Field] | None:
        """The field of every leaf under some options, which are checked, or wrong and so none; None where only
        the loaded dataset can tell."""
        return self.fields if self.varying is None or not options else self.varying(options)


DATASETS: Table[DatasetRow] = Table("dataset", DatasetRow, {})
SEQUENCES: Table[DatasetRow] = Table("sequence", DatasetRow, {}, entry_points=False)
"""What makes a dataset of a sequence that a user's own code returns, each with what the sequence has to hold."""


def of_sequences(found: object = None) -> DatasetRow:
    """What a sequence is taken for: the row made for the package of its class, or of what a list holds; else the
    usual one. Nothing is read of anything but a list."""
    usual = next(row for row in SEQUENCES.rows.values() if not row.made_for)
    seen = [found, *(found[:1] if isinstance(found, (list, tuple)) else [])]
    packages = {base.__module__.partition(".")[0] for each in seen for base in type(each).__mro__}
    return next((row for row in SEQUENCES.rows.values() if row.made_for in packages), usual)
