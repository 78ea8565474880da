"""Lie derivatives: the equivariance error per radian or pixel, for infinitely small elements.

``L_X f = d/dt exp(-tX).f(exp(tX).x)`` at t = 0 (Gruver, Finzi, Goldblum & Wilson, "The Lie Derivative for Measuring
Learned Equivariance", 2023). Forward-mode differentiation of the model along the reference action's derivative, in
float64 where the model runs in that, beside central differences of the same: models with kinks (ReLU, max-pooling of
flat background) differ there, and where a layer does not pass derivatives on, only the differences stand. Reflections
cannot be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from symbench.algebra.actions.base import Action, Generator, TrivialAction
from symbench.base.errors import ModelError
from symbench.base.records import GeneratorRecord
from symbench.base.slices import slices
from symbench.domains.common.models.running import plain_kernels
from symbench.measure.evaluate.job import Job, load_leaves, run_model
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import Columns, Leaves, as_compared, pairing, squares, table

MOST_SAMPLES = 64
STEPS = {torch.float64: 1e-5, torch.float32: 5e-3}
"""Radians or pixels, either way, of central differences, the cube root of the dtype's rounding: that and curvature
both stay below 1e-9, and below 1e-4."""


@dataclass
class LieRows:
    """Rows ``Lie forward``, ``Lie central`` and ``Lie gap``; ``element`` is the generator's number.

    A gap that central differences' own rounding explains counts as none.

    Attributes:
        tables: columns of observations.
        generators: by number.
        reason: why there are none, or no forward-mode ones.
    """

    tables: list[Columns] = field(default_factory=list)
    generators: list[GeneratorRecord] = field(default_factory=list)
    reason: str | None = None


def lie_derivatives(job: Job, references: Sequence[Reference], chosen: Sequence[int]) -> LieRows:
    """Along every generator of the symmetry's action, on some control samples.

    Args:
        job: with the weights in float64; as the model runs, where it does not run in that.
        references: the outputs.
        chosen: control samples.
    """
    samples, found = chosen[:MOST_SAMPLES], LieRows()
    generators = job.prepared.actions[job.prepared.on].generators()
    if not generators:
        return LieRows(reason="there is no continuous generator with a derivative")
    if len(samples) < 2:
        return LieRows(reason="a single sample has no others")
    if job.rounding > torch.finfo(torch.float32).eps:
        return LieRows(reason="differences need float32 or better, and the model does not run in it")
    with plain_kernels(job.model.module):
        for number, (name, generator) in enumerate(generators.items()):
            found.generators.append(GeneratorRecord(label=name, unit=generator.unit))
            for reference in references:
                reason = _along(job, reference, samples, number, name, found.tables)
                found.reason = found.reason or reason
    return found


def _along(
    job: Job, reference: Reference, samples: Sequence[int], number: int, name: str, tables: list[Columns]
) -> str | None:
    inputs = {leaf: _generator(action, name) for leaf, action in job.prepared.actions.items()}
    output = _generator(reference.action, name)
    if output is None or None in inputs.values():
        return f"not along {name}: a leaf or an output moves without a derivative"
    known = {leaf: generator for leaf, generator in inputs.items() if generator is not None}
    measure = _Derivative(job, reference, known, output)
    kept: dict[str, list[Tensor]] = {"value": [], "central": [], "forward": []}
    reason = None
    for piece in slices(len(samples), job.batch):
        leaves, _ = load_leaves(job, samples[piece])
        kept["value"].append(measure.value(leaves))
        kept["central"].append(measure.central(leaves))
        try:
            kept["forward"].append(measure.forward(leaves))
        except ModelError as error:
            reason = f"no forward-mode derivative: {error}"
    value, central = torch.cat(kept["value"]), torch.cat(kept["central"])
    null = pairing(value, value, reference.comparison, samples)["unrelated_sq"]
    size = {"score": (squares(torch.ones_like(value))["deviation_sq"])}  # the output's dimension
    what = reference.task.output
    tables.append(table("Lie central", what, samples, number, {**squares(central), **size, "unrelated_sq": null}))
    if reason is None:
        forward = torch.cat(kept["forward"])
        gap = squares(forward - central)
        rounding = (10 * job.rounding / STEPS[job.dtype]) ** 2 * squares(value)["deviation_sq"]
        gap["deviation_sq"] = np.where(gap["deviation_sq"] <= rounding, 0.0, gap["deviation_sq"])
        tables.append(table("Lie forward", what, samples, number, squares(forward)))
        tables.append(table("Lie gap", what, samples, number, gap))
    return reason


def _generator(action: Action, name: str) -> Generator | None:
    if isinstance(action, TrivialAction):
        return Generator("", lambda x, t: x, torch.zeros_like)
    return action.generators().get(name)


@dataclass(frozen=True)
class _Derivative:
    """The Lie derivative of one output along one generator, ``(n, ...)`` leaves to ``(n, *output)``."""

    job: Job
    reference: Reference
    inputs: Mapping[str, Generator]
    output: Generator

    def value(self, leaves: Leaves) -> Tensor:
        """The output itself, as compared."""
        return as_compared(run_model(self.job, leaves), self.reference.task)

    def central(self, leaves: Leaves) -> Tensor:
        """By central differences."""

        def at(t: float) -> Tensor:
            moved = self.value({name: self.inputs[name].flow(x, t) for name, x in leaves.items()})
            return self.output.flow(moved, -t)

        step = STEPS[self.job.dtype]
        return (at(step) - at(-step)) / (2 * step)

    def forward(self, leaves: Leaves) -> Tensor:
        """By forward-mode differentiation: the model's along ``X x``, less ``X f(x)``."""
        tangent = jvp(self.value, leaves, {name: self.inputs[name].derivative(x) for name, x in leaves.items()})
        return tangent - self.output.derivative(self.value(leaves))


def jvp(function: Callable[[Leaves], Tensor], leaves: Leaves, along: Leaves) -> Tensor:
    """The derivative of a function of leaves along a direction; zero where it does not depend on them."""
    with forward_ad.dual_level():
        duals = {
            name: forward_ad.make_dual(x, along[name]) if x.is_floating_point() else x for name, x in leaves.items()
        }
        primal, tangent = forward_ad.unpack_dual(function(duals))
        return torch.zeros_like(primal) if tangent is None else tangent.detach()
