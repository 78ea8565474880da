"""How a user's module is run: on tensors of its own, without gradients unless it needs them, in the dtypes it has."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from warnings import catch_warnings, filterwarnings

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from symbench.base.identity import Reads
from symbench.domains.common.models.program import Program

COMPUTED_IN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""The dtypes that inputs may have; weights in any other are unpacked by the module itself."""
NEEDS_GRADIENTS = ("does not require grad", "doesn't require grad")
"""What torch says where something is differentiated that was computed without gradients."""

DISABLED = "__dynamo_disable"
"""Where torch keeps the form of a function that its compiler leaves alone."""

WRITES = "writes into its input: it is given a copy"
"""What is said of such a model."""

Around = Callable[[], AbstractContextManager[object]]


@dataclass
class Habits:
    """What is noticed of a module while it runs. Its copies share it: they run the same code.

    Attributes:
        differentiates: it differentiates inside, and leaves it to whoever calls it that gradients are recorded.
        writes: it writes into its inputs.
        reads: the files and environment variables that it has read while it ran, as far as that was recorded.
    """

    differentiates: bool = False
    writes: bool = False
    reads: Reads = field(default_factory=Reads)


def call(
    module: nn.Module,
    fresh: Callable[[], Mapping[str, Tensor]],
    habits: Habits,
    around: Around,
) -> Any:
    """What the module returns. Gradients are off; where it fails for want of them it is run with them from then on.

    Args:
        module: called with the only input, or with all by name.
        fresh: makes inputs that nobody else holds: the module may write into them.
        habits: of the module; what is noticed is added.
        around: makes what is entered around the module's own work alone.
    """
    try:
        return _called(module, fresh, habits, around)
    except RuntimeError as error:
        if habits.differentiates or not any(words in str(error) for words in NEEDS_GRADIENTS):
            raise
    habits.differentiates = True
    try:
        return _called(module, fresh, habits, around)
    except BaseException:
        habits.differentiates = False
        raise


def _called(module: nn.Module, fresh: Callable[[], Mapping[str, Tensor]], habits: Habits, around: Around) -> Any:
    # what the module leaves switched is put back at the end; inference tensors count no versions
    with torch.inference_mode(mode=False), torch.set_grad_enabled(habits.differentiates):
        given = fresh()
        versions = [x._version for x in given.values()]
        with around():
            returned = handed(module, given)
    if versions != [x._version for x in given.values()]:
        habits.writes = True
    return returned


def handed(module: Callable[..., Any], inputs: Mapping[str, Tensor]) -> Any:
    """What the module returns: an only input is handed to it by place, several are by name."""
    return module(next(iter(inputs.values()))) if len(inputs) == 1 else module(**inputs)


def own(value: Tensor) -> Tensor:
    """A copy of an output, without a graph: a module may write again into what it once returned.

    In forward mode it is the copy that carries the derivative, which ``detach`` would drop.
    """
    carries = forward_ad.unpack_dual(value).tangent is not None
    return value.clone() if carries else value.detach().clone()


def dtypes_of(module: nn.Module) -> list[torch.dtype]:
    """The dtypes of a module's numbers in floating point: of its parameters in their order, then of its buffers.

    A program that keeps its weights to itself declares a ``dtype`` instead. Float32 where there is none.
    """
    declared = [each.dtype for each in module.modules() if isinstance(each, Program) and each.dtype]
    found = [*declared, *(x.dtype for x in (*module.parameters(), *module.buffers()))]
    return list(dict.fromkeys(dtype for dtype in found if dtype in COMPUTED_IN)) or [torch.float32]


def named(dtype: torch.dtype) -> str:
    """``float32``."""
    return str(dtype).removeprefix("torch.")


@contextlib.contextmanager
def plain_kernels(module: nn.Module) -> Iterator[None]:
    """Without fused kernels: attention and recurrent layers run as products of matrices.

    Those can be counted, and have derivatives in forward mode; fused ones have neither.
    """
    switches: list[Any] = [torch.backends.mkldnn, torch.backends.cudnn]
    # convolutions are counted and differentiated either way, and far quicker with these libraries
    switches = switches if any(isinstance(each, nn.RNNBase) for each in module.modules()) else []
    before = [switch.enabled for switch in switches]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        for switch in switches:
            switch.enabled = False
        with sdpa_kernel(SDPBackend.MATH), catch_warnings():
            filterwarnings("ignore", message=".*torch.jit.script.*")  # torch's own, when it first differentiates
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for switch, enabled in zip(switches, before, strict=True):
            switch.enabled = enabled


@contextlib.contextmanager
def uncompiled(*modes: type) -> Iterator[None]:
    """Around dispatch modes of these classes: torch's compiler, which nobody uses in there, is not imported.

    torch wraps what such a mode does so that its compiler leaves it alone, and for that imports the compiler, which
    takes seconds. Where the compiler is there already, all is as it was.
    """
    wrapped = (getattr(getattr(mode, "__torch_dispatch__", None), "__wrapped__", None) for mode in modes)
    plain = [each for each in wrapped if each is not None and not hasattr(each, DISABLED)]
    plain = [] if "torch._dynamo" in sys.modules else plain
    for each in plain:
        setattr(each, DISABLED, each)
    try:
        yield
    finally:
        for each in plain:
            delattr(each, DISABLED)
