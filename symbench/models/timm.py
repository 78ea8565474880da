"""Networks of timm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from symbench.errors import ConfigError, ModelError, Problem, near_miss, one_of
from symbench.models.source import Description, Source, require, shortened


@dataclass(frozen=True)
class Timm(Source):
    """``timm.create_model(NAME)``, with the weights that the name stands for or with fresh ones."""

    name: str
    pretrained: bool
    classes: int | None

    def describe(self) -> Description:
        """Size, mean and std of its configuration; of fresh weights the size alone, as they know no images yet."""
        known = self._configuration()
        channels, height, width = known.input_size
        size = height if height == width else None
        if not self.pretrained:
            return Description(size)
        return Description(size, tuple(known.mean), tuple(known.std), channels)

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
            return timm.create_model(self.name, **sized)
        try:
            return timm.create_model(self.name, pretrained=True, **sized)
        except (OSError, RuntimeError) as error:
            got, remedy = f"its weights cannot be had: {shortened(error)}", "Are you online?"
            raise ModelError(Problem(self.where, got, None, remedy)) from error

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
