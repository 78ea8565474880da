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

from symbench.algebra.actions.base import Generator, TrivialAction, along
from symbench.algebra.groups.product import Product
from symbench.algebra.metrics.attribution import DISAGREE
from symbench.base.errors import ModelError
from symbench.base.records import GeneratorRecord
from symbench.base.slices import slices
from symbench.domains.common.models.running import plain_kernels
from symbench.measure.evaluate.examined import SURE, Examined, relative_error
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import Job, load_leaves
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import Columns, Leaves, as_compared, pairing, squares, table

STEPS = {torch.float64: 1e-5, torch.float32: 5e-3}
"""Radians or pixels, either way, of central differences, the cube root of the dtype's rounding: that and curvature
both stay below 1e-9, and below 1e-4."""

EDGE = "maps of classes end at the edge of their frame, which is a step; border: circular has none"


def lie_derivatives(cell: Examined) -> str | None:
    """Rows ``Lie forward``, ``Lie central`` and ``Lie gap`` along every generator of the symmetry's action, with the
    weights in float64, or as the model runs where it does not run in that; ``element`` is the generator's number.

    A gap that central differences' own rounding explains counts as none. Returns why there are none, or no
    forward-mode ones.
    """
    job = cell.best
    generators = job.prepared.actions[job.prepared.on].generators()
    if not generators and isinstance(job.prepared.group, Product) and job.prepared.group.count is None:
        return "no continuous generator of a product of these has a derivative here: measure one factor by itself"
    if not generators:
        return "there is no continuous generator with a derivative"
    if len(cell.chosen) < 2:
        return "a single sample has no others"
    if job.rounding > torch.finfo(torch.float32).eps:
        return "differences need float32 or better, and the model does not run in it"
    sizes = cell.sizes("Lie derivative")
    cell.found.generators += [GeneratorRecord(label=name, unit=each.unit) for name, each in generators.items()]
    measures, reason = _measures(job, cell.references, generators)
    done, rows = 0, []
    with plain_kernels(job.model.module):
        for size in sizes:
            for piece in slices(size.samples - done, job.batch):
                leaves, _ = load_leaves(job, cell.chosen[done : size.samples][piece])
                for each in measures:
                    each.take(leaves)
            done = size.samples
            rows = [row for each in measures for row in each.rows(cell.chosen[:done])]
            if all(_clear(each) for each in measures):
                break
        else:
            cell.unclear("Lie derivative", size)
    cell.found.tables += rows
    return next((each.reason for each in measures if each.reason is not None), reason)


def _measures(
    job: Job, references: Sequence[Reference], generators: Mapping[str, Generator]
) -> tuple[list[Derivative], str | None]:
    """One for each generator and output; and what cannot be measured."""
    found, reason = [], None
    for number, name in enumerate(generators):
        for reference in references:
            own = generators[name]
            inputs = {leaf: along(action, name, own) for leaf, action in job.prepared.actions.items()}
            output = along(reference.action, name, own)
            if output is None or None in inputs.values():
                reason = reason or f"not along {name}: a leaf or an output moves without a derivative"
                continue
            if has_edge(reference):
                reason = reason or f"not along {name}: {EDGE}"
                continue
            known = {leaf: generator for leaf, generator in inputs.items() if generator is not None}
            found.append(Derivative(job, reference, number, known, output))
    return found, reason


def has_edge(reference: Reference) -> bool:
    """Whether an output is a map of classes that elements bring something into from beyond its edge.

    Scores do not fade out towards the edge, and what stands beyond it is 0: derivatives are those of that step,
    whatever the model is.
    """
    elements = reference.prepared.elements
    if reference.names is None or isinstance(reference.action, TrivialAction):
        return False
    some = elements.at([0]).flatten(0, 1) if elements.shared is None else elements.shared
    return reference.action.inside(some, torch.empty((1, *reference.shape), device="meta")) is not None


@dataclass
class Derivative:
    """The Lie derivative of one output along one generator, ``(n, ...)`` leaves to ``(n, *output)``.

    Attributes:
        job: the cell.
        reference: the output.
        number: of the generator.
        inputs: how each leaf moves.
        output: how the output does.
        kept: of the samples so far, the values and the derivatives in two ways.
        reason: why there is no forward-mode one.
    """

    job: Job
    reference: Reference
    number: int
    inputs: Mapping[str, Generator]
    output: Generator
    kept: dict[str, list[Tensor]] = field(default_factory=dict)
    reason: str | None = None

    def take(self, leaves: Leaves) -> None:
        """Measure some more samples."""
        self._keep("value", self.value(leaves))
        self._keep("central", self.central(leaves))
        if self.reason is None:
            try:
                self._keep("forward", self.forward(leaves))
            except ModelError as error:
                self.reason = f"no forward-mode derivative: {error}"

    def _keep(self, name: str, values: Tensor) -> None:
        self.kept.setdefault(name, []).append(values)

    def squares(self) -> dict[str, np.ndarray]:
        """Squared lengths of ``central`` and, where forward mode works, of ``forward`` and ``gap``."""
        central = torch.cat(self.kept["central"])
        found = {"central": squares(central)["deviation_sq"]}
        if self.reason is None:
            forward, value = torch.cat(self.kept["forward"]), torch.cat(self.kept["value"])
            gap = squares(forward - central)["deviation_sq"]
            rounding = (10 * self.job.rounding / STEPS[self.job.dtype]) ** 2 * squares(value)["deviation_sq"]
            found |= {
                "forward": squares(forward)["deviation_sq"],
                "gap": np.where(gap <= rounding, 0.0, gap),
            }
        return found

    def rows(self, samples: Sequence[int]) -> list[Columns]:
        """The rows of all samples so far."""
        value = torch.cat(self.kept["value"])
        null = pairing(value, value, self.reference.comparison, samples)["unrelated_sq"]
        size = squares(torch.ones_like(value))["deviation_sq"]  # the output's dimension
        more = {"central": {"score": size, "unrelated_sq": null}}
        what = self.reference.task.output
        return [
            table(f"Lie {name}", what, samples, self.number, {"deviation_sq": each, **more.get(name, {})})
            for name, each in self.squares().items()
        ]

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


def _clear(measured: Derivative) -> bool:
    """Whether a derivative is known to a tenth, and whether its two ways agree is plain."""
    found = measured.squares()
    if relative_error(found["central"]) > SURE:
        return False
    if "gap" not in found or not found["central"].any():
        return True
    gap = float(found["gap"].mean() / found["central"].mean()) ** 0.5
    return not DISAGREE / 2 < gap < DISAGREE * 2


def jvp(function: Callable[[Leaves], Tensor], leaves: Leaves, along: Leaves) -> Tensor:
    """The derivative of a function of leaves along a direction; zero where it does not depend on them."""
    with forward_ad.dual_level():
        duals = {
            name: forward_ad.make_dual(x, along[name]) if x.is_floating_point() else x for name, x in leaves.items()
        }
        primal, tangent = forward_ad.unpack_dual(function(duals))
        return torch.zeros_like(primal) if tangent is None else tangent.detach()
