"""``assert_equivariant``: one call for the unit tests of equivariant layers and models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symbench import actions, groups
from symbench.actions.base import Action
from symbench.fields import Field, Image, Nodes, Scalar
from symbench.groups.base import choose
from symbench.measure import flat, squared_distances

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Largest deviation allowed by default, over the root mean square of the output's variation between samples."""


@dataclass(frozen=True)
class Deviation:
    """How far one output is from equivariance, where it is farthest.

    Attributes:
        output: its name; ``gradient`` of an output, or a submodule's.
        element: the group element's label.
        sample: the sample's number.
        absolute: ``|f(g.x) - g.f(x)|``.
        relative: the same in units of the root mean square distance between different samples' outputs.
        allowed: the largest ``relative`` that passes.
    """

    output: str
    element: str
    sample: int
    absolute: float
    relative: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.output}: at element {self.element}, sample {self.sample}, "
            f"|f(g.x) - g.f(x)| is {self.absolute:.3g}, "
            f"which is {self.relative:.3g} of the distance between samples, allowed {self.allowed:.1g}"
        )


def assert_equivariant(
    model: Callable[..., Any],
    group: str,
    inputs: Tensor | Mapping[str, Tensor],
    outputs: Mapping[str, Field] | None = None,
    *,
    fields: Mapping[str, Field] | None = None,
    modules: Mapping[str, Field] | None = None,
    options: Mapping[str, Any] | None = None,
    action: str | None = None,
    elements: int | None = None,
    tolerance: float | None = None,
    dtype: torch.dtype = torch.float64,
    gradients: bool = True,
    seed: int = 0,
) -> list[Deviation]:
    """Assert that ``f(g.x) = g.f(x)`` for elements of a group, and that gradients turn along.

    ::

        assert_equivariant(model, "C4", images)                          # an invariant classifier
        assert_equivariant(layer, "D4", images, {"maps": Image()})       # maps that turn with the image
        assert_equivariant(net, "S16", {"set": points}, fields={"set": Nodes("items", Scalar())})

    Args:
        model: a module (a copy of it is tested, in ``dtype`` and in evaluation mode) or any function.
        group: its name in a suite, such as ``C4``.
        inputs: one leaf, or leaves by name, ``(n, ...)`` with two samples or more.
        outputs: the field of every output; by default one that no group moves.
        fields: of the inputs; by default images, or nodes for ``(n, nodes, d)``.
        modules: names of submodules with the field of what each returns.
        options: of the group and of its action, as in a suite.
        action: which action, where there are several.
        elements: how many, as in a suite.
        tolerance: see :class:`Deviation`; by default it goes by ``dtype``, for elements that only permute numbers.
        dtype: what is computed in.
        gradients: also test gradients with respect to the inputs, for elements that only permute numbers.
        seed: draws elements and the direction of the gradient.

    Returns:
        The largest deviation of every output.

    Raises:
        AssertionError: with the element, the sample, how far and what was allowed; NaN fails.
        ValueError: resampled elements without a tolerance, or a single sample.
    """
    leaves = {k: v.to(dtype) for k, v in (inputs.items() if isinstance(inputs, Mapping) else [("x", inputs)])}
    known = dict(fields) if fields else {name: _guess(x) for name, x in leaves.items()}
    generator = torch.Generator().manual_seed(seed)
    built = groups.load(group, dict(options or {}))
    chosen = choose(built, elements, generator=generator)
    on = next(iter(known.values()))

    def act(field: Field) -> Action:
        return actions.load(built, group, field, dict(options or {}), on=on, name=action)

    moves = {name: act(field) for name, field in known.items()}
    exact = all(kind == "permutation" for move in moves.values() for kind in move.kinds(chosen.values))
    if tolerance is None and not exact:
        raise ValueError(f"{group} resamples here: say with tolerance= how much of that is allowed")
    if len(next(iter(leaves.values()))) < 2:
        raise ValueError("a single sample has no others to measure by: pass two or more")
    wanted = dict(outputs or {"output": Scalar()})
    probe = _Probe(model, dtype, wanted, dict(modules or {}))
    reference = probe(leaves)
    worst: dict[str, Deviation] = {}
    for g, label in zip(chosen.values[1:], built.labels(chosen.values[1:]), strict=True):
        turned = {name: moves[name].act(g[None], x)[0] for name, x in leaves.items()}
        pairs = {
            name: (value, act(probe.fields[name]).act(g[None], reference[name])[0])
            for name, value in probe(turned).items()
        }
        if gradients and exact:
            pairs |= _gradients(probe, act, moves, leaves, turned, g, seed)
        for name, (moved, expected) in pairs.items():
            found = _largest(name, label, moved, expected, tolerance or TOLERANCE[dtype])
            if name not in worst or not found.relative <= worst[name].relative:
                worst[name] = found
    broken = [deviation for deviation in worst.values() if not deviation.relative <= deviation.allowed]
    if broken:
        raise AssertionError(f"not equivariant under {group}\n" + "\n".join(map(str, broken)))
    return list(worst.values())


