"""Where models come from that are not defined here: libraries that know them by name, and files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Description:
    """What a library or a file says of a model before it is built: its images, its classes, and what identifies it.

    Attributes:
        size: pixels a side; None where it takes any, or does not say.
        mean: subtracted from every channel.
        std: what the difference is divided by.
        channels: of its images; None where it is built for those that it meets, or does not say.
        identity: what a result depends on beside name, options, weights and code, as plain data.
        resize: what the shorter side becomes before the middle is kept, or height and width; None for ``size``.
        interpolation: ``bilinear`` or ``bicubic``, of that resizing; None for the former.
        crop: which way half a pixel goes when the middle is kept: ``floor``, or None for ``round``.
        classes: the names that each output goes by, the first one for people; None where they are not known.
        notes: what people should be told, a sentence each.
    """

    size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: int | None = None
    identity: Any = None
    resize: int | tuple[int, int] | None = None
    interpolation: str | None = None
    crop: str | None = None
    classes: tuple[tuple[str, ...], ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source(ABC):
    """One model of a library or of a file. Subclasses add the parameters of the name, and the options.

    Attributes:
        where: the suite's key, for messages.
        folder: the suite's: relative paths start here.
        size: pixels a side that the suite's entry sets, or None.
    """

    where: str
    folder: Path
    size: int | None

    @abstractmethod
    def describe(self) -> Description:
        """What is known before it is built.

        Raises:
            ConfigError: there is no such model, its library is not installed, or its file cannot be read.
            ModelError: what is known of it cannot be fetched.
        """

    @abstractmethod
    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The module, with its weights or with fresh ones.

        Args:
            shape: of an image, ``(c, h, w)``; empty where the model knows itself.
            outputs: how many numbers it returns; 0 where it knows, or nobody does.

        Raises:
            ConfigError: as :meth:`describe`.
        """

    def build_for(self, shapes: Mapping[str, tuple[int, ...]], outputs: int) -> nn.Module:
        """The module for data whose leaves have these shapes, by their names: as for the first of them.

        Raises:
            ConfigError: as :meth:`describe`.
        """
        return self.build(shape=next(iter(shapes.values()), ()), outputs=outputs)


def in_proportion(resize: int, size: int, side: int | None) -> int:
    """The length of the resized shorter side for a crop of ``side`` pixels, in the proportion ``resize : size``."""
    return resize * (side or size) // size


def synonyms(name: str) -> tuple[str, ...]:
    """All names of a class called ``tench, Tinca tinca``: the whole first, then each part."""
    return tuple(dict.fromkeys([name, *(part.strip() for part in name.split(","))]))
