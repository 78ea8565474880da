"""Values that every element moves by a matrix: a formula in float64, rounded once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Generator, Kind, Move, signed_permutations
from symbench.algebra.fields import DirectSum, Spherical, Value, Voigt
from symbench.algebra.fields import Tensor as CartesianTensor
from symbench.algebra.groups.base import Group
from symbench.base.environment import sent
from symbench.domains.points.groups.space import SpaceGroup, improper, proper
from symbench.domains.points.groups.spin import pauli
from symbench.domains.points.harmonics import wigner

Elements = Callable[[Tensor], Tensor]
"""Parameters ``(k,)`` along a one-parameter subgroup to its elements."""


class Linear(Action):
    """``x -> D(g) x`` in the last axes of ``(n, ..., *axes)``.

    Args:
        group: a group of space; of a group that code brings, elements are its matrices ``(k, 3, 3)``.
        options: none.
        value: what is moved.
    """

    moves_values = True

    def __init__(self, group: Group, options: Any, value: Value) -> None:
        del options
        self.group = group
        self.value = value

    @classmethod
    def of(cls, group: Any, options: Any, part: Any) -> Action:
        """For one kind of value, with what its declaration says."""
        return cls(group, options, part)

    axes: tuple[int, ...] = (3,)
    """The lengths of the value's own axes."""
    degree = 1
    """The highest frequency of D along a one-parameter subgroup."""

    @abstractmethod
    def represented(self, linear: Tensor) -> Tensor:
        """D of orthogonal matrices ``(*batch, 3, 3)``: ``(*batch, d, d)``, float64, d the product of the axes."""

    def matrices(self, g: Tensor) -> Tensor:
        """D of elements, ``(*batch, d, d)``, float64."""
        return self.represented(self.group.linear(g) if isinstance(self.group, SpaceGroup) else g)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Its own axes come last."""
        if tuple(shape[-len(self.axes) :]) == self.axes or not self.axes:
            return None
        return f"{self.value} has {' x '.join(map(str, self.axes))} numbers in its last axes, got shape {shape}"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Bit for bit where D exchanges and negates numbers, all others round."""
        return ["permutation" if each else "exact" for each in signed_permutations(self.matrices(g)).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One matrix for each element."""
        return partial(self.applied, onto(self.matrices(g), like))

    def applied(self, matrices: Tensor, x: Tensor) -> Tensor:
        """Matrices ``(k, d, d)`` or ``(k, n, d, d)`` times values ``(n, ..., *axes)``: ``(k, n, ..., *axes)``."""
        moved = combined(matrices, x.reshape(len(x), -1, prod(self.axes)))
        return moved.to(x.dtype).reshape(len(moved), *x.shape)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)

    def generators(self) -> Mapping[str, Generator]:
        """Those of the group's Lie algebra: turns about the axes, and translations where it has them."""
        if not isinstance(self.group, SpaceGroup):
            return {}
        units = list(self.group.algebra.items())
        return {name: self._generator(unit, at, len(units)) for at, (name, unit) in enumerate(units)}

    def _generator(self, unit: str, number: int, count: int) -> Generator:
        def elements(times: Tensor) -> Tensor:
            group = self.group
            if not isinstance(group, SpaceGroup):
                raise TypeError(f"{group.name} has no Lie algebra")
            return group.exponential(times[:, None] * torch.eye(count, dtype=torch.float64)[number])

        def flow(x: Tensor, t: float) -> Tensor:
            return self.act(elements(torch.tensor([t], dtype=torch.float64)), x)[0]

        return Generator(unit, flow, self._derivative(unit, elements))

    def _derivative(self, unit: str, elements: Elements) -> Callable[[Tensor], Tensor]:
        if unit != "rad":  # a translation does nothing to what has no position
            return torch.zeros_like
        # D along a turn is a trigonometric polynomial, of half the angle where it is of spin, so that as many equal
        # steps as it has coefficients give its derivative at 0 without error.
        steps = 4 * self.degree + 1
        nodes = torch.arange(1, steps, dtype=torch.float64) * (2 * torch.pi / steps)
        weights = -((-1.0) ** torch.arange(1, steps)) / (4 * (nodes / 2).sin())
        slope = (weights[:, None, None] * self.matrices(elements(2 * nodes))).sum(0)
        return lambda x: self.applied(onto(slope[None], x), x)[0]


class Vectors(Linear):
    """``v -> R v``, R orthogonal."""

    def represented(self, linear: Tensor) -> Tensor:
        """R itself."""
        return linear


class PseudoVectors(Linear):
    """``v -> det(R) R v``."""

    def represented(self, linear: Tensor) -> Tensor:
        """The rotation, without inversion."""
        return proper(linear)


class PseudoScalars(Linear):
    """``s -> det(R) s``, whatever the shape."""

    axes = ()
    degree = 0

    def represented(self, linear: Tensor) -> Tensor:
        """The determinant, 1 or -1."""
        return torch.where(improper(linear), -1.0, 1.0).double()[..., None, None]


class Tensors(Linear):
    """``T -> R ... R T``, R at every index; a symmetric one is made so again, bit for bit."""

    value: CartesianTensor

    def __init__(self, group: Group, options: Any, value: CartesianTensor) -> None:
        super().__init__(group, options, value)
        self.axes = (3,) * value.rank
        self.degree = value.rank

    def represented(self, linear: Tensor) -> Tensor:
        """The Kronecker power of R."""
        found = linear
        for _ in range(self.value.rank - 1):
            found = kronecker(found, linear)
        return found

    def applied(self, matrices: Tensor, x: Tensor) -> Tensor:
        """As for all, and then the mean of the tensor and its transpose where it is symmetric."""
        moved = super().applied(matrices, x)
        return (moved + moved.mT) / 2 if self.value.symmetric else moved


class VoigtTensors(Linear):
    """``S -> R S R^T`` in Voigt's form: ``D = F B^+ (R x R) B F^-1``.

    B makes a matrix of six numbers, and F is the diagonal of their factors.
    """

    axes = (6,)
    degree = 2
    value: Voigt

    def represented(self, linear: Tensor) -> Tensor:
        """D, entry by entry: what component b, symmetric, adds to component a."""
        ends = [("xyz".index(pair[0]), "xyz".index(pair[1])) for pair in self.value.order]
        rows = [
            [self._entry(linear, a, b) for b in zip(ends, self.value.factors, strict=True)]
            for a in zip(ends, self.value.factors, strict=True)
        ]
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)

    @staticmethod
    def _entry(r: Tensor, a: tuple[tuple[int, int], float], b: tuple[tuple[int, int], float]) -> Tensor:
        ((i, j), above), ((k, m), below) = a, b
        found = r[..., i, k] * r[..., j, m]
        if k != m:
            found = found + r[..., i, m] * r[..., j, k]
        return found * (above / below)


