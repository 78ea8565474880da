"""What is left of a group where a grid has unequal sides or spacing: the largest subgroup that maps it to itself."""

from __future__ import annotations

from collections.abc import Mapping

from symbench.algebra.fields import Field, Grid
from symbench.algebra.groups.base import Group
from symbench.base.errors import ImpossiblePair, Problem


def keeping_grids(
    group: Group, fields: Mapping[str, Field], shapes: Mapping[str, tuple[int, ...]], where: str = ""
) -> tuple[Group, str | None]:
    """The largest subgroup whose elements map the grids of all leaves to themselves, and what is to be said of it.

    Args:
        group: all of it.
        fields: of the leaves.
        shapes: of one sample of each leaf.
        where: the suite's key, for messages.

    Returns:
        The group itself and None where nothing is lost.

    Raises:
        ImpossiblePair: the identity alone is left.
    """
    kept, lost = group, ""
    for leaf, field in fields.items():
        if field.grid is None:
            continue
        before = kept
        kept = kept.keeping(shapes[leaf][-field.grid.size :], field.grid.spacing)
        lost = lost if kept is before else _written(field.grid, shapes[leaf])
    if kept is group:
        return group, None
    if kept.count == 1:
        got = f"no element of {group.name} but the identity maps {lost} to themselves"
        raise ImpossiblePair(Problem(where, got, "sides of equal length and spacing, or another group"))
    return kept, f"{kept.name} stands for {group.name}: its {kept.count} elements that map {lost} to themselves"


def _written(grid: Grid, shape: tuple[int, ...]) -> str:
    sides = " x ".join(map(str, shape[-grid.size :]))
    apart = " x ".join(f"{each:g}" for each in grid.spacing)
    return f"{sides} places" + (f" at distances {apart}" if len(set(grid.spacing)) > 1 else "")
