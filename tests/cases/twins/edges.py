"""How bright each edge of an image is: four classes that a quarter turn hands on, declared rightly and wrongly."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from symbench.fields import Field, Logits, classes

ORDERS: dict[str, list[int]] = {"right": [1, 2, 3, 0], "backwards": [3, 0, 1, 2]}


class Edges(nn.Module):
    """Scores of the top, left, bottom and right edge, in the order in which a counter-clockwise turn takes them."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(60.0))
        one = classes({"turn": ORDERS[order]}) if order in ORDERS else Logits()
        self.outputs: Mapping[str, Field] = {"edge": one}

    def forward(self, image: Tensor) -> Tensor:
        x = image[:, 0]
        edges = [x[:, 0].mean(1), x[:, :, 0].mean(1), x[:, -1].mean(1), x[:, :, -1].mean(1)]
        return self.scale * torch.stack(edges, dim=1)


def build(order: str) -> Edges:
    return Edges(order)
