"""Programs saved by ``torch.export.save``."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from symbench.base.code import shortened
from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.models.program import Batches, FileSource, Program
from symbench.domains.common.models.source import Description


@dataclass(frozen=True)
class Exported(FileSource):
    """A ``.pt2`` file. It is code: reading its symbolic shapes evaluates text that stands in it."""

    def describe(self) -> Description:
        """Size and channels, where the program was exported for one size of image."""
        shape = self._input(self._read()).shape
        return self.described([side if isinstance(side, int) else None for side in shape], {"file": self.digest()})

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The program as a module, in the batches that it was exported for."""
        del shape, outputs
        program = self._read()
        return ExportedModule(program.module(), _batches(program, self._input(program)))

    def _read(self) -> ExportedProgram:
        """The program in the file."""
        with _careful():
            try:
                return torch.export.load(self.path)
            except Exception as error:  # broken files raise many kinds
                got = f"{self.path.name} cannot be read: {shortened(error)}"
                raise ConfigError(Problem(self.where, got, "a program saved by torch.export.save")) from error

    def _input(self, program: ExportedProgram) -> Tensor:
        """The program's one input, a tensor without data: sides are numbers where they are fixed, else symbols."""
        names = program.graph_signature.user_inputs
        inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
        values = [node.meta.get("val") for node in inputs]
        if len(names) != 1 or len(values) != 1 or not isinstance(values[0], Tensor):
            got = f"{self.path.name} takes {len(names)} inputs ({', '.join(map(str, names))})"
            raise ConfigError(Problem(self.where, got, "one, a batch of images"))
        return values[0]


class ExportedModule(Program):
    """A program of torch.export. It is in evaluation mode or not as it was exported, for good."""

    def __init__(self, program: nn.Module, batches: Batches) -> None:
        super().__init__(batches)
        self.program = program

    def call(self, x: Tensor) -> Any:
        """Run the program."""
        return self.program(x)

    def train(self, mode: bool = True) -> ExportedModule:
        """Change nothing: an exported program has one mode and refuses to be asked."""
        self.training = mode
        return self


def _batches(program: ExportedProgram, given: Tensor) -> Batches:
    """How many images the program takes at a time, from the shape of its input and the limits of its symbols."""
    count = given.shape[0]
    if isinstance(count, int):
        return Batches(count, count)
    limits = program.range_constraints.get(count.node.expr)
    if limits is None:
        return Batches()
    return Batches(max(1, int(limits.lower)), int(limits.upper) if limits.upper.is_Integer else None)


@contextlib.contextmanager
def _careful() -> Iterator[None]:
    """Read no pickle that would run code, and let nothing be printed about what could not be read."""
    name, log = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", logging.getLogger("torch.export")
    before, level = os.environ.get(name), log.level
    os.environ[name] = "1"
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
