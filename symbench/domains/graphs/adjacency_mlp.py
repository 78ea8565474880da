"""A fully connected network on adjacency matrices."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor, nn

from symbench.domains.graphs.readout import check_readout, declared_output


class AdjacencyMlp(nn.Module):
    """Matrix and features end to end through two hidden layers: what it learns depends on how nodes are numbered."""

    def __init__(self, *, shapes: Mapping[str, tuple[int, ...]], outputs: int, readout: str, width: int) -> None:
        super().__init__()
        check_readout(readout, outputs, shapes["features"][0])
        self.readout, self.outputs = readout, declared_output(readout)
        self.layers = nn.Sequential(
            nn.Linear(sum(prod(shapes[leaf]) for leaf in ("features", "adjacency")), width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, outputs),
        )

    def forward(self, features: Tensor, adjacency: Tensor) -> dict[str, Tensor]:
        """``(n, nodes, d)`` and ``(n, nodes, nodes)``, zeros where padded, to ``(n, outputs)`` or ``(n, nodes)``."""
        return {self.readout: self.layers(torch.cat([features.flatten(1), adjacency.flatten(1)], dim=1))}
