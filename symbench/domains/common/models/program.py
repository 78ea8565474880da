"""Programs from files: modules that take images as they were exported, in batches of the size that they allow."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symbench.base.errors import ConfigError, Problem
from symbench.base.paths import sha256_file
from symbench.domains.common.models.outputs import InOrder
from symbench.domains.common.models.source import Description, Source


@dataclass(frozen=True)
class Batches:
    """How many images a program takes at a time: ``least`` to ``most``, or any number where ``most`` is None."""

    least: int = 1
    most: int | None = None

    def pieces(self, x: Tensor) -> list[Tensor]:
        """``x`` in pieces that are allowed; the last image is repeated where one would be too small."""
        pieces = list(x.split(self.most or max(len(x), 1)))
        return [self._filled(piece) for piece in pieces]

    def _filled(self, piece: Tensor) -> Tensor:
        lacking = self.least - len(piece)
        return piece if lacking <= 0 else torch.cat([piece, piece[-1:].expand(lacking, *piece.shape[1:])])


class Program(nn.Module):
    """A program behind an ordinary module: any batch is cut into batches of a size that it takes.

    Attributes:
        dtype: the precision that it computes in, for programs whose weights cannot be seen; None for others.
    """

    dtype: torch.dtype | None = None

    def __init__(self, batches: Batches | None = None) -> None:
        super().__init__()
        self.batches = batches or Batches()

    @abstractmethod
    def call(self, x: Tensor) -> Any:
        """What the program returns for images ``(n, c, h, w)``, where n is allowed."""

    def forward(self, x: Tensor) -> Any:
        """What the program returns for images ``(n, c, h, w)``, for any n."""
        pieces = self.batches.pieces(x)
        return _joined([self.call(piece) for piece in pieces], [len(piece) for piece in pieces], len(x))


def _joined(returned: Sequence[Any], sizes: Sequence[int], count: int) -> Any:
    """Put together what was returned for the pieces of a batch, and drop the rows that filled up the last one.

    A tensor without a row for every image comes back as it is: it is for the model to be refused.
    """
    first = returned[0]
    if isinstance(first, Tensor):
        if any(each.ndim == 0 or len(each) != size for each, size in zip(returned, sizes, strict=True)):
            return first
        return torch.cat(list(returned))[:count] if len(returned) > 1 else first[:count]
    if isinstance(first, Mapping):
        return {key: _joined([each[key] for each in returned], sizes, count) for key in first}
    if isinstance(first, (list, tuple)):
        parts = [_joined(values, sizes, count) for values in zip(*returned, strict=True)]
        return InOrder(parts, first.names) if isinstance(first, InOrder) else tuple(parts)
    return first


@dataclass(frozen=True)
class FileSource(Source):
    """A program in a file, identified by the file's bytes."""

    file: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.file

    def digest(self) -> str:
        """SHA-256 of the file.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            return sha256_file(self.path)
        except OSError as error:
            got = f"{self.path.name} cannot be read: {error.strerror or error}"
            raise ConfigError(Problem(self.where, got)) from error

    def described(self, shape: Sequence[int | None], identity: Any) -> Description:
        """A description of the program by the shape of its input.

        Args:
            shape: ``(n, c, h, w)``, with None for every side that is free.
            identity: what identifies the program.

        Raises:
            ConfigError: it does not take images.
        """
        if len(shape) != 4:
            got = f"{self.path.name} takes an input of {len(shape)} dimensions"
            raise ConfigError(Problem(self.where, got, "images (n, c, h, w)"))
        _, channels, height, width = shape
        return Description(height if height == width else None, channels=channels, identity=identity)
