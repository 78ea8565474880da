"""Classifiers of torchvision."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision import models

from symbench.errors import ConfigError, ModelError, Problem, near_miss, one_of
from symbench.models.source import Description, Source, shortened


@dataclass(frozen=True)
class Torchvision(Source):
    """``torchvision.models.NAME``, with weights of torchvision's or with fresh ones."""

    name: str
    pretrained: bool | str
    classes: int | None

    def describe(self) -> Description:
        """The preprocessing that belongs to the weights."""
        weights = self._weights()
        if weights is None:
            return Description(channels=3)
        images = weights.transforms()
        return Description(
            images.crop_size[0], tuple(images.mean), tuple(images.std), len(images.mean), {"weights": weights.name}
        )

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network; torch.hub's cache is asked for weights before the network is."""
        del shape
        weights, classes = self._weights(), self.classes or outputs
        sized = {"num_classes": classes} if classes and weights is None else {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The default weight initialization of", FutureWarning)
            if weights is None:
                return models.get_model(self.name, weights=None, **sized)
            try:
                return models.get_model(self.name, weights=weights, progress=sys.stderr.isatty())
            except (OSError, RuntimeError) as error:
                got, remedy = f"{weights.name} cannot be had: {shortened(error)}", "Are you online?"
                raise ModelError(Problem(self.where, got, None, remedy)) from error

    def _weights(self) -> Any:
        """The member of the weights enum that ``pretrained`` names; None for fresh weights."""
        known = models.list_models(module=models)
        if self.name not in known:
            got = f"torchvision has no classifier {self.name!r}"
            raise ConfigError(Problem(self.where, got, f"one of {one_of(known)}", near_miss(self.name, known)))
        if self.pretrained is False:
            return None
        enum = models.get_model_weights(self.name)
        wanted = "DEFAULT" if self.pretrained is True else self.pretrained
        if wanted not in enum.__members__:
            got = f"{self.name} has no weights {wanted!r}"
            members = list(enum.__members__)
            raise ConfigError(Problem(self.where, got, f"one of {one_of(members)}", near_miss(wanted, members)))
        return enum[wanted]
