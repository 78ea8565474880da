"""What all networks of torchvision have in common: how their weights are named, and how they are built with some."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision.models import get_model, get_model_weights

from symbench.base.code import shortened
from symbench.base.errors import ConfigError, ModelError, Problem, near_miss, one_of
from symbench.domains.common.models.source import Source


@dataclass(frozen=True)
class OfTorchvision(Source):
    """A network of torchvision, with weights of torchvision's or with fresh ones."""

    name: str
    pretrained: bool | str
    classes: int | None

    def weights(self) -> Any:
        """The member of the weights enum that ``pretrained`` names; None for fresh weights.

        Raises:
            ConfigError: there is none of that name.
        """
        if self.pretrained is False:
            return None
        wanted = "DEFAULT" if self.pretrained is True else self.pretrained
        members: Sequence[str] = list(get_model_weights(self.name).__members__)
        if wanted not in members:
            got = f"{self.name} has no weights {wanted!r}"
            raise ConfigError(Problem(self.where, got, f"one of {one_of(members)}", near_miss(wanted, members)))
        return get_model_weights(self.name)[wanted]

    def network(self, **fresh: Any) -> nn.Module:
        """The network; torch.hub's cache is asked for weights before the network is.

        Args:
            fresh: how it is built where its weights are fresh.

        Raises:
            ConfigError: there are no such weights.
            ModelError: they cannot be had.
        """
        weights = self.weights()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The default weight initialization of", FutureWarning)
            if weights is None:
                return get_model(self.name, weights=None, **fresh)
            try:
                return get_model(self.name, weights=weights, progress=sys.stderr.isatty())
            except (OSError, RuntimeError) as error:
                got, remedy = f"{weights.name} cannot be had: {shortened(error)}", "Are you online?"
                raise ModelError(Problem(self.where, got, None, remedy)) from error
