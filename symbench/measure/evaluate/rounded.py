"""Which submodule rounds: told from its numbers, whatever it runs in.

What computes in NumPy, in onnxruntime, in a custom kernel or in a scripted function shows no operator that casts.
But an output that is of a coarser format one number and all, of inputs that are not, comes from a cast: numbers that
are computed in float64 are so by chance once in 2^29 times. Whole numbers and zeros are of every format.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

Leaves = dict[str, Tensor]
FORMATS = {torch.bfloat16: 8, torch.float16: 11, torch.float32: 24}
"""Formats below float64, and the bits of their significands, the coarsest first."""
FEWEST = 3
"""Different numbers that have to be of a format before it is suspected."""
OFF = 1e-7
"""By how much, relative to it, a leaf is changed that is of a coarser format itself: a cast of it would not show."""
SEARCHED = 2**25
"""Weights among which numbers are looked for, at most: 270 MB, sorted once in seconds."""


def format_of(values: Tensor, least: float = 0.0) -> torch.dtype | None:
    """The coarsest format that all of some numbers are of, though nothing else makes them so round.

    Whole numbers, one-hots, and shares of a power of two are of these formats too: numbers of ``b`` bits on one grid.
    Numbers of ``b`` bits that each have a grid of their own come from a floating-point format.

    Args:
        values: any numbers.
        least: the rounding of the format that they may be of anyway; coarser ones count.
    """
    numbers = values.detach().double().abs().flatten()
    coarser = {dtype: bits for dtype, bits in FORMATS.items() if torch.finfo(dtype).eps > least}
    return coarsest(numbers[torch.isfinite(numbers) & (numbers != numbers.round())], coarser)


def coarsest(numbers: Tensor, formats: Mapping[torch.dtype, int]) -> torch.dtype | None:
    """The first of some formats that all numbers are of, unless they are few or stand on one grid.

    Args:
        numbers: absolute values, float64, finite.
        formats: with the bits of their significands, the coarsest first.
    """
    found = next((dtype for dtype in formats if of_format(numbers, dtype)), None)
    if found is None:
        return None  # as of nearly all numbers, before anything is sorted
    numbers = numbers[numbers > 0].unique()
    if len(numbers) < FEWEST:
        return None
    significand, exponent = torch.frexp(numbers)
    scaled = (significand * 2.0**53).long()
    lowest = exponent - 53 + (scaled & -scaled).double().log2().long()  # of the bits that are set
    return found if int(exponent.max()) - int(lowest.min()) > formats[found] else None


def of_format(values: Tensor, dtype: torch.dtype) -> bool:
    """Whether a format holds all of some numbers."""
    return bool(torch.equal(values.to(dtype).double(), values.double()))


def finer(values: Tensor) -> Tensor:
    """Numbers next to some, in float64, that no coarser format holds: as good an input, in which casts show."""
    if not values.is_floating_point():
        return values
    noise = torch.Generator().manual_seed(0)
    change = torch.rand(values.shape, generator=noise, dtype=torch.float64).to(values.device)
    return values.double() * (1 + OFF * (change - 0.5))


@dataclass(frozen=True)
class Heard:
    """Numbers on their way: what a submodule gave, or was given by the one that calls it.

    Attributes:
        name: of the submodule that they would have been rounded in.
        fine: whether its inputs are of no coarser format.
        numbers: the tensors.
    """

    name: str
    fine: bool
    numbers: tuple[Tensor, ...]


class Listening:
    """Hears what goes into submodules and what comes out.

    Attributes:
        heard: in the order of the calls.
    """

    def __init__(self, coarser: torch.dtype) -> None:
        self.coarser = coarser
        self.heard: list[Heard] = []
        self._stack: list[tuple[str, bool]] = []

    @contextlib.contextmanager
    def to(self, module: nn.Module) -> Iterator[None]:
        """While a module runs."""
        handles: list[Any] = []
        try:
            for name, each in module.named_modules():
                if not isinstance(each, torch.jit.ScriptModule):  # takes no hooks
                    handles.append(each.register_forward_pre_hook(self._before(name), with_kwargs=True))
                    handles.append(each.register_forward_hook(self._after(name), with_kwargs=True))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _before(self, name: str) -> Callable[..., None]:
        def before(_: nn.Module, args: Any, kwargs: Any) -> None:
            given = _numbers((args, kwargs))
            fine = any(not of_format(x, self.coarser) for x in given)
            if self._stack and not fine:  # rounded by the caller, if by anybody
                self.heard.append(Heard(*self._stack[-1], given))
            self._stack.append((name, fine))

        return before

    def _after(self, name: str) -> Callable[..., None]:
        def after(_: nn.Module, __: Any, ___: Any, returned: Any) -> None:
            self.heard.append(Heard(*self._stack.pop(), _numbers(returned)))

        return after


def rounding(
    module: nn.Module, run: Callable[[Leaves], object], leaves: Leaves, least: float
) -> dict[str, torch.dtype]:
    """The submodules that round what depends on the inputs, the innermost of them, with the format.

    Two runs, of the samples in either order: what does not change between them is a table. So are numbers that are
    all among the weights: a model in float64 has those as float32 had them.

    Args:
        module: runs within ``run``.
        run: the model on leaves ``(n, ...)``, in the precision that is asked of it.
        leaves: of two samples or more.
        least: the rounding of that precision.
    """
    coarser = torch.float32 if least < torch.finfo(torch.float32).eps else torch.bfloat16
    runs = [Listening(coarser), Listening(coarser)]
    for each, order in zip(runs, (leaves, {name: x.flip(0) for name, x in leaves.items()}), strict=True):
        with each.to(module):
            run({name: finer(x) for name, x in order.items()})
    found: dict[str, torch.dtype] = {}
    weights = Weights(module)
    if [each.name for each in runs[0].heard] != [each.name for each in runs[1].heard]:
        return found
    for one, other in zip(runs[0].heard, runs[1].heard, strict=True):
        for x, y in zip(one.numbers, other.numbers, strict=False):
            if not one.fine or x.shape != y.shape:
                continue
            dtype = format_of(x[x != y], least)
            if dtype is None or torch.finfo(dtype).eps <= _eps(found.get(one.name)):
                continue
            if not weights.hold(x[x != y]):
                found[one.name] = dtype
    return {name: dtype for name, dtype in found.items() if not any(_within(other, name) for other in found)}


class Weights:
    """The numbers that a module keeps, sorted once, and only if anybody asks."""

    def __init__(self, module: nn.Module) -> None:
        self.kept = [x.detach() for x in (*module.parameters(), *module.buffers()) if x.is_floating_point()]

    @cached_property
    def ordered(self) -> Tensor:
        """All of them, float64 on the CPU."""
        return torch.cat([x.cpu().double().flatten() for x in self.kept]).sort().values

    def hold(self, values: Tensor) -> bool:
        """Whether all of some numbers are among them, as rows of a code book are; of too many, nobody denies it."""
        count = sum(x.numel() for x in self.kept)
        if not 0 < count <= SEARCHED:
            return count > 0
        wanted = values.cpu().double().flatten()
        return bool((self.ordered[torch.searchsorted(self.ordered, wanted).clamp(max=count - 1)] == wanted).all())


def _eps(dtype: torch.dtype | None) -> float:
    return 0.0 if dtype is None else torch.finfo(dtype).eps


def _within(inner: str, outer: str) -> bool:
    return inner != outer and (not outer or inner.startswith(f"{outer}."))


def _numbers(values: Any) -> tuple[Tensor, ...]:
    return tuple(x.detach() for x in tree_leaves(values) if isinstance(x, Tensor) and x.is_floating_point())