class Harmonics(Linear):
    """``c -> D^l(R) c``, for a degree or several end to end, negated by inversion where they are odd."""

    value: Spherical | DirectSum

    def __init__(self, group: Group, options: Any, value: Spherical | DirectSum) -> None:
        super().__init__(group, options, value)
        self.axes = (sum(often * (2 * degree + 1) for often, degree, _ in value.blocks),)
        self.degree = max(degree for _, degree, _ in value.blocks)

    def represented(self, linear: Tensor) -> Tensor:
        """Wigner's matrices along the diagonal."""
        rotations, sign = proper(linear), torch.where(improper(linear), -1.0, 1.0).double()[..., None, None]
        degrees = {degree for _, degree, _ in self.value.blocks}
        known = {degree: wigner(degree, rotations, self.value.convention) for degree in degrees}
        blocks = [
            known[degree] * (sign if odd else 1.0) for often, degree, odd in self.value.blocks for _ in range(often)
        ]
        return diagonal(blocks)


class Spinors(Linear):
    """``psi -> U psi`` of two complex numbers, as four real ones."""

    axes = (2, 2)

    def represented(self, linear: Tensor) -> Tensor:
        """None: the rotation does not say which of two."""
        raise TypeError("spinors are moved by SU(2)")

    def matrices(self, g: Tensor) -> Tensor:
        """U with ``a + b i`` as ``[[a, -b], [b, a]]``, ``(*batch, 4, 4)``."""
        real = torch.eye(2, dtype=torch.float64)
        imaginary = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
        u = pauli(g)
        return kronecker(u.real, real) + kronecker(u.imag, imaginary)


def onto(matrices: Tensor, like: Tensor) -> Tensor:
    """Matrices on the device of some values, in the precision that these are moved in: float64 where there is any."""
    return sent(matrices.float() if like.device.type == "mps" else matrices, like.device)


def combined(matrices: Tensor, x: Tensor) -> Tensor:
    """Matrices ``(k, d, d)`` or ``(k, n, d, d)`` times vectors ``(n, p, d)``: ``(k, n, p, d)``, not rounded yet."""
    wide = (matrices if matrices.ndim == 4 else matrices[:, None])[:, :, None]
    x = x.to(wide.dtype)[None]
    # Column by column rather than by a matrix product, whose rounding depends on how much it is given at once.
    total = wide[..., 0] * x[..., :1]
    for column in range(1, x.shape[-1]):
        total = total + wide[..., column] * x[..., column : column + 1]
    return total


def kronecker(a: Tensor, b: Tensor) -> Tensor:
    """Of matrices ``(*batch, m, m)`` and ``(*batch, n, n)`` or ``(n, n)``: ``(*batch, m n, m n)``."""
    found = a[..., :, None, :, None] * b[..., None, :, None, :]
    return found.flatten(-4, -3).flatten(-2, -1)


def diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """Square matrices ``(*batch, d, d)`` along the diagonal of one, with zeros elsewhere."""
    size, start = sum(block.shape[-1] for block in blocks), 0
    found = blocks[0].new_zeros(*blocks[0].shape[:-2], size, size)
    for block in blocks:
        end = start + block.shape[-1]
        found[..., start:end, start:end] = block
        start = end
    return found
