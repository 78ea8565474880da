"""The orbit of a finite group: what moves a model's inputs by its elements, and its outputs back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from symbench.algebra.actions.base import SHARP, Action, TrivialAction
from symbench.algebra.groups.base import Elements, Group
from symbench.base.environment import exact_device, sent
from symbench.base.errors import ConfigError, Problem

MOST = 256
"""Elements that are averaged over or chosen from: each is a forward pass, or a comparison, for every sample."""


class Mover:
    """An action by the elements of an orbit: on new memory, and with derivatives where they only permute numbers.

    Then it looks up where each number comes from. The action itself copies into memory at hand, which is quick, and
    has no derivatives.

    Args:
        action: on a leaf or an output.
        elements: ``(k, ...)``.
    """

    def __init__(self, action: Action, elements: Tensor) -> None:
        self.action = action
        self.elements = elements
        self.trivial = isinstance(action, TrivialAction)
        self.permutes = not action.moves_values and set(action.kinds(elements)) == {"permutation"}
        self.tables: dict[tuple[tuple[int, ...], torch.device], Tensor] = {}
        self.patterns: dict[tuple[int, torch.device], Tensor] = {}

    def __call__(self, x: Tensor, numbers: Tensor | int) -> Tensor:
        """Values ``(n, ...)`` under the element of this number, or each under its own, ``(n,)``."""
        if self.trivial:
            return x.clone()
        if not self.permutes:
            if x.is_cuda and torch.cuda.is_current_stream_capturing():
                # the action sends its elements from memory that a graph would read again when it is others'
                raise RuntimeError("elements are sent from the host in every pass")
            g = self.elements[[numbers]] if isinstance(numbers, int) else self.elements[numbers.cpu()][None]
            return self.action.act(g, x)[0]
        rows, table = x.flatten(1), self._table(x)[numbers]
        return (rows.index_select(1, table) if isinstance(numbers, int) else rows.gather(1, table)).view_as(x)

    def _table(self, like: Tensor) -> Tensor:
        """Where each number of such values comes from, ``(k, numbers)``."""
        shape = tuple(like.shape[1:])
        if (shape, like.device) not in self.tables:
            index = torch.arange(like[0].numel(), dtype=torch.float64).view(1, *shape)  # float64 holds them all
            table = self.action.act(self.elements, index)[:, 0].flatten(1).long()
            self.tables[shape, like.device] = sent(table, like.device)
        return self.tables[shape, like.device]

    def score(self, x: Tensor, seed: int) -> Tensor:
        """The inner product of each of the values ``(n, ...)`` with a pattern of normal numbers, ``(n,)``, float64.

        In float64 whatever the precision of the model, so that the same elements are chosen in any.
        """
        wide = x.to(exact_device(str(x.device))).double().flatten(1)
        key = (wide.shape[1], wide.device)
        if key not in self.patterns:
            drawn = torch.randn(key[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            self.patterns[key] = sent(drawn, wide.device)
        return (wide * self.patterns[key]).sum(1)


OfOutput = Callable[[str, tuple[int, ...], int], Action]
"""The action on an output, by its name, its shape without the sample axis, and the length of the last axis of the
input that moves. It raises a CellError where there is none."""


@dataclass(frozen=True)
class Orbit:
    """What a wrapped model moves its inputs by, and its outputs back.

    Attributes:
        inverses: of the elements, ``(k, ...)``, the identity first.
        weights: of the elements, adding up to 1.
        leaves: what moves each leaf that the model takes, in its order.
        on: the leaf that the symmetry is on.
        of_output: the action on an output, asked once it has been seen.
        outputs: what moves each output back, as far as they have been seen.
    """

    inverses: Tensor
    weights: Sequence[float]
    leaves: Mapping[str, Mover]
    on: str
    of_output: OfOutput
    outputs: dict[str, Mover] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        group: Group,
        actions: Mapping[str, Action],
        on: str,
        of_output: OfOutput,
        *,
        where: str,
        design: Elements | None = None,
    ) -> Orbit:
        """The orbit of a finite group, or of a design of one that has no end.

        Args:
            group: the group.
            actions: on the leaves that the model takes, in its order.
            on: the leaf that the symmetry is on.
            of_output: see above.
            where: the suite's key, or the argument.
            design: evenly spread elements with their weights, where these will do.

        Raises:
            ConfigError: it is too large, or no group, or loses or blurs what it moves; with what to do instead.
        """
        elements = _elements(group, design, where)
        _check(group, elements.values, actions, where)
        movers = {name: Mover(action, elements.values) for name, action in actions.items()}
        return cls(group.inverse(elements.values), elements.weights.tolist(), movers, on, of_output)

    def moved(self, leaves: Mapping[str, Tensor], numbers: Tensor | int) -> dict[str, Tensor]:
        """Every leaf ``(n, ...)`` under the element of this number, or each sample under its own, ``(n,)``."""
        return {name: self.leaves[name](x, numbers) for name, x in leaves.items()}

    def back(self, name: str, value: Tensor, numbers: Tensor | int, side: int) -> Tensor:
        """An output ``(n, ...)`` of inputs under these elements, moved back by their inverses.

        Raises:
            CellError: it moves with the input, and cannot be moved.
        """
        if name not in self.outputs:
            self.outputs[name] = Mover(self.of_output(name, tuple(value.shape[1:]), side), self.inverses)
        return self.outputs[name](value, numbers)


def _elements(group: Group, design: Elements | None, where: str) -> Elements:
    """All elements, the identity first, or the design's."""
    wanted = f"a group of at most {MOST} elements"
    if group.law != "Haar":
        got, remedy = f"the elements of {group.name} are no group, but {group.law}", "Name one, such as C4."
        raise ConfigError(Problem(where, got, wanted, remedy))
    spread = design if group.count is None and design is not None and design.how == "design" else None
    count = group.count if spread is None else len(spread)
    if count is None:
        got = f"{group.name} has more elements than can be listed"
        raise ConfigError(Problem(where, got, wanted, "Name a smaller group, such as C4."))
    if count > MOST:
        got = f"{group.name} has {count:,} elements, each of which costs time for every sample"
        raise ConfigError(Problem(where, got, wanted, "Name a smaller group, such as C4."))
    if spread is not None:
        return spread
    return Elements(group.elements(), torch.full((count,), 1 / count, dtype=torch.float64), "enumeration")


def _check(group: Group, elements: Tensor, actions: Mapping[str, Action], where: str) -> None:
    """Refuse elements that move nothing that the model takes, or lose or blur it."""
    if all(isinstance(action, TrivialAction) for action in actions.values()):
        got = f"{group.name} moves none of the leaves that the model takes: {', '.join(map(repr, actions))}"
        raise ConfigError(Problem(where, got, "one of them at least"))
    for name, action in actions.items():
        if not set(action.kinds(elements)) <= set(SHARP):
            got = f"{group.name} resamples or loses what is in {name!r}, and so would a model behind it"
            remedy = "Name a symmetry whose elements only permute numbers, or turn vectors."
            raise ConfigError(Problem(where, got, "a group that acts exactly", remedy))
