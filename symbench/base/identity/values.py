"""What a module holds beside its weights: tensors that no state dict has, and plain attributes."""

from __future__ import annotations

import enum
import functools
import hashlib
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symbench.base.identity.dependencies import LOADED_AS

OWN = frozenset(vars(nn.Module()))
"""What every module holds: parameters, buffers, children and hooks, which other digests or none are of."""
DEEPEST = 12
"""Levels of objects within objects; what lies deeper is known by its class."""


def attributes_digest(module: nn.Module, folder: Path) -> str:
    """SHA-256 of what a module and its submodules hold that is not in the state dict.

    Numbers, texts, containers, arrays and tensors count by value, functions by name and by what they close over,
    other objects by their class and by what they hold. Text that begins with ``folder`` is the same in every folder.

    Args:
        module: as it was built.
        folder: the suite's.
    """
    walk = _Walk(str(folder))
    # Sorted by name: in which order attributes were set says nothing of what a module computes.
    for name, part in module.named_modules():
        walk.text(f"{name}: {_called(type(part))}")
        for key, value in sorted(_held(part), key=lambda pair: pair[0]):
            walk.text(key)
            walk.value(value, 0)
    return walk.digest.hexdigest()


def _held(module: nn.Module) -> Iterator[tuple[str, object]]:
    yield from ((key, value) for key, value in vars(module).items() if key not in OWN)
    yield from ((key, module._buffers[key]) for key in module._non_persistent_buffers_set)


class _Walk:
    """A digest of values and all that they hold, each object taken once: what holds itself is no endless walk."""

    def __init__(self, folder: str) -> None:
        self.digest = hashlib.sha256()
        self.folder = folder
        self.visited: dict[int, int] = {}
        """Objects by their id, numbered in the order of the walk: ids themselves differ from process to process."""
        self.kept: list[object] = []
        """Keeps what has been visited alive: an object that is dropped on the way leaves its id to another."""

    def text(self, text: str) -> None:
        """Add a text to the digest, with its length, so that no two texts make a third."""
        data = text.encode(errors="surrogatepass")
        self.digest.update(f"{len(data)} ".encode() + data)

    def value(self, value: object, depth: int) -> None:
        """Add any value to the digest."""
        # By class and ``repr``: 1, 1.0 and True are equal, and yet not the same argument.
        if isinstance(value, (str, Path)):
            self.text(f"str {str(value).replace(self.folder, '.')}")
        elif value is None or isinstance(value, (bool, int, float, complex, bytes, type(Ellipsis))):
            self.text(f"{type(value).__name__} {value!r}")
        elif isinstance(value, (torch.dtype, torch.device, torch.Size, np.dtype, range, slice)):
            self.text(repr(value))
        elif id(value) in self.visited:
            self.text(f"again {self.visited[id(value)]}")
        else:
            self.visited[id(value)] = len(self.visited)
            self.kept.append(value)
            self._object(value, depth)

    def _object(self, value: Any, depth: int) -> None:
        """Add an object to the digest: its class, and its contents where these are known to say what it does."""
        kind = type(value)
        self.text(_called(kind))
        if isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, np.ndarray):
            self.text(f"{value.dtype} {value.shape}")
            # An array of objects holds addresses, which are others in every process.
            self.digest.update(np.ascontiguousarray(value).data if value.dtype != object else b"")
        elif isinstance(value, types.ModuleType):
            self.text(value.__name__)
        elif isinstance(value, type):
            self.text(_called(value))
        elif isinstance(value, torch.Generator):
            self._tensor(value.get_state())
        elif depth < DEEPEST and not isinstance(value, nn.Module):  # submodules have their own turn
            self._within(value, depth + 1)

    def _tensor(self, value: Tensor) -> None:
        self.text(f"{value.dtype} {tuple(value.shape)}")
        if value.layout == torch.strided and value.device.type != "meta":
            # As bytes: NumPy has no bfloat16, and NaNs with other bits are other values here.
            flat = value.detach().cpu().contiguous().reshape(-1)
            self.digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")

    def _within(self, value: Any, depth: int) -> None:
        """Add what a container or an object holds to the digest, in an order that is the same in every process."""
        if isinstance(value, Mapping):
            self._all((item for pair in value.items() for item in pair), depth)
        elif isinstance(value, (list, tuple)):
            self._all(value, depth)
        elif isinstance(value, (set, frozenset)):
            # The order of a set of texts changes with every process (hash randomisation). What cannot be sorted in
            # a way that lasts counts by its number.
            plain = all(isinstance(each, (str, int, float)) for each in value)
            self._all(sorted(value, key=repr) if plain else [len(value)], depth)
        elif isinstance(value, types.FunctionType):
            self.text(_called(value))
            cells = (cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell))
            self._all([*cells, *(value.__defaults__ or ())], depth)
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodType)):
            self.text(value.__qualname__)
        elif isinstance(value, functools.partial):
            self._all([value.func, value.args, value.keywords], depth)
        elif isinstance(value, enum.Enum):
            self.text(value.name)
        elif hasattr(value, "__dict__") and _tells(type(value)):
            self._all((item for pair in sorted(vars(value).items()) for item in pair), depth)

    def _all(self, values: Iterable[object], depth: int) -> None:
        for value in values:
            self.value(value, depth)
        self.text("end")


def _called(thing: type | types.FunctionType) -> str:
    """A class or a function by its full name; one of a suite's own file wherever that is."""
    where = "" if str(thing.__module__).startswith(LOADED_AS) else thing.__module__
    return f"{where}.{thing.__qualname__}"


def _is_filled(cell: types.CellType) -> bool:
    """Whether a closure's variable has been set yet: that of a function which names itself may not be."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _tells(kind: type) -> bool:
    """Whether what an object holds says what it does. Loggers, locks and clocks of the standard library do not."""
    top = kind.__module__.partition(".")[0]
    return top not in sys.stdlib_module_names or kind in {types.SimpleNamespace}
