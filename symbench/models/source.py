"""Where models come from that are not defined here: libraries that know them by name, and files."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from symbench.errors import ConfigError, Problem

LONGEST = 300
"""Characters that are kept of what a library says went wrong: some list everything they know."""


@dataclass(frozen=True)
class Description:
    """What is known of a model before it is built: what its images have to be like, and what else identifies it.

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


def in_proportion(resize: int, size: int, side: int | None) -> int:
    """What the shorter side becomes where the middle is to have ``side`` pixels, as ``resize`` is for ``size``."""
    return resize * (side or size) // size


def synonyms(name: str) -> tuple[str, ...]:
    """``tench, Tinca tinca`` as the names that it stands for, itself the first."""
    return tuple(dict.fromkeys([name, *(part.strip() for part in name.split(","))]))


def require(package: str, extra: str, where: str) -> ModuleType:
    """Import a package that not everybody has installed.

    Raises:
        ConfigError: it is not there, or cannot be imported; with the command that installs it.
    """
    try:
        return importlib.import_module(package)
    except Exception as error:  # a broken installation may raise anything
        gone = isinstance(error, ModuleNotFoundError) and error.name == package
        reason = "which is not installed" if gone else f"which cannot be imported: {shortened(error)}"
        raise ConfigError(
            Problem(where, f"needs the package {package}, {reason}", None, f'pip install "symbench[{extra}]"')
        ) from error


def shortened(error: BaseException) -> str:
    """What went wrong, on one line of bearable length."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
