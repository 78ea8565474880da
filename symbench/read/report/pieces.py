"""Groups in several pieces of which a model respects one and not another: which group it does respect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from symbench.algebra.groups import within, written
from symbench.algebra.metrics import role_of
from symbench.algebra.metrics.equivariance import MARGIN
from symbench.base.records import Manifest
from symbench.read.numbers import scientific
from symbench.read.report.tables import Board

ROUNDING, DEVIATION = role_of("rounding"), role_of("deviation")


@dataclass(frozen=True)
class Parted:
    """A model that respects some pieces of a symmetry's group alone.

    Attributes:
        model: its name.
        place: symmetry and dataset.
        text: what there is to be said, without the model's name.
    """

    model: str
    place: tuple[str, str]
    text: str


def groups_of(manifest: Manifest) -> dict[str, str]:
    """The group of every symmetry of a run's suite, by the symmetry's name."""
    entries = manifest.suite.get("symmetries", {})
    return {name: str(entry["group"]) for name, entry in entries.items() if "group" in entry}


def parted(frame: pd.DataFrame, groups: Mapping[str, str]) -> Iterator[Parted]:
    """What is found of every model under every symmetry in several pieces, in the order of the run.

    A piece is respected where every output is known to deviate by no more than rounding may come to, and broken where
    one does so by far; of what lies between, and of outputs of which that cannot be told, nothing is said.

    Args:
        frame: estimates.
        groups: by the symmetry's name.
    """
    mine = frame[frame["stratum"].notna() & frame["symmetry"].notna() & frame["element"].isna()]
    for (model, symmetry, dataset), rows in mine.groupby(["model", "symmetry", "dataset"], sort=False):
        multiples = rows[rows["metric"] == ROUNDING].pivot_table(index="stratum", columns="output", values="estimate")
        known = multiples.reindex(columns=pd.unique(rows["output"].dropna()))  # with those that have no number
        kept = [str(piece) for piece, row in known.iterrows() if (row <= 1).all()]
        broken = multiples[(multiples > MARGIN).any(axis=1)]
        if kept and not broken.empty:
            words = _words(rows, groups.get(str(symmetry), str(symmetry)), kept, broken)
            yield Parted(str(model), (str(symmetry), str(dataset)), words)


def _words(rows: pd.DataFrame, group: str, kept: list[str], broken: pd.DataFrame) -> str:
    """``respects SO(3), not O(3): proper elements hold to rounding, improper ones change forces (E = 0.002)``."""
    errors = rows[rows["metric"] == DEVIATION].set_index(["stratum", "output"])["estimate"]
    changed = []
    for piece in broken.index:
        outputs = [name for name in broken.columns if broken.loc[piece, name] > MARGIN]
        how = " and ".join(f"{name} (E = {scientific(errors[piece, name])})" for name in outputs)
        changed.append(f"{piece} ones change {how}")
    subgroup = next((name for piece in kept if (name := within(group, piece)) is not None), None)
    first = f"respects {subgroup}, not {written(group)}" if subgroup else f"respects a part of {written(group)} alone"
    return f"{first}: {' and '.join(kept)} elements hold to rounding, {', '.join(changed)}"


def with_parted(boards: Sequence[Board], every: Sequence[Parted]) -> list[Board]:
    """Boards with what is said of models that respect a part of their symmetry, below the first of each symmetry."""
    first = {board.place[:2]: board for board in reversed(boards)}
    return [_with(board, every) if board is first[board.place[:2]] else board for board in boards]


def _with(board: Board, every: Sequence[Parted]) -> Board:
    said = [f"{each.model} {each.text}" for each in every if each.place == board.place[:2]]
    return replace(board, verdicts=[*board.verdicts, *said])
