"""Outputs that are written otherwise than they are declared, and would move as declared if they were not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor

from symbench.algebra.fields import Field
from symbench.domains.common.notations import NOTATIONS
from symbench.measure.assemble import Prepared


def in_other_notations(prepared: Prepared, field: Field) -> Iterator[tuple[str, str, Callable[[Tensor], Tensor]]]:
    """The name of each notation, what is said of an output in it, and what reads it.

    Args:
        prepared: the symmetry.
        field: what it is declared as.
    """
    value = field.framed(prepared.frame).value
    for name, row in NOTATIONS:
        if row.kind == value.kind and not field.places:
            yield name, row.words, partial(row.load(), value=value)
