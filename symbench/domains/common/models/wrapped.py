"""A model made equivariant from outside: averaged over a finite group's orbit, or run on a canonical element.

Both wrap any module without a change to it. Averaging is the Reynolds operator (Yarotsky, "Universal approximations
of invariant maps by neural networks", 2018); canonicalising is a choice of frame, here a fixed one (Kaba et al.,
"Equivariance with Learned Canonicalization Functions", 2023, learn theirs).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field
from symbench.domains.common.models.orbit import Orbit
from symbench.domains.common.models.outputs import read
from symbench.domains.common.models.running import handed

ONLY = "x"
"""The name of an only input, where nobody has given it one."""


class Wrapped(nn.Module):
    """A module behind the moves of an orbit. It holds the module itself, whose layers keep their names.

    Args:
        module: with its weights; takes its leaves as it does alone.
        orbit: of the leaves that it takes; or makes it, of the first that are seen.
        outputs: the fields of what the module returns.
        name: its name, for messages.
    """

    def __init__(
        self,
        module: nn.Module,
        orbit: Orbit | Callable[[Mapping[str, Tensor]], Orbit],
        outputs: Mapping[str, Field],
        name: str,
    ) -> None:
        super().__init__()
        self.module = module
        self.orbit = orbit
        self.fields = dict(outputs)
        self.name = name

    def get_submodule(self, target: str) -> nn.Module:
        """Of the module itself, so that its layers have the names that it gives them."""
        return self.module.get_submodule(target)

    def forward(self, *only: Tensor, **leaves: Tensor) -> Any:
        """The outputs by name, ``(n, ...)`` each, as the module returns them; one that has no name by itself."""
        if not isinstance(self.orbit, Orbit):
            self.orbit = self.orbit({**dict(zip((ONLY,), only, strict=False)), **leaves})
        given = {**dict(zip(self.orbit.leaves, only, strict=False)), **leaves}
        outputs, key = self.combined(self.orbit, given, len(next(iter(given.values()))))
        if len(outputs) > 1:
            return outputs
        value = next(iter(outputs.values()))
        return value if key is None else {key: value}

    def run(
        self, orbit: Orbit, leaves: Mapping[str, Tensor], numbers: Tensor | int, count: int
    ) -> tuple[dict[str, Tensor], str | None]:
        """The outputs of samples moved by these elements, moved back, and the module's own name of the first."""
        side = leaves[orbit.on].shape[-1] if orbit.on in leaves else 0
        found = read(handed(self.module, orbit.moved(leaves, numbers)), self.fields, count, self.name)
        return {name: orbit.back(name, x, numbers, side) for name, x in found.outputs.items()}, found.key

    @abstractmethod
    def combined(
        self, orbit: Orbit, leaves: Mapping[str, Tensor], count: int
    ) -> tuple[dict[str, Tensor], str | None]:
        """The outputs of ``count`` samples, and the module's own name of the first."""


class Averaged(Wrapped):
    """``f'(x) = sum_g w_g g^-1 f(g x)``: the mean of a module's outputs over the orbit, each moved back.

    Of the outputs as they are: where a module returns logits, the mean of logits, and not of probabilities. Exactly
    equivariant, to rounding, where the elements are a whole group. It costs as many forward passes as there are
    elements. The identity comes last, so that whoever watches a layer sees it on the sample as it is.
    """

    def combined(
        self, orbit: Orbit, leaves: Mapping[str, Tensor], count: int
    ) -> tuple[dict[str, Tensor], str | None]:
        """As many passes as elements, of all samples each."""
        total: dict[str, Tensor] = {}
        key = None
        for number in reversed(range(len(orbit.weights))):
            found, key = self.run(orbit, leaves, number, count)
            weighted = {name: orbit.weights[number] * x for name, x in found.items()}
            total = {name: total[name] + x for name, x in weighted.items()} if total else weighted
        return total, key


class Canonicalised(Wrapped):
    """``f'(x) = g^-1 f(g x)`` for the element ``g`` that brings the sample into a canonical form.

    That is the one whose ``g x`` has the largest inner product with a fixed pattern of normal numbers, the first of
    several. Exactly equivariant where elements only permute numbers, up to ties: of a sample that some element leaves
    as it is, an output that moves along is not made symmetric. Not continuous: where two elements nearly tie, a small
    change of the input turns it over. It costs one forward pass, and a product with the pattern for each element.
    """

    def combined(
        self, orbit: Orbit, leaves: Mapping[str, Tensor], count: int
    ) -> tuple[dict[str, Tensor], str | None]:
        """One pass, of each sample under its own element."""
        scores = [_score(orbit, orbit.moved(leaves, number)) for number in range(len(orbit.weights))]
        best = torch.stack(scores).argmax(0).to(next(iter(leaves.values())).device)
        return self.run(orbit, leaves, best, count)


def _score(orbit: Orbit, leaves: Mapping[str, Tensor]) -> Tensor:
    """How canonical moved leaves are, ``(n,)``: the sum over those that move, each with a pattern of its own."""
    moving = [name for name in leaves if not orbit.leaves[name].trivial]
    scores = [orbit.leaves[name].score(leaves[name], seed) for seed, name in enumerate(moving)]
    return torch.stack(scores).sum(0)
