"""What a module holds and does: its numbers, and the operations of a forward pass. The one definition of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils import flop_counter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from symbench.domains.common.models.program import Program
from symbench.domains.common.models.running import plain_kernels, uncompiled

PRODUCTS = frozenset(
    {"mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot", "matmul", "linear", "trilinear"}
    | {"conv", "convolution", "attention", "lstm", "gru", "rnn", "fft", "cdist", "pdist"}
    | {"linalg", "svd", "qr", "cholesky", "lu", "solve", "eig", "inverse"}
)
"""Words in the names of torch's own operators that multiply much. Like torch, we count products alone: what works
number by number, as activations and sums do, is left out."""
NO_PRODUCTS = frozenset({"cell", "check"})
"""Words in the names of operators that finish what others multiplied."""
OURS = frozenset({"prim", "prims", "profiler", "debugprims"})
"""Namespaces of operators beside ``aten`` that compute nothing."""


def count_numbers(module: nn.Module) -> dict[str, float | None]:
    """How many numbers a module holds, those that are shared once; None of a program that keeps them to itself.

    Its ``parameters``, ``trainable_parameters`` (those that ask for gradients), and ``buffers``.
    """
    parameters, buffers = list(module.parameters()), list(module.buffers())
    if isinstance(module, Program) and not parameters and not buffers:
        return dict.fromkeys(("parameters", "trainable_parameters", "buffers"))
    return {
        "parameters": float(sum(p.numel() for p in parameters)),
        "trainable_parameters": float(sum(p.numel() for p in parameters if p.requires_grad)),
        "buffers": float(sum(b.numel() for b in buffers)),
    }


class Uncounted(TorchDispatchMode):
    """Names operators that multiply and that the counter has no formula for. To be entered before the counter."""

    supports_higher_order_operators = True

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counter = counter
        self.names: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at one operator, as the counter hands it on."""
        plain = isinstance(func, torch._ops.OpOverload)  # else it is one that takes functions, as flex_attention
        namespace, _, name = (func._schema.name if plain else str(func)).rpartition("::")
        words = set(name.split("_"))
        ours = not words & PRODUCTS or words & NO_PRODUCTS if namespace == "aten" else namespace in OURS
        if not ours and (func.overloadpacket if plain else func) not in self.counter.flop_registry:
            self.names[func._schema.name if plain else name] = None
        return func(*args, **(kwargs or {}))


class Whole(nullcontext[None]):
    """Stands for what follows submodules in torch's counter: that breaks off where a model differentiates inside."""

    parents = frozenset({"Global"})


def _product(count: int) -> Any:
    """The formula of an operator whose argument of this number is the matrix, or one of two vectors."""
    return lambda *shapes, **_: 2 * prod(shapes[count])


FORMULAS = {
    torch.ops.aten.mv: _product(0),
    torch.ops.aten.addmv: _product(1),
    torch.ops.aten.dot: _product(0),
    torch.ops.aten.vdot: _product(0),
    torch.ops.aten._linalg_eigh: lambda matrix, *_, **__: 9 * prod(matrix) * matrix[-1],
}
"""What torch's counter leaves out: products with a vector, and eigenvectors of symmetric matrices, by the usual count
of ``9 d^3`` (Golub and Van Loan, *Matrix Computations*)."""


def operations(module: nn.Module, run: Callable[[], object]) -> tuple[int, tuple[str, ...]]:
    """Floating-point operations of what ``run`` does with a module; a multiply-add is two, and products alone count.

    Attention and recurrent layers are counted as the products of matrices that they are. Shapes alone are looked at,
    so that a module on the ``meta`` device is counted without a product being computed.

    Args:
        module: which is run; its kernels are chosen so that they can be counted.
        run: calls it.

    Returns:
        The count, and the names of operators that multiply and cannot be counted.
    """
    counter: Any = FlopCounterMode(display=False, custom_mapping=FORMULAS)
    counter.mod_tracker = Whole()
    modes = (Uncounted, getattr(flop_counter, "_FlopCounterMode", FlopCounterMode))
    with uncompiled(*modes), plain_kernels(module), Uncounted(counter) as uncounted, counter:
        run()
    return int(counter.get_total_flops()), tuple(uncounted.names)
