"""Detectors, as modules that take a batch of images and return boxes: of torchvision and of transformers.

What a detector does to images inside, such as resizing them, is part of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Boxes

MOST = Boxes().most
FIRST = 1
"""torchvision's label of the first class; 0 is the background."""


class Detector(nn.Module):
    """A detector that takes a list of images, as those of torchvision do, and returns what it found in each.

    Args:
        module: called with a list of ``(c, h, w)``.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.outputs = {"boxes": Boxes(most=max(MOST, _most_of(module)), first=FIRST)}

    def forward(self, images: Tensor) -> Any:
        """Of images ``(n, c, h, w)`` one mapping each, with boxes, scores and labels."""
        return self.module(list(images))


def _most_of(module: nn.Module) -> int:
    """How many objects of an image a detector of torchvision returns at most; 0 where it does not say."""
    heads = [module, getattr(module, "roi_heads", None)]
    numbers = [getattr(each, "detections_per_img", None) for each in heads]
    return max([number for number in numbers if isinstance(number, int)], default=0)


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
