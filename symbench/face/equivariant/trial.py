"""One test: the model on moved inputs against its moved outputs, element by element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from symbench.algebra.actions.base import SIDES, Action, TrivialAction, ready
from symbench.algebra.fields import Field
from symbench.algebra.groups.base import Elements
from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.handling import handling_of
from symbench.face.equivariant.deviation import Deviation, largest, worst
from symbench.face.equivariant.probe import Output, Probe
from symbench.face.equivariant.setting import Setting

Pairs = Iterator[tuple[str, Tensor, Tensor]]
"""What is compared: names, ``f(g.x)`` and ``g.f(x)``, ``(n, ...)`` each."""


class Trial:
    """The model on the inputs as they are, and what its outputs are to do when these move.

    Args:
        setting: how inputs move.
        probe: runs the model.
        leaves: the inputs, ``(n, ...)``.
        chosen: the elements, the identity first.
        allowed: the largest relative deviation that passes.

    Raises:
        ConfigError: outputs that are not as declared, cannot be moved, or differ when the model runs again.
    """

    def __init__(
        self, setting: Setting, probe: Probe, leaves: Mapping[str, Tensor], chosen: Elements, allowed: float
    ) -> None:
        self.setting = setting
        self.probe = probe
        self.chosen = chosen
        self.allowed = allowed
        self.exact = setting.exact(chosen)
        for name, x in leaves.items():
            self._check_numbers(f"input {name!r}", x, setting.moves[name])
            self._check_border(name, x)
        self.ready = ready(setting.moves, {name: leaves[name] for name in setting.moves})
        self.reference = probe(self._seen(self.ready))
        self._check_repeat()
        self.moves = {name: self._move(name, output) for name, output in self.reference.items()}
        self.fields: dict[str, Field] = {name: output.field for name, output in self.reference.items()}
        self.fields |= {f"gradient by {name}": field for name, field in setting.fields.items()}

    def run(self, *, gradients: bool, seed: int) -> list[Deviation]:
        """The largest deviation of every output, and of the gradient by every floating-point input.

        Args:
            gradients: whether to test them, where all elements only permute numbers.
            seed: draws the direction of the gradient.
        """
        # Only of permutations: the adjoint of a resampling is not its inverse, so that gradients do not turn along.
        directions = self._directions(seed) if gradients and self.exact else {}
        unmoved = self.probe.gradient(self._seen(self.ready), directions) if directions else {}
        by_output: dict[str, list[Deviation]] = {}
        elements = self.chosen.values[1:]
        for g, label in zip(elements, self.setting.group.labels(elements), strict=True):
            turned = self._seen({name: self.setting.moves[name].act(g[None], x)[0] for name, x in self.ready.items()})
            pairs = [*self._outputs(g, turned), *self._gradients(g, turned, directions, unmoved)]
            for name, moved, expected in pairs:
                each = largest(name, self.fields[name], label, moved, expected, self.allowed)
                by_output.setdefault(name, []).append(each)
        return [worst(each) for each in by_output.values()]

    def _seen(self, leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the model is shown: a crop where the border policy says so."""
        return {name: self.setting.moves[name].finish(x) for name, x in leaves.items()}

    def _check_repeat(self) -> None:
        """Refuse a model that gives other numbers when it runs again: nothing could be said of it."""
        for name, output in self.probe(self._seen(self.ready)).items():
            before = self.reference[name]
            again = largest(name, output.field, "", output.value, before.value, self.allowed)
            # NaN differs from itself: a model that gives NaN is for the test to fail, not to be called random.
            if not again.passes and torch.isfinite(output.value).all() and torch.isfinite(before.value).all():
                got = f"on the same input it differs from itself by {again.absolute:.3g}"
                remedy = "Is something random, or kept from call to call? A function is not put into eval()."
                raise ConfigError(Problem(f"output {name!r}", got, "the same numbers in every call", remedy))

    def _move(self, name: str, output: Output) -> Action:
        """The action on an output, checked against its shape."""
        if output.field.value.unordered:
            got = f"is {output.field}, a set in any order, and outputs are compared number by number here"
            raise ConfigError(Problem(f"output {name!r}", got, "a suite, which compares sets of objects"))
        action = self.setting.act(output.field, f"output {name!r}").of_outputs()
        self._check_numbers(f"output {name!r}", output.value, action)
        moved = [leaf for leaf, move in self.setting.moves.items() if not isinstance(move, TrivialAction)]
        side = self._seen(self.ready)[moved[0]].shape[-1]
        shape = tuple(output.value.shape[1:])
        reason = action.immovable(shape, side) or (SIDES if self._exchanges_alone(action, shape) else None)
        if reason is not None:
            got = f"{self.setting.name} cannot move it: {reason}"
            raise ConfigError(Problem(f"output {name!r}", got, f"an output that is {output.field}"))
        return action

    def _exchanges_alone(self, action: Action, shape: tuple[int, ...]) -> bool:
        """Whether an output would get another shape where no input does."""
        g = self.chosen.values
        inputs = ((move, tuple(self.ready[leaf].shape[1:])) for leaf, move in self.setting.moves.items())
        return any(action.exchanges(g, shape)) and not any(any(move.exchanges(g, own)) for move, own in inputs)

    def _check_numbers(self, where: str, x: Tensor, move: Action) -> None:
        """Refuse to resample whole numbers."""
        if not (self.exact or x.is_floating_point() or isinstance(move, TrivialAction)):
            does = "computes with" if self.setting.loses_nothing(self.chosen) else "resamples or loses"
            got = f"is {x.dtype}, and {self.setting.name} {does} {handling_of(self.setting.on).noun}"
            raise ConfigError(Problem(where, got, "floating point, or elements that only permute"))

    def _check_border(self, name: str, x: Tensor) -> None:
        """Refuse to fade whole numbers out, or to find some between them on a finer canvas."""
        if x.is_floating_point() or isinstance(self.setting.moves[name], TrivialAction):
            return
        numbers = x.float()
        if not torch.equal(self.setting.moves[name].prepare(numbers), numbers):
            got = f"is {x.dtype}, and border: disc or oversample change numbers"
            raise ConfigError(Problem(f"input {name!r}", got, "floating point, or another border"))

    def _outputs(self, g: Tensor, turned: Mapping[str, Tensor]) -> Pairs:
        """``f(g.x)`` against ``g.f(x)`` for every output."""
        outputs = self.probe(turned)
        if outputs.keys() != self.reference.keys():
            got = f"the model calls other submodules for f(g.x): {sorted(outputs.keys() ^ self.reference.keys())}"
            raise ConfigError(Problem("modules", got, "the same for every input"))
        for name, output in outputs.items():
            action, before = self.moves[name], self.reference[name].value
            moved, expected = output.value, action.act(g[None], before)[0]
            inside = action.inside(g[None], before)
            if inside is not None:  # nothing is known of what comes from beyond the frame
                moved, expected = moved * inside[0].to(moved.device), expected * inside[0].to(expected.device)
            yield name, moved, expected

    def _directions(self, seed: int) -> dict[str, Tensor]:
        """For every floating-point output of the model, a direction to differentiate along."""
        generator = torch.Generator().manual_seed(seed)
        tested = {name: self.reference[name].value for name, field in (self.probe.outputs or {}).items() if field}
        return {
            name: torch.randn(value.shape, generator=generator, dtype=torch.float64)
            for name, value in tested.items()
            if value.is_floating_point()
        }

    def _gradients(
        self, g: Tensor, turned: Mapping[str, Tensor], directions: Mapping[str, Tensor], unmoved: Mapping[str, Tensor]
    ) -> Pairs:
        """``grad <g.v, f>(g.x)`` against ``g.(grad <v, f>(x))``: equal where g only permutes numbers."""
        if not directions:
            return
        along = {name: self.moves[name].act(g[None], direction)[0] for name, direction in directions.items()}
        for name, moved in self.probe.gradient(turned, along).items():
            expected = self.setting.moves[name].act(g[None], unmoved[name])[0]
            yield f"gradient by {name}", moved.cpu().double(), expected.cpu().double()
