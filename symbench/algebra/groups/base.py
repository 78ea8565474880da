"""What a group is, and how its elements are chosen for measuring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from symbench.base.errors import ConfigError, Problem

ENUMERATE_AT_MOST = 1024
"""Finite groups up to this size are enumerated whole unless the suite asks for fewer elements."""
SMALL = 64
"""The most elements of a group that inputs are averaged over."""


class Group(ABC):
    """A group G. Elements travel as a batch: a CPU tensor with leading axis k.

    Attributes:
        name: how a suite calls it.
        element_ndim: axes of one element; a batch has one more, per-sample elements ``(k, n, ...)`` two more.
        count: how many elements an enumeration has, or None where there is no end to them.
        size_unit: the unit of :meth:`size`.
        law: what :meth:`sample` draws from: ``Haar``, or a sentence for groups that have no such thing.
        usual: how many elements besides the identity are measured where nobody says and not all are.
        designed: an option asks for a certain :meth:`design`, so that none may be drawn.
        fewest: elements without which some of its pieces would never be seen.
    """

    name: str
    element_ndim: int
    count: int | None
    size_unit: str
    law: str = "Haar"
    usual: int = 24
    designed: bool = False
    fewest: int = 1

    @abstractmethod
    def identity(self) -> Tensor:
        """The identity as a batch of one."""

    @abstractmethod
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """``g h``: first h, then g. Shapes ``(k, ...)``, broadcast over k."""

    @abstractmethod
    def inverse(self, g: Tensor) -> Tensor:
        """The inverse of each element, same shape."""

    @abstractmethod
    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """``count`` elements drawn from :attr:`law`, shape ``(count, ...)``."""

    @abstractmethod
    def size(self, g: Tensor) -> Tensor:
        """How far each element is from the identity, in :attr:`size_unit`; shape ``(k,)``, float64."""

    @abstractmethod
    def canonical(self, g: Tensor) -> Tensor:
        """The same elements in the one form that equal elements share, float64 ``(k, d)``."""

    @abstractmethod
    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """Each element as named numbers with their units in the names, for files and figures."""

    @abstractmethod
    def labels(self, g: Tensor) -> list[str]:
        """A short name for each element, unique within the group as far as people care."""

    def elements(self) -> Tensor:
        """Every element, the identity first. Only where :attr:`count` says how many."""
        raise ValueError(f"{self.name} has no enumeration")

    def design(self, count: int) -> tuple[Tensor, Tensor] | None:
        """Evenly spread elements, ``count`` of them besides the identity, which comes first.

        Returns:
            The elements ``(count + 1, ...)`` and their quadrature weights ``(count + 1,)``, float64, adding up
            to 1; or None where the group has no such design and elements are drawn.

        Raises:
            ValueError: there is no design of that many; the message says what is expected instead.
        """
        del count
        return None

    def generating(self) -> dict[str, Tensor]:
        """Elements, batches of one, whose products are the whole group, by the names that declarations use for them.

        Empty where a group is not finite, or nobody needed them yet.
        """
        return {}

    def subgroups(self) -> list[Tensor]:
        """Finite subgroups, each as a batch of all of its elements, the identity first; the largest first.

        Inputs are made symmetric under them: what an equivariant model makes of such an input is symmetric too. A
        small finite group itself, and what single elements of it generate; of others none, unless they say some.
        """
        if self.count is None or not 2 <= self.count <= SMALL:
            return []
        every = self.elements()
        if not product_closed(self, every):
            return []
        turns = [cyclic(self, every[number : number + 1]) for number in (1, len(every) - 1)]
        return [every, *(each for each in turns if 1 < len(each) < len(every))]

    def confined(self, g: Tensor, some: Tensor) -> Tensor:
        """The elements ``(k, ...)`` with that left out which a subgroup leaves out: other factors, or translations.

        Args:
            g: elements.
            some: one of :meth:`subgroups`.
        """
        del some
        return g

    def keeping(self, lengths: Sequence[int], spacing: Sequence[float]) -> Group:
        """The largest subgroup whose elements map a grid to itself; of a group that moves no grid about, itself.

        Args:
            lengths: the number of places along each of the grid's axes, in a tensor's order.
            spacing: the distance from one place to the next along each; empty where all are alike.
        """
        del lengths, spacing
        return self

    def strata(self, g: Tensor) -> list[str] | None:
        """Which piece of the group each element is of, where estimates have to stand apart; None where it is one.

        The proper and improper halves of O(3) are two: a model may respect the one and not the other.
        """
        del g
        return None

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Some non-trivial irreducible representations as matrices ``(k, d, d)``; their Haar mean is zero.

        Empty where the group is not compact. Used to test :meth:`sample` and :meth:`design`.
        """
        del g
        return {}


def product_closed(group: Group, every: Tensor) -> bool:
    """Whether all products of some elements ``(k, ...)`` are among them: shifts up to a reach are not."""
    known = {tuple(row) for row in group.canonical(every).tolist()}
    products = group.compose(
        every.repeat_interleave(len(every), 0), every.repeat(len(every), *(1,) * (every.ndim - 1))
    )
    return all(tuple(row) in known for row in group.canonical(products).tolist())


