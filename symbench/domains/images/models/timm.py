"""Networks of timm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Grid, Scalar
from symbench.base.code import require, shortened
from symbench.base.errors import ConfigError, ModelError, Problem, near_miss, one_of
from symbench.domains.common.models.source import Description, Source, synonyms


@dataclass(frozen=True)
class Timm(Source):
    """``timm.create_model(NAME)``, with the weights that the name stands for or with fresh ones."""

    name: str
    pretrained: bool
    classes: int | None
    features: bool | int = False

    def describe(self) -> Description:
        """The preprocessing of its configuration; of fresh weights the size alone, as they know no images yet."""
        known = self._configuration()
        channels, height, width = known.input_size
        size = height if height == width else None
        if not self.pretrained:
            return Description(size)
        mode, interpolation, notes = known.crop_mode or "center", known.interpolation, []
        resize: int | tuple[int, int] | None = None
        if size is not None:
            side = math.floor((self.size or size) / known.crop_pct)
            resize = (side, side) if mode == "squash" else side
        if mode == "border":
            notes.append("timm pads its images to a square; here the middle is kept.")
        if interpolation not in {"bilinear", "bicubic"}:
            notes.append(f"timm resizes its images by {interpolation}; here it is bicubic.")
            interpolation = "bicubic"
        return Description(
            size,
            tuple(known.mean),
            tuple(known.std),
            channels,
            resize=resize,
            interpolation=interpolation,
            classes=self._classes(known),
            notes=tuple(notes),
        )

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network. Fresh weights are made for the channels and classes of the data."""
        timm = require("timm", "timm", self.where)
        known = self._configuration()
        side = self.size or known.input_size[-1]
        sized: dict[str, Any] = {}
        if known.fixed_input_size and (side, side) != tuple(known.input_size[1:]):
            sized["img_size"] = side
        if not self.pretrained:
            sized |= {"in_chans": shape[0], "num_classes": self.classes or outputs or known.num_classes}
        sized |= self._headless()
        try:
            found = timm.create_model(self.name, pretrained=self.pretrained, **sized)
            if self.features is False:
                return found
            return featured(found, sized.get("in_chans", known.input_size[0]), side)
        except IndexError as error:
            got = f"timm's {self.name} has no stage {self.features}"
            raise ConfigError(Problem(self.where, got, "a smaller number, from 0, or features: true")) from error
        except (OSError, RuntimeError) as error:
            if not self.pretrained:
                raise
            got, remedy = f"its weights cannot be had: {shortened(error)}", "Are you online?"
            raise ModelError(Problem(self.where, got, None, remedy)) from error

    def _headless(self) -> dict[str, Any]:
        """What makes timm build a network without its head, up to a stage or to the last one."""
        if self.features is False:
            return {}
        if self.features is True:
            return {"num_classes": 0, "global_pool": ""}
        return {"num_classes": 0, "features_only": True, "out_indices": (self.features,)}

    def _classes(self, known: Any) -> tuple[tuple[str, ...], ...] | None:
        """The classes' names: those of the weights, or of the part of ImageNet that has as many classes."""
        data = require("timm", "timm", self.where).data
        names, described = known.label_names, known.label_descriptions or {}
        if not names:
            subset = data.infer_imagenet_subset({"num_classes": known.num_classes})
            if subset is None:
                return None
            info = data.ImageNetInfo(subset)
            names, described = info.label_names(), info.label_descriptions(as_dict=True)
        return tuple((*synonyms(described.get(name, name)), name) for name in names)

    def _configuration(self) -> Any:
        timm = require("timm", "timm", self.where)
        architecture, _, tag = self.name.partition(".")
        if not timm.is_model(architecture):
            known = timm.list_models()
            miss = near_miss(architecture, known)
            raise ConfigError(
                Problem(self.where, f"timm has no network {self.name!r}", f"one of {one_of(known)}", miss)
            )
        try:
            found = timm.get_pretrained_cfg(self.name)
        except RuntimeError as error:  # no such tag
            known = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
            got = f"timm's {architecture} has no weights {tag!r}"
            raise ConfigError(Problem(self.where, got, f"one of {one_of(known)}", near_miss(tag, known))) from error
        return found


def featured(module: Any, channels: int, side: int) -> nn.Module:
    """The same network, whose maps are ``features`` with their channels first; tokens stay as they come.

    Args:
        module: returns maps ``(n, width, h, w)`` or ``(n, h, w, width)``, or tokens ``(n, tokens, width)``; or a list
            of them.
        channels: of its images.
        side: of an image that it takes, to see which of them it is.
    """
    width = module.num_features if hasattr(module, "num_features") else module.feature_info.channels()[-1]
    module.register_forward_hook(partial(_channels_first, width=width))
    with torch.no_grad():
        first = module.eval()(torch.zeros(1, channels, side, side))
    module.outputs = {"features": Scalar().over(Grid("image")) if first.ndim == 4 else Scalar()}
    return module.train()


def _channels_first(module: nn.Module, given: Any, returned: Any, *, width: int) -> Tensor:
    del module, given
    found: Tensor = returned[0] if isinstance(returned, (list, tuple)) else returned
    last = found.ndim == 4 and found.shape[1] != width and found.shape[-1] == width
    return found.movedim(-1, 1) if last else found
