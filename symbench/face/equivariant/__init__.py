"""``assert_equivariant``: one call for the unit tests of equivariant layers and models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from symbench.algebra.fields import Field
from symbench.algebra.groups.base import Elements, Group, choose
from symbench.base.errors import ConfigError, Problem, one_of, quoted
from symbench.domains.common.handling import handling_of
from symbench.face.equivariant.deviation import TOLERANCE, Deviation, hints
from symbench.face.equivariant.fields import Declared, check_axes, field_of
from symbench.face.equivariant.probe import Probe
from symbench.face.equivariant.setting import Setting
from symbench.face.equivariant.trial import Trial

__all__ = ["Deviation", "assert_equivariant"]


def assert_equivariant(
    model: Callable[..., Any],
    group: str,
    inputs: Tensor | Mapping[str, Tensor],
    outputs: Mapping[str, Declared] | Declared = None,
    *,
    fields: Mapping[str, Field | str] | Field | str | None = None,
    modules: Mapping[str, Field | str | Mapping[str, Declared]] | None = None,
    options: Mapping[str, Any] | None = None,
    action: str | None = None,
    on: str | None = None,
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
        assert_equivariant(net, "C4", images, {"maps": Image(), "features": Scalar(), "aux": None})
        assert_equivariant(layer, "S16", {"x": points}, {"y": Nodes("items", Scalar())},
                           fields={"x": Nodes("items", Scalar())})       # rows that move with the rows

    Args:
        model: a module (a copy of it is tested, in ``dtype`` and in evaluation mode) or any function. A single input
            is its argument; several are passed by name.
        group: its name in a suite, such as ``C4``.
        inputs: one leaf, or leaves by name, ``(n, ...)`` with two samples or more. Every call gets copies of them;
            floating-point ones are cast to ``dtype``, indices and masks are not.
        outputs: the field of every output; by default there is one, that no group moves. Named outputs (mappings,
            dataclasses, named tuples, nested as ``aux.maps``) are matched by name, tuples and lists by position. All
            must be there: None leaves one out. ``"image"``, ``"scalar"`` and ``"category"`` stand for their fields.
        fields: of the inputs; by default images, or for ``(n, nodes, d)`` rows along the axis ``nodes``.
        modules: names of submodules with the field of what each returns, or its outputs as above.
        options: of the group and of its action, as in a suite.
        action: which action, where there are several.
        on: the input whose axis permutations move, where inputs have several axes.
        elements: how many, as in a suite.
        tolerance: see :class:`Deviation`; by default it goes by ``dtype``, where nothing is resampled or lost.
        dtype: what is computed in.
        gradients: also test gradients with respect to the inputs, for elements that only permute numbers.
        seed: draws elements and the direction of the gradient.

    Returns:
        The largest deviation of every output.

    Raises:
        AssertionError: with the output, the elements, the sample, how far, where and what was allowed; NaN fails.
        ConfigError: the question is not well put: a name, a field, a shape or an option, with what to do about it.

    Warns:
        UserWarning: the model writes into its input.
    """
    if isinstance(model, type) or not callable(model):
        raise ConfigError(Problem("model", f"got {quoted(model)}", "a module or a function"))
    # Whatever the caller has switched off: tensors made in inference mode can never be differentiated again.
    with torch.inference_mode(mode=False), torch.enable_grad():
        leaves = _leaves(inputs, dtype)
        setting = Setting.of(group, leaves, fields, dict(options or {}), action, on)
        chosen = _elements(setting.group, elements, seed)
        allowed = _tolerance(setting, chosen, tolerance, dtype)
        wanted = None if outputs is None else _declared(outputs, "output", "outputs")
        inside = {name: _declared(each, name, f"modules[{name!r}]") for name, each in (modules or {}).items()}
        for declared in (wanted or {}, *inside.values()):
            check_axes(setting.fields, {name: field for name, field in declared.items() if field is not None})
        probe = Probe(model, dtype, wanted, inside)
        trial = Trial(setting, probe, leaves, chosen, allowed)
        deviations = trial.run(gradients=gradients, seed=seed)
    if probe.writes:
        warnings.warn(
            f"the model writes into its input {one_of(sorted(map(repr, probe.writes)))} in place; "
            "symbench gave it a copy, others may not",
            stacklevel=2,
        )
    broken = [each for each in deviations if not each.passes]
    if broken:
        said = outputs is not None
        more = hints(broken, trial.reference, dtype, turns=setting.turns, declared=said)
        raise AssertionError("\n".join([f"not equivariant under {group}", *map(str, broken), *more]))
    return deviations


def _leaves(inputs: Any, dtype: torch.dtype) -> dict[str, Tensor]:
    """The inputs by name, floating-point ones in ``dtype`` or better: what is moved is moved in float32 at least."""
    if dtype not in TOLERANCE:
        raise ConfigError(Problem("dtype", f"got {dtype}", f"one of {one_of(map(str, TOLERANCE))}"))
    given = dict(inputs) if isinstance(inputs, Mapping) else {"x": inputs}
    for name, x in given.items():
        if not isinstance(x, Tensor):
            expected = "a tensor (n, ...), or a mapping of names to them"
            raise ConfigError(Problem(f"input {name!r}", f"got a {type(x).__name__}", expected))
        if x.is_complex():
            raise ConfigError(Problem(f"input {name!r}", f"got {x.dtype}", "real numbers"))
    if not given:
        raise ConfigError(Problem("inputs", "got none", "one or more"))
    counts = {name: len(x) if x.ndim else 0 for name, x in given.items()}
    count = next(iter(counts.values()))
    if len(set(counts.values())) > 1 or count < 2:
        got = "got " + ", ".join(f"{number} samples of {name!r}" for name, number in counts.items())
        got = "a single sample has no others to measure by" if set(counts.values()) == {1} else got
        raise ConfigError(Problem("inputs", got, "two or more, as many in every input"))
    # Moved in float32 at least, and rounded once to the dtype of the test: a turn computed in bfloat16 would be off
    # by a hundredth before the model has seen it.
    precise = torch.promote_types(dtype, torch.float32)
    return {str(name): x.detach().to(precise if x.is_floating_point() else x.dtype) for name, x in given.items()}


def _declared(given: Any, name: str, where: str) -> dict[str, Field | None]:
    """Fields by name; a field by itself is that of the only output, ``name``."""
    known = given if isinstance(given, Mapping) else {name: given}
    fields = {n: None if each is None else field_of(each, f"{where}[{n!r}]") for n, each in known.items()}
    if not any(fields.values()):
        raise ConfigError(Problem(where, "nothing is tested", "a field for one output at least"))
    return fields


def _elements(group: Group, count: int | None, seed: int) -> Elements:
    """The elements that are tested, the identity first."""
    if count is not None and count < 1:
        raise ConfigError(Problem("elements", f"got {count}", "1 or more, besides the identity"))
    return choose(group, count, generator=torch.Generator().manual_seed(seed), where="elements")


def _tolerance(setting: Setting, chosen: Elements, tolerance: float | None, dtype: torch.dtype) -> float:
    """The largest relative deviation that passes; it has to be given where numbers are resampled or lost."""
    # No default where numbers are resampled: how much an interpolation loses depends on the images, and a tolerance
    # that suits all of them would pass a broken layer.
    if tolerance is None and not setting.loses_nothing(chosen):
        got = f"{setting.name} resamples or loses {handling_of(setting.on).noun} here"
        raise ConfigError(Problem("tolerance", got, None, "Say with tolerance= how much of that is allowed."))
    return TOLERANCE[dtype] if tolerance is None else tolerance