def cyclic(group: Group, g: Tensor) -> Tensor:
    """The powers of an element, a batch of one, the identity first; of infinite order, the first of them."""
    powers, identity = [group.identity()], group.canonical(group.identity())
    while len(powers) < SMALL:
        following = group.compose(g, powers[-1])
        if torch.equal(group.canonical(following), identity):
            break
        powers.append(following)
    return torch.cat(powers)


@runtime_checkable
class PermutesPlaces(Protocol):
    """What a group can do besides that permutes the places of an axis: samples may have different numbers of them."""

    def sample_within(self, size: int, count: int, *, generator: torch.Generator) -> Tensor:
        """``count`` elements that move the first ``size`` places only, ``(count, ...)``: the others are padding."""


@runtime_checkable
class HasNeighbours(Protocol):
    """What a group can do besides whose elements have a next one."""

    def neighbours(self, *, generator: torch.Generator) -> Tensor:
        """An element drawn from the law and the one next to it, ``(2, ...)``."""


@dataclass(frozen=True)
class Elements:
    """The elements that a symmetry is measured at; the reference view, mostly the identity, stands first.

    Attributes:
        shared: ``(k, ...)``, on the CPU, distinct, the identity first; None where every sample has its own.
        weights: ``(k,)``, float64, adding up to 1: what orbit means use. The identity's is 0 in a draw.
        how: ``enumeration`` (all of them), ``design`` (evenly spread), ``draw`` (random) or ``per sample``.
        each: the elements ``(k, ...)`` of the sample with this number, where every sample has its own.
        moved_reference: the reference view is no identity, but drawn for each sample like the others.
    """

    shared: Tensor | None
    weights: Tensor
    how: Literal["enumeration", "design", "draw", "per sample"]
    each: Callable[[int], Tensor] | None = None
    moved_reference: bool = False

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def values(self) -> Tensor:
        """The elements ``(k, ...)`` that all samples share.

        Raises:
            ValueError: every sample has its own.
        """
        if self.shared is None:
            raise ValueError("every sample has elements of its own")
        return self.shared

    def at(self, samples: Sequence[int]) -> Tensor:
        """The elements of these samples: ``(k, ...)`` shared, or ``(k, n, ...)``."""
        if self.each is None:
            return self.values
        return torch.stack([self.each(sample) for sample in samples], dim=1)


def undesigned(group: Group, where: str) -> ConfigError:
    """The error where elements would be drawn of a group whose options ask for a design."""
    got = f"elements of {group.name} are drawn here, and its options ask for a design of them"
    remedy = "Take that option out; designs are of a group by itself, the same elements for all samples."
    return ConfigError(Problem(where, got, "one of them", remedy))


def choose(group: Group, count: int | None, *, generator: torch.Generator, where: str = "") -> Elements:
    """The elements to measure at: all, an even design, or a draw without repetition.

    Args:
        group: the group.
        count: how many besides the identity; None takes all of a small finite group, else
            the group's usual number, mostly 24.
        generator: draws the elements where there is neither an enumeration nor a design.
        where: the suite's key, for messages.

    Raises:
        ConfigError: more elements are asked for than there are, or a design cannot have that many.
    """
    if group.count is not None:
        others = group.count - 1
        if count is not None and count > others:
            raise ConfigError(
                Problem(where, f"got {count}", f"at most {others}: {group.name} has no more besides the identity")
            )
        if count == others or (count is None and group.count <= ENUMERATE_AT_MOST):
            values = group.elements()
            return Elements(values, torch.full((len(values),), 1 / len(values), dtype=torch.float64), "enumeration")
    count = group.usual if count is None else count
    if group.count is None:
        try:
            designed = group.design(count)
        except ValueError as error:
            raise ConfigError(Problem(where, f"got {count}", str(error))) from error
        if designed is not None:
            return Elements(*designed, "design")
    if group.designed:
        raise undesigned(group, where)
    values = draw_distinct(group, count, generator=generator, where=where)
    weights = torch.full((count + 1,), 1 / count, dtype=torch.float64)
    weights[0] = 0.0
    return Elements(torch.cat([group.identity(), values]), weights, "draw")


FRUITLESS = 100
"""Draws of as many elements as are asked for that bring none anew, before no more are believed in."""


def draw_distinct(group: Group, count: int, *, generator: torch.Generator, where: str = "") -> Tensor:
    """``count`` distinct elements other than the identity, each drawn from the group's law.

    Raises:
        ConfigError: the law draws fewer.
    """
    seen = {tuple(row.tolist()) for row in group.canonical(group.identity())}
    kept: list[Tensor] = []
    fruitless = 0
    while len(kept) < count:
        before = len(kept)
        batch = group.sample(count, generator=generator)
        for element, row in zip(batch, group.canonical(batch), strict=True):
            key = tuple(row.tolist())
            if key not in seen and len(kept) < count:
                seen.add(key)
                kept.append(element)
        fruitless = fruitless + 1 if len(kept) == before else 0
        if fruitless == FRUITLESS:
            expected = f"at most {len(kept)}: no others are drawn of {group.name}, {group.law}"
            raise ConfigError(Problem(where, f"got {count}", expected))
    return torch.stack(kept)
