"""Outputs that stand at places of an axis: how they are compared, and what of them is padding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from symbench.algebra.comparison import Comparison, PerPlace, Whole, real_places
from symbench.algebra.fields import Field, Undeclared
from symbench.algebra.objects import Sets
from symbench.measure.tasks import Open


def comparison_of(field: Field, shape: tuple[int, ...], moved: str, sizes: Mapping[str, Sequence[int]]) -> Comparison:
    """How outputs are compared with those of other samples.

    Args:
        field: of the output.
        shape: of one sample's.
        moved: the name of the places that the symmetry moves.
        sizes: by axis, how many places each sample of the dataset has, where samples differ in it.
    """
    axes = axes_of(field, moved)
    if field.value.unordered and not field.places:
        return Sets()
    if not axes:
        return Whole()
    return PerPlace(shape[: len(axes)], tuple(sizes.get(axis) for axis in axes))


def axes_of(field: Field, moved: str) -> tuple[str, ...]:
    """The names of the axes that values stand along; none where they stand on a grid."""
    return () if field.grid is not None else field.named(moved).axes


def output_fields(pairs: Iterable[Open]) -> dict[str, Field]:
    """The field of every output: as declared, or that of its target where nothing is declared and that moves."""
    return {
        each.output: each.target_field
        if isinstance(each.field, Undeclared) and each.target_field is not None and each.target_field.places
        else each.field
        for each in pairs
    }


def without_padding(values: Tensor, axes: tuple[str, ...], leaves: Mapping[str, Tensor]) -> Tensor:
    """``(n, *axes, ...)`` with zeros where a place is padding; as it is where no place can be.

    Args:
        values: of an output, or a target.
        axes: that it stands along.
        leaves: of the same samples, the masks of axes among them.
    """
    real = real_places(values, axes, leaves)
    return (
        values if real is None else values.masked_fill(~real.view(*real.shape, *(1,) * (values.ndim - real.ndim)), 0)
    )
