"""Detectors, as modules that take a batch of images and return boxes: of torchvision and of transformers.

What a detector does to images inside, such as resizing them, is part of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection, list_models

from symbench.algebra.fields import Boxes, declared
from symbench.domains.common.models.source import Description, synonyms
from symbench.domains.images.models.of_torchvision import OfTorchvision

MOST = Boxes().most
FIRST = 1
"""torchvision's label of the first class; 0 is the background."""


def detector(module: nn.Module) -> nn.Module:
    """A detector that takes a list of images, as those of torchvision do: the same module, given a batch of them.

    It declares its ``outputs`` unless it does so itself: labels from 1, as torchvision counts. Its weights keep their
    names.
    """
    module.register_forward_pre_hook(_listed)
    if declared(getattr(module, "outputs", None)) is None:
        module.outputs = {"boxes": Boxes(most=max(MOST, _most_of(module)), first=FIRST)}  # type: ignore[assignment]
    return module


def _listed(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """A batch of images as a list of them."""
    del module
    images, *others = given
    return (list(images) if isinstance(images, Tensor) else images, *others)


def _most_of(module: nn.Module) -> int:
    """How many objects of an image a detector of torchvision returns at most; 0 where it does not say."""
    heads = [module, getattr(module, "roi_heads", None)]
    numbers = [getattr(each, "detections_per_img", None) for each in heads]
    return max([number for number in numbers if isinstance(number, int)], default=0)


def detectors() -> list[str]:
    """What torchvision calls its detectors."""
    return list_models(module=detection)


class TorchvisionDetector(OfTorchvision):
    """``torchvision.models.detection.NAME``."""

    def describe(self) -> Description:
        """Its classes; it brings images to a size of its own, and normalises them, inside."""
        weights = self.weights()
        notes = (f"{self.name} resizes and normalises images inside, which is measured as part of it.",)
        if weights is None:
            return Description(channels=3, notes=notes)
        names = tuple(synonyms(name) for name in weights.meta["categories"][FIRST:])
        return Description(channels=3, identity={"weights": weights.name}, classes=names, notes=notes)

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The detector; fresh weights are for the data's classes and the background."""
        del shape
        classes = self.classes or outputs
        sized = {"num_classes": classes + FIRST} if classes else {}
        return detector(self.network(weights_backbone=None, **sized))


class Queries(nn.Module):
    """A detector of transformers, whose queries each have scores of all classes and one box in parts of the image.

    Where there is one score more than classes, the last one is that of the background (Carion et al. 2020), and
    scores are a softmax; else each class has a sigmoid of its own (Zhu et al. 2021), and a query is what it is most.

    Args:
        module: returns ``logits`` ``(n, queries, scores)`` and ``pred_boxes`` ``(n, queries, 4)``: middle, width and
            height, each as a part of the image's.
        classes: how many there are.
        queries: how many objects come back.
    """

    def __init__(self, module: nn.Module, classes: int, queries: int) -> None:
        super().__init__()
        self.module, self.classes = module, classes
        self.outputs = {"boxes": Boxes(most=max(MOST, queries), classes=classes)}

    @classmethod
    def of(cls, module: Any) -> Queries:
        """With the numbers of classes and queries of the module's configuration."""
        settings = module.config
        known = (getattr(settings, name, None) for name in ("num_queries", "num_detection_tokens"))
        return cls(module, int(settings.num_labels), next((number for number in known if number), MOST))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Of images ``(n, c, h, w)`` what every query found, as ``boxes`` ``(n, queries, 6)``."""
        found = self.module(images)
        scores, kinds = self._scores(found.logits).max(-1)
        middle, size = found.pred_boxes.split(2, -1)
        pixels = middle.new_tensor([images.shape[-1], images.shape[-2]])
        corners = torch.cat([(middle - size / 2) * pixels, (middle + size / 2) * pixels], -1)
        return {"boxes": torch.cat([corners, scores[..., None], kinds[..., None].to(corners.dtype)], -1)}

    def _scores(self, logits: Tensor) -> Tensor:
        """Of each class, ``(n, queries, classes)``."""
        if logits.shape[-1] == self.classes + 1:
            return logits.softmax(-1)[..., :-1]
        return logits.sigmoid()
