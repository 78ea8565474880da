"""The same model in another precision, and where a model computes in a lower one inside."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from symbench.base.code import shortened
from symbench.base.errors import ModelError
from symbench.domains.common.models.running import named, uncompiled
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import Job, load_leaves
from symbench.measure.evaluate.plans import FOLLOWED
from symbench.measure.evaluate.rounded import FORMATS, Leaves, coarsest, of_format, rounding

HALVES = {dtype: bits for dtype, bits in FORMATS.items() if torch.finfo(dtype).bits == 16}
"""Formats of half precision, and the bits of their significands."""


def in_float64(job: Job) -> tuple[Job | None, str | None]:
    """The same job with the weights in float64, or why it cannot be had."""
    if job.device.startswith("mps"):
        return None, "the device has no float64"
    try:
        with torch.no_grad():
            module = copied(job).double()
            # what is made from weights on the way to eval(), such as filters, is made again of the wider ones
            module.train()
            module.eval()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's module may refuse to be copied
        return None, f"the model cannot be had in float64: {shortened(error)}"
    model = replace(job.model, module=module, dtypes=None)
    return replace(job, model=model, runner=None, dtype=torch.float64), None


def copied(job: Job) -> nn.Module:
    """A copy of the module; one that cannot be copied is built anew and given the same state.

    Raises:
        TypeError: what is built anew shares parts with the first: what happens to the one would happen to the other.
    """
    module = job.model.module
    # tensors that hang on the graph that made them are copied without it; by themselves they would refuse
    memo: dict[int, Any] = {id(x): x.detach().clone() for x in _made(module)}
    try:
        return copy.deepcopy(module, memo)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it holds a lock or a handle
        if job.build is None:
            raise
    built = job.build().module
    if _parts(built) & _parts(module):  # as where a library keeps the bases of its filters for all models
        raise TypeError(f"{type(module).__name__} cannot be copied, and shares parts with others of its kind")
    built.load_state_dict(module.state_dict())
    return built


def _made(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that a module keeps and that are results of others."""
    for each in module.modules():
        for value in (*each._buffers.values(), *vars(each).values()):
            if isinstance(value, Tensor) and value.grad_fn is not None:
                yield value


def _parts(module: nn.Module) -> set[int]:
    """The identities of all submodules, parameters and buffers."""
    return {id(x) for x in (*module.modules(), *module.parameters(), *module.buffers())}


def lower_inside(job: Job, samples: Sequence[int], *, hidden: bool = True) -> dict[str, str]:
    """The submodules in which a model computes in less than its inputs' precision, or float32's, with the dtype.

    Every operator of one forward pass is looked at. What runs elsewhere, as in NumPy or onnxruntime, shows in outputs
    that are numbers of half precision one and all.

    Args:
        job: in float64, or as the model runs where it does not run in that.
        samples: the first of them are followed.
        hidden: whether submodules are looked for whose casts no operator shows, by two more passes.
    """
    leaves, _ = load_leaves(job, samples[:FOLLOWED])
    least = torch.finfo(torch.float64 if job.dtype == torch.float64 else torch.float32).eps
    mode = Narrowed(leaves.values(), least)
    try:
        with uncompiled(Narrowed), _named_forward(job.model.module, mode.stack), mode:
            outputs = run_model(job, leaves)
    except ModelError:  # it does not run under a dispatch mode
        return {}
    found, whole = dict(mode.found), type(job.model.module).__name__
    if hidden and not found:
        found = _told_by_numbers(job, leaves, least)
    given = [x for x in leaves.values() if x.is_floating_point()]
    for value in outputs.values():
        suspected = half_format(value)
        if torch.finfo(value.dtype).eps > least:
            found.setdefault("", value.dtype)
        elif suspected is not None and not any(of_format(x, suspected) for x in given):
            found.setdefault("", suspected)
    if "" in found and len(found) > 1:
        del found[""]
    return {name or whole: named(dtype) for name, dtype in found.items()}


def _told_by_numbers(job: Job, leaves: Leaves, least: float) -> dict[str, torch.dtype]:
    """The same of what no operator of torch shows: :mod:`symbench.measure.evaluate.rounded`."""
    if len(next(iter(leaves.values()))) < FOLLOWED or job.device.startswith("mps"):
        return {}
    try:
        with uncompiled(Narrowed):
            return rounding(job.model.module, lambda x: run_model(job, x), leaves, least)
    except ModelError:  # it does not take hooks, or numbers in between
        return {}


class Narrowed(TorchDispatchMode):
    """Follows what is computed from some tensors, and keeps where it gets a coarser dtype than it may have.

    A tensor belongs to what is followed if its memory does: views and writes in place are seen. Constants of lower
    precision do not belong to it, nor do tensors that only have another's shape.
    """

    supports_higher_order_operators = True

    def __init__(self, followed: Iterable[Tensor], least: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.least = least
        self.stack: list[str] = [""]
        self.found: dict[str, torch.dtype] = {}
        # a weak reference keeps the address from being given to another storage
        self.followed: dict[int, StorageWeakRef] = {}
        for tensor in followed:
            self._follow(tensor)

    def _follow(self, tensor: Tensor) -> None:
        reference = StorageWeakRef(tensor.untyped_storage())
        self.followed[reference.cdata] = reference

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator, and look at what came out."""
        returned = func(*args, **(kwargs or {}))
        name = func._schema.name.split("::")[-1] if isinstance(func, torch._ops.OpOverload) else ""
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor) and self._is_followed(x)]
        if not given or name.startswith("new_") or name.endswith("_like"):
            return returned
        for result in tree_leaves(returned):
            if isinstance(result, Tensor) and result.layout == torch.strided:
                self._follow(result)
                # a cast of whole numbers loses nothing; what is computed from it then may
                if result.is_floating_point() and any(x.is_floating_point() for x in given):
                    self._note(result.dtype)
        return returned

    def _is_followed(self, tensor: Tensor) -> bool:
        return tensor.layout == torch.strided and StorageWeakRef(tensor.untyped_storage()).cdata in self.followed

    def _note(self, dtype: torch.dtype) -> None:
        eps = torch.finfo(dtype).eps
        known = self.found.get(self.stack[-1])
        if eps > self.least and (known is None or eps > torch.finfo(known).eps):
            self.found[self.stack[-1]] = dtype


@contextlib.contextmanager
def _named_forward(module: nn.Module, stack: list[str]) -> Iterator[None]:
    """Keep on the stack which submodule is at work."""
    handles: list[Any] = []
    try:
        for name, each in module.named_modules():
            if isinstance(each, torch.jit.ScriptModule):
                continue  # takes no hooks: what it does counts as done by the module that calls it
            handles.append(each.register_forward_pre_hook(_pushes(stack, name)))
            handles.append(each.register_forward_hook(_pops(stack), always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _pushes(stack: list[str], name: str) -> Callable[..., None]:
    def push(*_: Any) -> None:
        stack.append(name)

    return push


def _pops(stack: list[str]) -> Callable[..., None]:
    def pop(*_: Any) -> None:
        stack.pop()

    return pop


def half_format(values: Tensor) -> torch.dtype | None:
    """The format of half precision that all of some numbers are of, though nothing else makes them so round.

    As :func:`~symbench.measure.evaluate.rounded.format_of`, with the whole numbers among them.
    """
    numbers = values.double().abs().flatten()
    return coarsest(numbers[torch.isfinite(numbers)], HALVES)
