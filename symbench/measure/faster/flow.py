"""Which layer of a network feeds which, as one forward pass shows it: no tracing, so no code is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


@dataclass
class Flow:
    """What one forward pass showed of a module's parts.

    Attributes:
        before: for each part that was given just what another had returned, that other one.
        calls: how often each part ran.
        shapes: of what each part was given, the last time.
        ends: the parts of which the module returned an output as it was.
        largest: bytes of the largest tensor that a part returned, for each sample.
    """

    before: dict[nn.Module, nn.Module] = field(default_factory=dict)
    calls: Counter[nn.Module] = field(default_factory=Counter)
    shapes: dict[nn.Module, tuple[int, ...]] = field(default_factory=dict)
    ends: list[nn.Module] = field(default_factory=list)
    largest: int = 0

    def feeds(self, part: nn.Module) -> nn.Module | None:
        """The part that feeds this one, where both ran once; whether others use its output too is not known."""
        found = self.before.get(part)
        return found if found is not None and self.calls[part] == self.calls[found] == 1 else None

    def merge(self, first: nn.Module, second: nn.Module, merged: nn.Module) -> None:
        """Speak of one part where there were two, the first of which fed the second."""
        del self.before[second]
        if first in self.before:
            self.before[merged] = self.before.pop(first)
        self.before.update({part: merged for part, source in self.before.items() if source in {first, second}})
        self.ends = [merged if end is second else end for end in self.ends]
        self.calls[merged], self.shapes[merged] = 1, self.shapes[first]


def flow_of(module: nn.Module, run: Callable[[], object], count: int) -> Flow:
    """Run a module once, and see which of its parts feeds which.

    Args:
        module: watched while it runs.
        run: calls it.
        count: samples that it is given.
    """
    flow, made = Flow(), _Made()
    parts = [each for each in module.modules() if not isinstance(each, torch.jit.ScriptModule)]  # they take no hooks
    handles: list[Any] = []

    def end(part: nn.Module, given: Any, returned: Any) -> None:
        del part, given
        flow.ends = [source for value in tree_leaves(returned) if (source := made.by(value)) is not None]

    try:
        for part in parts:
            handles.append(part.register_forward_pre_hook(_before(flow, made)))
            handles.append(part.register_forward_hook(_after(flow, made, count)))
        handles.append(module.register_forward_hook(end))
        run()
    finally:
        for handle in handles:
            handle.remove()
    return flow


class _Made:
    """Tensors that parts returned, each with the innermost that did. They are held, so that no other gets its id."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Tensor, int, nn.Module]] = {}

    def add(self, tensor: Tensor, part: nn.Module) -> None:
        if self.by(tensor) is None:  # a container returns what its last part did
            self.known[id(tensor)] = tensor, tensor._version, part

    def by(self, value: Any) -> nn.Module | None:
        """Who has made a tensor, if nobody has written into it since."""
        if not isinstance(value, Tensor) or id(value) not in self.known:
            return None
        _, version, part = self.known[id(value)]
        return part if value._version == version else None


def _before(flow: Flow, made: _Made) -> Callable[..., None]:
    def note(part: nn.Module, given: tuple[Any, ...]) -> None:
        flow.calls[part] += 1
        if not given or not isinstance(given[0], Tensor):
            return
        flow.shapes[part] = tuple(given[0].shape)
        source = made.by(given[0])
        if source is not None:
            flow.before[part] = source

    return note


def _after(flow: Flow, made: _Made, count: int) -> Callable[..., None]:
    def note(part: nn.Module, given: Any, returned: Any) -> None:
        del given
        if isinstance(returned, Tensor):
            made.add(returned, part)
            flow.largest = max(flow.largest, returned.nbytes // max(count, 1))

    return note
