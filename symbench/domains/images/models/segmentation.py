"""Networks that score classes at every pixel: of torchvision, and what those of transformers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import list_models, segmentation

from symbench.algebra.fields import Grid, Logits
from symbench.domains.common.models.source import Description, synonyms
from symbench.domains.images.models.of_torchvision import OfTorchvision

OUTPUTS = {"masks": Logits().over(Grid("image"))}


def segmenter(module: nn.Module, key: str, *, upsample: bool = True) -> nn.Module:
    """The same module, which returns its class scores as ``masks`` ``(n, classes, h, w)`` and nothing else.

    Its weights keep their names. What an auxiliary head returns, which is there for training, is left aside.

    Args:
        module: returns several things by name.
        key: what it calls the scores, ``(n, classes, ...)`` on a grid that may be coarser than the image's.
        upsample: whether they are brought to the image's, by bilinear interpolation.
    """
    module.register_forward_hook(partial(_scores, key=key, upsample=upsample))
    module.outputs = OUTPUTS  # type: ignore[assignment]
    return module


def _scores(
    module: nn.Module, given: tuple[Any, ...], returned: Mapping[str, Tensor], *, key: str, upsample: bool
) -> dict[str, Tensor]:
    del module
    scores, sides = returned[key], given[0].shape[-2:]
    if upsample and scores.shape[-2:] != sides:
        scores = interpolate(scores, size=sides, mode="bilinear", align_corners=False)
    return {"masks": scores}


def segmenters() -> list[str]:
    """What torchvision calls its segmentation networks."""
    return list_models(module=segmentation)


class TorchvisionSegmenter(OfTorchvision):
    """``torchvision.models.segmentation.NAME``."""

    def describe(self) -> Description:
        """Its classes, mean and std; images stay as large as they are."""
        weights = self.weights()
        if weights is None:
            return Description(channels=3)
        images = weights.transforms()
        (shorter,) = images.resize_size
        note = (
            f"torchvision brings the shorter side to {shorter} pixels for {self.name}; here images keep their size."
        )
        return Description(
            mean=tuple(images.mean),
            std=tuple(images.std),
            channels=len(images.mean),
            identity={"weights": weights.name},
            classes=tuple(synonyms(name) for name in weights.meta["categories"]),
            notes=(note,),
        )

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network; fresh weights are for the data's classes, of which the background is one."""
        del shape
        classes = self.classes or outputs
        sized = {"num_classes": classes} if classes else {}
        return segmenter(self.network(weights_backbone=None, **sized), "out")
