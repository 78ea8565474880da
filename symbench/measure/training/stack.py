"""Modules of one architecture as one: their weights in one tensor each, and one pass for all of them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves, tree_map

from symbench.base.errors import described
from symbench.domains.common.models.base import OUT_OF_MEMORY
from symbench.domains.common.models.running import handed

Inputs = Mapping[str, Tensor]
SAME = 1e-2
"""What a tensor may differ by, relative to its largest number: far beyond rounding (1e-7 to 1e-5), which so never
decides."""
DRAWS = "randomness error mode"
"""What torch says of a module that draws random numbers, among other words."""
SLOW, OF = "performance drop", "batching rule for "
"""What torch says of an operation that it cannot batch, and runs for one replica after the other."""


class Stack:
    """Modules of one architecture whose weights lie in one tensor each, a row for each module.

    Their own parameters and buffers become views of the rows, so that a step of an optimiser on :attr:`parameters` is
    one of all modules, and each of them can be run, saved and loaded by itself at any time.

    Args:
        modules: at least one, on one device, with weights of the same names and shapes.

    Attributes:
        parameters: ``(modules, *shape)`` each, by name; differentiated where those of the first module are.
        buffers: likewise.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.first = modules[0]
        own = dict(self.first.named_parameters())
        stacked = _stacked([list(module.parameters()) for module in modules])
        self.parameters = {
            name: nn.Parameter(x, own[name].requires_grad) for name, x in zip(own, stacked, strict=True)
        }
        names = dict(self.first.named_buffers())
        self.buffers = dict(zip(names, _stacked([list(module.buffers()) for module in modules]), strict=True))

    def __call__(self, inputs: Sequence[Inputs]) -> list[Any]:
        """What each module returns for inputs of its own, ``(n, ...)`` each, with the graph of all of them.

        Raises:
            RuntimeError: torch cannot batch what the modules do, or they draw random numbers.
        """
        stacked = {name: torch.stack([each[name] for each in inputs]) for name in inputs[0]}

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], own: dict[str, Tensor]) -> Any:
            return handed(lambda *a, **k: functional_call(self.first, (parameters, buffers), a, k), own)

        returned = vmap(one, randomness="error")(dict(self.parameters), self.buffers, stacked)
        return [tree_map(lambda x: x[row], returned) for row in range(len(inputs))]  # noqa: B023  (called at once)


def _stacked(rows: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The tensors of each place in one, ``(rows, *shape)``; the tensors themselves become views of it."""
    made = []
    for tensors in zip(*rows, strict=True):
        stacked = torch.stack([x.detach() for x in tensors])
        for x, row in zip(tensors, stacked, strict=True):
            x.data = row
        made.append(stacked)
    return made


def refusal(modules: Sequence[nn.Module], inputs: Sequence[Inputs]) -> str | None:
    """Why modules cannot run as a :class:`Stack`, in words; None where they can. They are left as they are.

    Copies of them run both ways, each on inputs of its own, and have to return the same and to leave the same in
    their buffers. So the answer depends on the architecture and on the inputs alone.

    Raises:
        OutOfMemoryError: so many of them do not fit; or RuntimeError, on the processor.
    """
    if any(
        _shapes(dict(module.named_parameters())) != _shapes(dict(modules[0].named_parameters())) for module in modules
    ):
        return "its weights differ in shape from one to the other"
    if any(_shapes(each) != _shapes(inputs[0]) for each in inputs):
        return "batches differ in shape from one to the other"
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("error", message=f".*{SLOW}")
        try:
            copies = copy.deepcopy(list(modules))
            returned = Stack(copies)(inputs)
            # what cannot be differentiated in a batch is to be known now, and not at the first step
            torch.stack([x.square().sum() for x in tree_leaves(returned) if x.requires_grad]).sum().backward()
            alone = copy.deepcopy(list(modules))
            expected = [handed(module, each) for module, each in zip(alone, inputs, strict=True)]
        except torch.OutOfMemoryError:  # where it is trained must not decide how
            raise
        except Exception as error:  # a module's own code may raise anything, and is told of when it runs alone
            if OUT_OF_MEMORY in described(error):
                raise
            return _in_words(error)
    met = zip(_left(expected, alone), _left(returned, copies), strict=True)
    return None if all(_alike(a, b) for a, b in met) else "it computes something else when it is batched"


def _shapes(tensors: Inputs) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (x.shape, x.dtype) for name, x in tensors.items()}


def _left(returned: Any, modules: Sequence[nn.Module]) -> list[Tensor]:
    """Every tensor that modules returned or hold."""
    return [*tree_leaves(returned), *(x for module in modules for x in module.buffers())]


def _alike(a: Tensor, b: Tensor) -> bool:
    difference, size = (a.double() - b.double()).abs(), a.double().abs()
    return a.shape == b.shape and bool((difference <= SAME * size.max()).all()) if a.numel() else a.shape == b.shape


def _in_words(error: Exception) -> str:
    said = described(error)
    if DRAWS in said:
        return "it draws random numbers when it runs, of which each replica has its own"
    if SLOW in said:
        return f"torch has no batched form of {said.partition(OF)[2].partition('. ')[0]}"
    return f"torch cannot batch it: {said.partition('. ')[0]}"