def _guess(x: Tensor) -> Field:
    return Image() if x.ndim == 4 else Nodes("nodes", Scalar())


class _Probe:
    """Runs the model and collects its outputs and those of the named submodules."""

    def __init__(
        self, model: Callable[..., Any], dtype: torch.dtype, outputs: dict[str, Field], modules: dict[str, Field]
    ) -> None:
        self.model = copy.deepcopy(model).to(dtype).eval() if isinstance(model, nn.Module) else model
        self.fields = {**outputs, **modules}
        self.outputs = outputs
        self.seen: dict[str, Tensor] = {}
        for name in modules:
            if not isinstance(self.model, nn.Module):
                raise ValueError("only a module has submodules")
            self.model.get_submodule(name).register_forward_hook(self._keep(name))

    def _keep(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, arguments: Any, output: Tensor) -> None:
            del module, arguments
            self.seen[name] = output.clone()  # a later layer may write in it

        return hook

    def __call__(self, leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
        returned = self.model(next(iter(leaves.values()))) if len(leaves) == 1 else self.model(**leaves)
        found = returned if isinstance(returned, Mapping) else {next(iter(self.outputs)): returned}
        return {name: value.detach() for name, value in {**found, **self.seen}.items() if name in self.fields}

    def gradient(self, leaves: Mapping[str, Tensor], directions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gradients of ``sum_o <direction_o, f_o>`` with respect to every floating-point leaf."""
        tracked = {name: x.detach().requires_grad_() for name, x in leaves.items()}
        returned = self.model(next(iter(tracked.values()))) if len(tracked) == 1 else self.model(**tracked)
        found = returned if isinstance(returned, Mapping) else {next(iter(self.outputs)): returned}
        total = torch.stack([(found[name] * direction).sum() for name, direction in directions.items()]).sum()
        gradients = torch.autograd.grad(total, list(tracked.values()), allow_unused=True)
        return {
            name: torch.zeros_like(x) if gradient is None else gradient
            for (name, x), gradient in zip(tracked.items(), gradients, strict=True)
        }


def _gradients(
    probe: _Probe,
    act: Callable[[Field], Action],
    moves: Mapping[str, Action],
    leaves: Mapping[str, Tensor],
    turned: Mapping[str, Tensor],
    g: Tensor,
    seed: int,
) -> dict[str, tuple[Tensor, Tensor]]:
    """``grad <g.v, f>(g.x)`` against ``g.(grad <v, f>(x))``: equal where g only permutes numbers."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: value for name, value in probe(leaves).items() if name in probe.outputs}
    v = {n: torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) for n, x in shapes.items()}
    moved_v = {name: act(probe.fields[name]).act(g[None], direction)[0] for name, direction in v.items()}
    moved, unmoved = probe.gradient(turned, moved_v), probe.gradient(leaves, v)
    return {f"gradient by {name}": (moved[name], moves[name].act(g[None], unmoved[name])[0]) for name in moved}


def _largest(name: str, label: str, moved: Tensor, expected: Tensor, allowed: float) -> Deviation:
    deviation = squared_distances(moved[None], expected[None])[0].sqrt()
    values = flat(expected.double()[None])[0]
    variation = float((2 * values.var(dim=0, correction=1).sum()).sqrt())
    # outputs that are the same for all samples are measured by their own size instead
    scale = variation or float(values.square().sum(-1).mean().sqrt()) or 1.0
    broken = ~torch.isfinite(deviation)
    sample = int((broken if broken.any() else deviation).float().argmax())
    absolute = float(deviation[sample])
    return Deviation(name, label, sample, absolute, absolute / scale, allowed)
