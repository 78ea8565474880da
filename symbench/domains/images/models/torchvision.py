"""Classifiers of torchvision; its detectors and segmentation networks are in files of their own beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchvision import models

from symbench.base.errors import ConfigError, Problem, near_miss, one_of
from symbench.domains.common.models.source import Description, Source, in_proportion, synonyms
from symbench.domains.images.models.detection import TorchvisionDetector, detectors
from symbench.domains.images.models.of_torchvision import OfTorchvision
from symbench.domains.images.models.segmentation import TorchvisionSegmenter, segmenters

TOLD_APART = {"crane bird": "crane, crane bird", "maillot tank suit": "maillot, tank suit"}
"""Categories of torchvision's that ImageNet calls by a name which another class has too, with that name."""


class Torchvision(OfTorchvision):
    """``torchvision.models.NAME``."""

    def describe(self) -> Description:
        """The preprocessing that belongs to the weights."""
        if (other := self._other) is not None:
            return other.describe()
        weights = self.weights()
        if weights is None:
            return Description(channels=3)
        images = weights.transforms()
        size = images.crop_size[0]
        return Description(
            size,
            tuple(images.mean),
            tuple(images.std),
            len(images.mean),
            {"weights": weights.name},
            resize=in_proportion(images.resize_size[0], size, self.size),
            interpolation=images.interpolation.value,
            classes=_names(weights.meta.get("categories")),
        )

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network; fresh weights are for the data's classes."""
        if (other := self._other) is not None:
            return other.build(shape=shape, outputs=outputs)
        classes = self.classes or outputs
        return self.network(**({"num_classes": classes} if classes else {}))

    @property
    def _other(self) -> Source | None:
        """What knows the network, where that is no classifier."""
        kinds = ((detectors, TorchvisionDetector), (segmenters, TorchvisionSegmenter))
        kind = next((kind for known, kind in kinds if self.name in known()), None)
        options = (self.where, self.folder, self.size, self.name, self.pretrained, self.classes)
        return None if kind is None else kind(*options)

    def weights(self) -> Any:
        """As of all; a name that torchvision has none of is refused."""
        known = models.list_models(module=models) + detectors() + segmenters()
        if self.name not in known:
            got = f"torchvision has no classifier {self.name!r}"
            raise ConfigError(Problem(self.where, got, f"one of {one_of(known)}", near_miss(self.name, known)))
        return super().weights()


def imagenet_names() -> tuple[tuple[str, ...], ...]:
    """What the 1,000 outputs of ImageNet's usual order are called."""
    return _names(models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]) or ()


def _names(categories: Sequence[str] | None) -> tuple[tuple[str, ...], ...] | None:
    if categories is None:
        return None
    return tuple(synonyms(TOLD_APART.get(name, name)) for name in categories)
