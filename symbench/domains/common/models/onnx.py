"""ONNX programs, run by onnxruntime on the CPU."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symbench.base.code import require, shortened
from symbench.base.errors import ConfigError, ModelError, Problem
from symbench.base.paths import sha256_file
from symbench.domains.common.models.outputs import InOrder
from symbench.domains.common.models.program import Batches, FileSource, Program
from symbench.domains.common.models.running import named
from symbench.domains.common.models.source import Description

DTYPES = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16}
CHANNELS = {1, 3, 4}
"""Numbers of channels by which images with the channels last are told."""
LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])", re.DOTALL)
"""A tensor's key ``location`` in the file, with the length of the value that follows: where its data is kept."""


@dataclass(frozen=True)
class Onnx(FileSource):
    """A ``.onnx`` file, and the files beside it that hold its weights. It is data, and runs no code of its own."""

    def describe(self) -> Description:
        """Size and channels, where the program was exported for one size of image."""
        shape = _sides(self._session(optimised=False))
        first = [shape[0], shape[3], shape[1], shape[2]] if _channels_last(shape) else shape
        beside = {name: sha256_file(self.path.parent / name) for name in external_files(self.path)}
        version = require("onnxruntime", "onnx", self.where).__version__
        return self.described(first, {"file": self.digest(), "beside": beside, "onnxruntime": version})

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The program as a module, in the batches that it was exported for."""
        del shape, outputs
        return OnnxModule(self._session(optimised=True), self.path.name)

    def _session(self, *, optimised: bool) -> Any:
        """The program, ready to run; it is refused where it does not take one batch of images."""
        runtime = require("onnxruntime", "onnx", self.where)
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.use_deterministic_compute = True
        options.intra_op_num_threads = torch.get_num_threads()
        if not optimised:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = runtime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own for every status
            got = f"{self.path.name} cannot be read: {shortened(error)}"
            raise ConfigError(Problem(self.where, got, "an ONNX program")) from error
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in DTYPES:
            taken = ", ".join(f"{each.name}: {each.type}" for each in inputs)
            got = f"{self.path.name} takes {len(inputs)} inputs ({taken})"
            raise ConfigError(Problem(self.where, got, "one, a batch of images in floating point"))
        return session


class OnnxModule(Program):
    """An ONNX program behind an ordinary module: in the file's precision, and on the CPU wherever its input is."""

    def __init__(self, session: Any, name: str) -> None:
        shape = _sides(session)
        super().__init__(Batches(shape[0] or 1, shape[0]))
        self.session = session
        self.name = name
        self.dtype: torch.dtype = DTYPES[session.get_inputs()[0].type]
        self.channels_last = _channels_last(shape)

    def call(self, x: Tensor) -> Any:
        """Run the program; its outputs come in order, and have names as well."""
        images = x.movedim(1, -1) if self.channels_last else x
        given = {self.session.get_inputs()[0].name: images.detach().cpu().contiguous().numpy()}
        returned = [torch.from_numpy(each).to(x.device) for each in self.session.run(None, given)]
        return InOrder(returned, [each.name for each in self.session.get_outputs()])

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxModule:
        del memo
        return type(self)(self.session, self.name)  # a session has no state that a copy could change

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> OnnxModule:
        """Refuse to be converted: what the program computes in was fixed when it was exported."""
        del recurse
        wanted = fn(torch.zeros(1, dtype=self.dtype)).dtype
        if wanted != self.dtype:
            got = f"an ONNX program cannot be made to compute in {named(wanted)}"
            expected = f"numerics.dtype {named(self.dtype)}, as it was exported, or none"
            raise ModelError(Problem(self.name, got, expected))
        return self


def external_files(path: Path) -> list[str]:
    """The files in which an ONNX file keeps tensors, relative to its folder; those that are there.

    ONNX files name them in entries ``location: NAME`` of their tensors, which are looked for without parsing.
    """
    # The package onnx would parse them, and is not needed to run anything; an entry that only looks like one names no
    # file that is there.
    names: set[str] = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for match in LOCATION.finditer(content):
            # A protobuf varint: seven bits a byte, the lowest first, and the eighth says that more follow.
            length = sum((byte & 0x7F) << 7 * position for position, byte in enumerate(match[1]))
            names.add(content[match.end() : match.end() + length].decode(errors="replace"))
    return sorted(name for name in names if "\0" not in name and (path.parent / name).is_file())


def _sides(session: Any) -> list[int | None]:
    return [side if isinstance(side, int) else None for side in session.get_inputs()[0].shape]


def _channels_last(shape: list[int | None]) -> bool:
    return len(shape) == 4 and shape[3] in CHANNELS and shape[1] not in CHANNELS
