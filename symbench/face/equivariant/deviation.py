"""How far from equivariance, where, and what to say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symbench.algebra.comparison import flat, squared_distances
from symbench.algebra.fields import Field
from symbench.base.errors import one_of
from symbench.domains.common.handling import handling_of
from symbench.face.equivariant.fields import written
from symbench.face.equivariant.probe import Output

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Largest deviation allowed by default, over the root mean square of the output's variation between samples."""
ROUNDING = 1e-12
"""Outputs that vary by less than this of their size between samples are taken to be the same for all."""


@dataclass(frozen=True)
class Deviation:
    """How far one output is from equivariance, where it is farthest.

    Attributes:
        output: its name; ``gradient by`` an input, or a submodule's.
        element: the group element's label.
        sample: the sample's number.
        absolute: ``|f(g.x) - g.f(x)|``.
        relative: the same in units of the root mean square distance between different samples' outputs.
        allowed: the largest ``relative`` that passes.
        place: where in that sample's output it is largest: ``channel 0, row 2, column 5``.
        failing: labels of all elements at which it is larger than allowed.
        tested: how many elements were tested.
    """

    output: str
    element: str
    sample: int
    absolute: float
    relative: float
    allowed: float
    place: str = ""
    failing: tuple[str, ...] = ()
    tested: int = 1

    def __str__(self) -> str:
        return (
            f"{self.output}: at element {self.element}, sample {self.sample}, "
            f"|f(g.x) - g.f(x)| is {self.absolute:.3g}, "
            f"which is {self.relative:.3g} of the distance between samples, allowed {self.allowed:.1g}; "
            f"most of it at {self.place}. {self._elements()}"
        )

    def _elements(self) -> str:
        if len(self.failing) == self.tested:
            return "It fails at every element." if self.tested > 1 else "It is the only element."
        return f"It fails at {len(self.failing)} of {self.tested} elements: {one_of(self.failing)}."

    @property
    def passes(self) -> bool:
        """Whether it is within what is allowed: NaN is not."""
        return self.relative <= self.allowed


def largest(name: str, field: Field, label: str, moved: Tensor, expected: Tensor, allowed: float) -> Deviation:
    """The largest deviation over samples, at one element.

    Args:
        name: of the output.
        field: its field.
        label: of the element.
        moved: ``f(g.x)``, ``(n, *output)``.
        expected: ``g.f(x)``, likewise.
        allowed: see :class:`Deviation`.
    """
    deviation = squared_distances(moved[None], expected[None])[0].sqrt()
    values = flat(expected.double()[None])[0]
    # The root mean square distance of two samples: the mean of |a - b|^2 over pairs is twice the sum of variances.
    variation = float((2 * values.var(dim=0, correction=1).sum()).sqrt())
    size = float(values.square().sum(-1).mean().sqrt())
    # Outputs that are the same for all samples, up to rounding, are measured by their own size instead; zeros by 1.
    scale = (size if variation <= ROUNDING * size else variation) or 1.0
    broken = ~torch.isfinite(deviation)  # argmax of NaN is not said to find it on every device
    sample = int((broken if broken.any() else deviation).float().argmax())
    absolute = float(deviation[sample])
    where = _place(field, (moved[sample].double() - expected[sample].double()).abs())
    deviation_at = Deviation(name, label, sample, absolute, absolute / scale, allowed, where)
    return deviation_at if deviation_at.passes else replace(deviation_at, failing=(label,))


def worst(deviations: Sequence[Deviation]) -> Deviation:
    """The largest of one output's deviations, one for each element, with all elements that fail."""
    # NaN first: ``x != x`` is true of nothing else, and max would pass over it or not, as it happens to stand.
    most = max(deviations, key=lambda each: (each.relative != each.relative, each.relative))
    failing = tuple(label for each in deviations for label in each.failing)
    return replace(most, failing=failing, tested=len(deviations))


def _place(field: Field, distance: Tensor) -> str:
    """The place of the largest entry of one output; of the first that is not finite."""
    broken = ~torch.isfinite(distance)
    index = (broken.double() if broken.any() else distance).argmax() if distance.ndim else torch.zeros(())
    steps = [int(i) for i in torch.unravel_index(index.long(), distance.shape)]
    names = _axes(field)
    return ", ".join(f"{names[i] if i < len(names) else 'value'} {step}" for i, step in enumerate(steps)) or "value 0"


def _axes(field: Field) -> list[str]:
    return ["channel", "row", "column"] if field.grid is not None else list(field.axes)


def hints(
    broken: Sequence[Deviation], outputs: Mapping[str, Output], dtype: torch.dtype, *, turns: bool, declared: bool
) -> list[str]:
    """What may be behind failures, and what to do about it.

    Args:
        broken: what fails.
        outputs: what the model and its submodules returned.
        dtype: that of the test.
        turns: whether the group turns images.
        declared: whether the caller said what outputs are.
    """
    texts = []
    if dtype == torch.float64 and all(each.relative <= TOLERANCE[torch.float32] for each in broken):
        texts.append(
            "That is of the size of rounding in float32: if something inside is float32, such as a constant or a "
            "cast, pass dtype=torch.float32."
        )
    failing = {each.output: outputs[each.output] for each in broken if each.output in outputs}
    for name, output in failing.items():
        shape = tuple(output.value.shape)
        if not declared and len(shape) > 2:
            texts.append(
                f"Nothing was said of the output, of shape {shape}: it was taken for one that nothing moves. If it "
                f"moves with the input, say so, such as outputs={{{name!r}: {written(shape)}}}."
            )
        about = handling_of(output.field).about_turning(name, shape) if turns else None
        texts += [] if about is None else [about]
    return texts
