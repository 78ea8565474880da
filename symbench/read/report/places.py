"""What a symmetry on a dataset is called in a sentence: no longer than it takes to tell it from the others."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from symbench.algebra.metrics import role_of

LAYER = role_of("layer")

Place = tuple[str, str, str]
"""Symmetry, dataset, output."""


@dataclass(frozen=True)
class Places:
    """All places of a report.

    Attributes:
        known: symmetry, dataset and output of each; no output for cells that failed.
    """

    known: frozenset[Place]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Places:
        """Of a table of estimates."""
        mine = frame[frame["symmetry"].notna() & (frame["metric"] != LAYER)]
        rows = mine[["symmetry", "dataset", "output"]].drop_duplicates().fillna("").itertuples(index=False)
        return cls(frozenset((str(symmetry), str(dataset), str(output)) for symmetry, dataset, output in rows))

    def name(self, symmetry: str, dataset: str, output: str | None = None) -> str:
        """``c4``; ``c4 on odd`` where there are other datasets under it; ``c4, maps`` where there are other outputs.

        Args:
            symmetry: its name.
            dataset: its name.
            output: None where all of them are meant.
        """
        datasets = {known[1] for known in self.known if known[0] == symmetry}
        outputs = {known[2] for known in self.known if known[:2] == (symmetry, dataset)} - {""}
        where = f" on {dataset}" if datasets - {dataset} else ""
        return f"{symmetry}{where}" + (f", {output}" if output is not None and outputs - {output} else "")
