"""Values that bring their own representation of a finite group: classes that permute, channels that mix."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Kind, Move, signed_permutations, times
from symbench.algebra.fields import Classes, Declared
from symbench.algebra.groups.base import Group
from symbench.base.environment import sent
from symbench.base.errors import ImpossiblePair, Problem, one_of

MOST = 4096
"""Elements of a group over which a representation is checked, one by one."""
ROUNDING = 1e-9
"""How far apart two ways to the same element may lie."""


class DeclaredAction(Action):
    """Moves values by the matrices that were declared for the group's generators, and their products.

    Raises:
        ImpossiblePair: the group has other generators, is not finite, or the matrices are no representation of it.
    """

    def __init__(self, group: Group, value: Declared) -> None:
        self.group = group
        self.indices = isinstance(value, Classes)
        self.size = len(value.generators[0][1]) if value.generators else 0
        self.table = representation(group, value)

    def matrices(self, g: Tensor) -> Tensor:
        """Of the elements, ``(*batch, d, d)``, float64."""
        flat = self.group.canonical(g.flatten(0, -1 - self.group.element_ndim))
        rows = torch.stack([self.table[tuple(row.tolist())] for row in flat])
        return rows.unflatten(0, g.shape[: g.ndim - self.group.element_ndim])

    def check(self, shape: tuple[int, ...]) -> str | None:
        """As many numbers as the matrices have; a class index stands alone."""
        if self.indices and len(shape) == 1:
            return None
        if len(shape) > 1 and shape[-1] == self.size:
            return None
        return (
            f"the declared matrices are {self.size} x {self.size}, and there are {shape[-1] if shape else 1} numbers"
        )

    def kinds(self, g: Tensor) -> list[Kind]:
        """Bit for bit where the matrices hold one entry of 1 or -1 in each row and 0 elsewhere."""
        return ["permutation" if each else "exact" for each in signed_permutations(self.matrices(g)).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """A matrix for each element; class indices, which are whole numbers, are looked up in the permutation."""
        matrices = sent(self.matrices(g), like.device)
        if like.is_floating_point() or not self.indices:
            ready = matrices.to(like.dtype if like.is_floating_point() else torch.float64)
            return lambda x: times(ready, x.to(ready.dtype))
        images = matrices.argmax(dim=-2)  # of class j: the row in which column j has its 1

        def rename(x: Tensor) -> Tensor:  # (n, places): an index at each; -1 is none
            wide = images if images.ndim == 3 else images[:, None].expand(-1, len(x), -1)
            flat = x.flatten(1).expand(len(wide), -1, -1)
            named = wide.gather(-1, flat.clamp(min=0))
            return torch.where(flat < 0, flat, named).reshape(len(wide), *x.shape)

        return rename

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)


def representation(group: Group, value: Declared) -> dict[tuple[float, ...], Tensor]:
    """The matrix of every element, by the element's canonical form, checked to be a homomorphism.

    From the identity every element is reached by generators; where two ways meet, their products have to agree. That
    they do on all edges of this graph is all that a homomorphism asks.

    Raises:
        ImpossiblePair: as :class:`DeclaredAction`.
    """
    known = group.generating()
    named = {name: torch.tensor(rows, dtype=torch.float64) for name, rows in value.generators}
    if group.count is None or group.count > MOST or not known:
        expected = f"a finite group of at most {MOST:,} elements with named generators, such as C4 or D4"
        raise ImpossiblePair(Problem("", f"{group.name} has no representation that can be declared", expected))
    if value.group is not None and value.group != group.name:
        raise ImpossiblePair(Problem("", f"{value} is declared for {value.group}, not for {group.name}", value.group))
    if named.keys() != known.keys():
        got = f"{value} is declared for the generators {one_of(named) or 'none'}"
        raise ImpossiblePair(Problem("", got, f"one matrix for each generator of {group.name}: {one_of(known)}"))
    if len({matrix.shape for matrix in named.values()}) > 1:
        raise ImpossiblePair(Problem("", f"{value} is declared with matrices of several sizes", "one size"))

    def key(g: Tensor) -> tuple[float, ...]:
        return tuple(group.canonical(g)[0].tolist())

    identity = group.identity()
    size = len(next(iter(named.values())))
    table = {key(identity): torch.eye(size, dtype=torch.float64)}
    waiting = [identity]
    while waiting:
        g = waiting.pop()
        for name, generator in known.items():
            further = group.compose(generator, g)
            matrix = named[name] @ table[key(g)]
            if key(further) not in table:
                table[key(further)] = matrix
                waiting.append(further)
            elif not (table[key(further)] - matrix).abs().max() <= ROUNDING:
                element = group.labels(further)[0]
                got = f"{value} is no representation of {group.name}: two ways to the element {element} differ"
                remedy = f"Is {name} right? Its order and its products with the others have to be the group's."
                raise ImpossiblePair(Problem("", got, "matrices that multiply as the elements do", remedy))
    return table
