"""Runs a caller's model without touching it or its inputs: copies, precision, submodules, gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field
from symbench.base.errors import ConfigError, Problem, SymbenchError, described, near_miss, one_of
from symbench.face.equivariant.returned import named, only

Leaves = Mapping[str, Tensor]
Declared = Mapping[str, Field | None]


@dataclass(frozen=True)
class Output:
    """What a model or a submodule returned, ``(n, ...)``: detached, on the CPU, floating point in float64."""

    field: Field
    value: Tensor


class Probe:
    """Runs a model, or a copy of it if it is a module, and returns the outputs that are tested.

    Args:
        model: a module or any function.
        dtype: what modules and floating-point inputs are cast to.
        outputs: the field of every output, None for those left out; None if there is only one, that nothing moves.
        modules: the same of what submodules return, by their names.

    Raises:
        ConfigError: the module cannot be copied, or has no such submodule.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        dtype: torch.dtype,
        outputs: Declared | None,
        modules: Mapping[str, Declared],
    ) -> None:
        self.original = model
        self.dtype = dtype
        self.outputs = outputs
        self.modules = modules
        self.writes: set[str] = set()
        """Inputs that the model wrote into."""
        self.model = copied(model, dtype) if isinstance(model, nn.Module) else model
        self._kept: dict[str, list[dict[str, Tensor]]] = {}
        for name in modules:
            _submodule(self.model, name).register_forward_hook(self._keep(name))

    def __call__(self, leaves: Leaves) -> dict[str, Output]:
        """Run the model once: all outputs that are tested, its own and its submodules', by name.

        Raises:
            ConfigError: what comes back is not what was declared, or has no row for every sample.
        """
        count = len(next(iter(leaves.values())))
        values = self._run(leaves)
        fields: dict[str, Field | None] = dict(self.outputs or {})
        for name, declared in self.modules.items():
            if name not in self._kept:
                raise ConfigError(Problem("modules", f"the model does not call {name!r}", "submodules that it calls"))
            for part, field, value in _of_module(name, declared, self._kept[name]):
                fields[part], values[part] = field, value
        return {
            name: Output(field, _comparable(name, values[name], count))
            for name, field in fields.items()
            if field is not None
        }

    def gradient(self, leaves: Leaves, directions: Leaves) -> dict[str, Tensor]:
        """Gradients of ``sum_o <direction_o, f_o>`` with respect to every floating-point leaf.

        Raises:
            ConfigError: the model cannot be differentiated.
        """
        tracked = {n: x.detach().requires_grad_() for n, x in leaves.items() if x.is_floating_point()}
        outputs = self._run({**leaves, **tracked})
        # On the CPU and in float64: outputs may be of several dtypes, and lie on several devices.
        terms = [
            (outputs[name] * direction.to(outputs[name])).sum().cpu().double()
            for name, direction in directions.items()
            if outputs[name].requires_grad
        ]
        if not terms:
            return {name: torch.zeros_like(x) for name, x in tracked.items()}
        try:
            gradients = torch.autograd.grad(torch.stack(terms).sum(), list(tracked.values()), allow_unused=True)
        except RuntimeError as error:
            got = " ".join(f"the model cannot be differentiated: {error}".split())
            raise ConfigError(Problem("gradients", got, None, "gradients=False leaves them out.")) from error
        return {
            name: torch.zeros_like(x) if gradient is None else gradient
            for (name, x), gradient in zip(tracked.items(), gradients, strict=True)
        }

    def _run(self, leaves: Leaves) -> dict[str, Tensor]:
        """The declared outputs, as they came; every call gets inputs of its own."""
        self._kept.clear()
        given = cast(leaves, self.dtype)
        # torch counts the writes into every tensor: to compare contents would miss a write of the same numbers.
        versions = {name: x._version for name, x in given.items()}
        try:
            returned = _called(self.model, given)
        except (SymbenchError, KeyboardInterrupt):
            raise
        except BaseException as error:  # whatever a layer raises is its own error
            if self.dtype == torch.float64 and self._runs_in_float32(leaves):
                got = f"in float64 the model raised {described(error)}"
                raise ConfigError(Problem("dtype", got, None, "It runs with dtype=torch.float32.")) from error
            raise
        self.writes |= {name for name, x in given.items() if x._version != versions[name]}
        if self.outputs is None:
            self.outputs = only(returned)
        return named(returned, self.outputs, "outputs")

    def _runs_in_float32(self, leaves: Leaves) -> bool:
        """Whether the model runs as it is usually run, so that float64 is to blame for what it raised."""
        model = copied(self.original, torch.float32) if isinstance(self.original, nn.Module) else self.original
        try:
            _called(model, cast(leaves, torch.float32))
        except KeyboardInterrupt:
            raise
        except BaseException:
            return False
        return True

    def _keep(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        """A forward hook that keeps copies of what a submodule returns."""

        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            del module, arguments
            parts = named(output, self.modules[name], f"modules[{name!r}]")
            copies = {part: value.detach().clone() for part, value in parts.items()}  # a later layer may write in it
            self._kept.setdefault(name, []).append(copies)

        return hook


def _called(model: Callable[..., Any], given: Leaves) -> Any:
    return model(next(iter(given.values()))) if len(given) == 1 else model(**given)


def cast(leaves: Leaves, dtype: torch.dtype) -> dict[str, Tensor]:
    """Copies, in ``dtype`` where they are floating point: indices and masks stay what they are."""
    return {name: x.to(dtype if x.is_floating_point() else x.dtype, copy=True) for name, x in leaves.items()}


def _of_module(
    name: str, declared: Declared, calls: list[dict[str, Tensor]]
) -> Iterator[tuple[str, Field | None, Tensor]]:
    """Names, fields and values of what a submodule returned, call by call."""
    for number, call in enumerate(calls, start=1):
        which = f" (call {number})" if len(calls) > 1 else ""
        for part, value in call.items():
            yield (name if part == name else f"{name}.{part}") + which, declared[part], value


def _comparable(name: str, value: Tensor, count: int) -> Tensor:
    """An output detached, on the CPU and in float64; one without a row for every sample is refused."""
    if value.ndim == 0 or len(value) != count or not value.numel():
        got = f"has shape {tuple(value.shape)}"
        raise ConfigError(
            Problem(f"output {name!r}", got, f"({count}, ...): a row for every sample, with something in it")
        )
    value = value.detach().cpu()
    return value.double() if value.is_floating_point() else value


def _submodule(model: Callable[..., Any], name: str) -> nn.Module:
    """The submodule of that name, as ``model.named_modules()`` has it."""
    if not isinstance(model, nn.Module):
        raise ConfigError(
            Problem("modules", f"the model is a {type(model).__name__}", "a module: others have no submodules")
        )
    known = dict(model.named_modules())
    if name not in known:
        names = [each for each in known if each]
        raise ConfigError(Problem("modules", f"got {name!r}", f"one of {one_of(names)}", near_miss(name, names)))
    return known[name]


def copied(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of a module, in ``dtype`` and in evaluation mode.

    Raises:
        ConfigError: it cannot be copied.
    """
    # escnn's layers keep a filter from eval() on, with its graph, and deepcopy refuses what has one
    kept: dict[int, Any] = {id(x): x.detach().clone() for x in _with_graph(module)}
    try:
        twin = copy.deepcopy(module, kept).to(dtype)
        with torch.no_grad():  # what is made and kept by eval() is made anew, in this dtype
            return twin.train().eval()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        got = f"cannot be copied: {described(error)}"
        remedy = "Pass a function that calls it, in eval() and in the dtype of the test: lambda x: model(x)."
        expected = "a module that copy.deepcopy and .to(dtype) take"
        raise ConfigError(Problem(type(module).__name__, got, expected, remedy)) from error


def _with_graph(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that a module or one of its parts holds and that are results of computations."""
    for part in module.modules():
        yield from _results(vars(part).values())


def _results(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among values, nested ones too, that have a graph behind them."""
    for value in values:
        if isinstance(value, Tensor):
            if not value.is_leaf:
                yield value
        elif isinstance(value, Mapping):
            yield from _results(value.values())
        elif isinstance(value, (list, tuple)):
            yield from _results(value)
