"""Values of three-dimensional space beside vectors and points: tensors, Voigt's six numbers, spherical harmonics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from symbench.algebra.fields.base import Value

Convention = Literal["standard", "condon-shortley", "e3nn"]
"""How real spherical harmonics are ordered and signed, m from -l to l:

- ``standard``: the polar axis is z, and harmonics of degree 1 are ``(y, z, x)``, as in sphericart;
- ``condon-shortley``: the same with ``(-1)^m``: ``(-y, z, -x)``;
- ``e3nn``: the polar axis is y, and harmonics of degree 1 are ``(x, y, z)``.
"""
Parity = Literal["e", "o"]
"""Even or odd: what inversion does."""

PAIRS = ("xx", "yy", "zz", "yz", "xz", "xy")
"""Voigt's order."""


@dataclass(frozen=True)
class PseudoScalar(Value):
    """Numbers that a mirror or inversion negates, such as a measure of handedness. Of any shape."""


@dataclass(frozen=True)
class Tensor(Value):
    """A Cartesian tensor in its last ``rank`` axes, of 3 components each: stress, polarisability, elastic constants.

    Attributes:
        rank: how many indices it has.
        symmetric: of rank 2, it is its own transpose, and stays so bit for bit.
    """

    rank: int = 2
    symmetric: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= MOST_INDICES:
            raise ValueError(f"rank {self.rank}: a tensor has 1 to {MOST_INDICES} indices")
        if self.symmetric and self.rank != 2:
            raise ValueError(f"rank {self.rank}: a symmetric tensor has 2 indices")

    def __str__(self) -> str:
        return f"{'symmetric ' if self.symmetric else ''}{self.kind} of rank {self.rank}"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Three components for each index."""
        return _unlike(shape, (3,) * self.rank, f"a tensor of rank {self.rank}")


MOST_INDICES = 6
"""Of a tensor: it then has 729 components."""


@dataclass(frozen=True)
class Voigt(Value):
    """A symmetric tensor of rank 2 as six numbers in its last axis.

    ``Voigt()`` is stress; ``Voigt(factors=(1, 1, 1, 2, 2, 2))`` is engineering strain, whose shears count twice.

    Attributes:
        order: which component each number is.
        factors: what each component is multiplied by.
    """

    order: tuple[str, ...] = PAIRS
    factors: tuple[float, ...] = (1.0,) * 6

    def __post_init__(self) -> None:
        if sorted(self.order) != sorted(PAIRS):
            raise ValueError(f"{self.order}: the order is {', '.join(PAIRS)}, or the same in another order")
        if len(self.factors) != 6 or not all(factor > 0 for factor in self.factors):
            raise ValueError(f"{self.factors}: six factors above 0, one for each component")

    def __str__(self) -> str:
        terms = (f"{factor:g} {pair}" for pair, factor in zip(self.order, self.factors, strict=True))
        return f"{self.kind} ({', '.join(terms)})"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Six numbers."""
        return _unlike(shape, (6,), "a tensor in Voigt's form")


@dataclass(frozen=True)
class Spherical(Value):
    """The ``2 l + 1`` coefficients of real spherical harmonics of one degree, in its last axis.

    Libraries order and sign them in different ways, so that the convention has to be said.

    Attributes:
        degree: l.
        convention: of the harmonics.
        parity: what inversion does; None where it is that of the harmonics, ``(-1)^l``.
    """

    degree: int
    convention: Convention = field(kw_only=True)
    parity: Parity | None = None

    def __post_init__(self) -> None:
        _check_convention(self.convention)
        if not 0 <= self.degree <= MOST_DEGREE or self.parity not in {None, "e", "o"}:
            raise ValueError(f"{self.degree}, {self.parity}: a degree from 0 to {MOST_DEGREE}, and parity 'e' or 'o'")

    def __str__(self) -> str:
        return f"{self.kind} {_irrep(self.degree, self.odd)} ({self.convention})"

    @property
    def odd(self) -> bool:
        """Whether inversion negates it."""
        return bool(self.degree % 2) if self.parity is None else self.parity == "o"

    @property
    def blocks(self) -> tuple[tuple[int, int, bool], ...]:
        """How often, which degree, and whether it is odd: itself, once."""
        return ((1, self.degree, self.odd),)

    def misfit(self, shape: Sequence[int]) -> str | None:
        """``2 l + 1`` numbers."""
        return _unlike(shape, (2 * self.degree + 1,), f"degree {self.degree}")


@dataclass(frozen=True)
class DirectSum(Value):
    """Spherical harmonics of several degrees end to end in the last axis. See :func:`direct_sum`.

    Attributes:
        blocks: how often, which degree, and whether inversion negates it; each block is ``(often, 2 l + 1)``, flat.
        convention: of the harmonics.
    """

    blocks: tuple[tuple[int, int, bool], ...]
    convention: Convention = field(kw_only=True)

    def __str__(self) -> str:
        terms = (f"{often}x{_irrep(degree, odd)}" for often, degree, odd in self.blocks)
        return f"{self.kind} {' + '.join(terms)} ({self.convention})"

    @property
    def dimension(self) -> int:
        """How many numbers it has."""
        return sum(often * (2 * degree + 1) for often, degree, _ in self.blocks)

    def misfit(self, shape: Sequence[int]) -> str | None:
        """As many numbers as its blocks have together."""
        return _unlike(shape, (self.dimension,), str(self))


@dataclass(frozen=True)
class Spinor(Value):
    """Two complex numbers, of spin 1/2, in the last two axes ``(2, 2)``: each with its real and imaginary part.

    A full turn negates it, so that rotations do nothing definite to it, and SU(2) does.
    """

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Two components with two parts each."""
        return _unlike(shape, (2, 2), "a spinor")


MOST_DEGREE = 32
"""Of spherical harmonics; beyond it nobody needed one, and rounding grows."""


def direct_sum(text: str, *, convention: Convention) -> DirectSum:
    """Spherical harmonics as e3nn writes them: ``8x0e + 4x1o + 2e``, degrees with parity and how many of each.

    Raises:
        ValueError: a term that is none, or a convention that nobody knows.
    """
    _check_convention(convention)
    blocks = []
    for term in text.split("+"):
        match = re.fullmatch(r"\s*(?:([1-9]\d{0,5})x)?(\d{1,2})([eo])\s*", term)
        if match is None or int(match[2]) > MOST_DEGREE:
            raise ValueError(f"{term.strip()!r} is no term such as 4x1o, with a degree of at most {MOST_DEGREE}")
        blocks.append((int(match[1] or 1), int(match[2]), match[3] == "o"))
    return DirectSum(tuple(blocks), convention=convention)


def _irrep(degree: int, odd: bool) -> str:
    return f"{degree}{'o' if odd else 'e'}"


def _check_convention(convention: str) -> None:
    if convention not in get_args(Convention):
        raise ValueError(f"{convention!r}: the convention is one of {', '.join(get_args(Convention))}")


def _unlike(shape: Sequence[int], wanted: tuple[int, ...], what: str) -> str | None:
    """Why the last axes are not as wanted; None if they are."""
    if tuple(shape[-len(wanted) :]) == wanted:
        return None
    last = "axis" if len(wanted) == 1 else f"{len(wanted)} axes"
    return f"{what} has {' x '.join(map(str, wanted))} numbers in its last {last}"
