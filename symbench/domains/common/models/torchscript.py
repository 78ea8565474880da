"""TorchScript programs."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symbench.base.code import shortened
from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.models.program import FileSource, Program
from symbench.domains.common.models.source import Description


@dataclass(frozen=True)
class Torchscript(FileSource):
    """A file of ``torch.jit.save``: code of its own, in a language of its own."""

    def describe(self) -> Description:
        """The file's digest; a program says nothing about its images."""
        return Description(identity={"file": self.digest()})

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The program as a module."""
        del shape, outputs
        with _old_age():
            try:
                program = torch.jit.load(self.path, map_location="cpu")
            except Exception as error:  # broken files raise many kinds
                got = f"{self.path.name} cannot be read: {shortened(error)}"
                remedy = "If it holds weights, name the network in use: and this file in weights:."
                raise ConfigError(Problem(self.where, got, "a TorchScript program", remedy)) from error
        return TorchscriptModule(program)


class TorchscriptModule(Program):
    """A TorchScript program behind an ordinary module."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.program = program

    def call(self, x: Tensor) -> Any:
        """Run the program."""
        return self.program(x)

    def __deepcopy__(self, memo: dict[int, Any]) -> TorchscriptModule:
        with _old_age():
            return TorchscriptModule(copy.deepcopy(self.program, memo))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TorchscriptModule:
        """Move or convert, as ``to`` and ``double`` do."""
        with _old_age():
            nn.Module._apply(self, fn, recurse)
        return self


@contextlib.contextmanager
def _old_age() -> Iterator[None]:
    """Silence torch's warnings that TorchScript is deprecated, and those about gradients of copies."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit\.", FutureWarning)
        warnings.filterwarnings("ignore", r".*torch\.jit\.", DeprecationWarning)
        warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a leaf", UserWarning)
        yield
