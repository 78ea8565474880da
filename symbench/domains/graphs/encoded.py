"""Message passing that is also shown where nodes lie, by eigenvectors of the Laplacian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from symbench.domains.graphs import GnnOptions
from symbench.domains.graphs.gnn import Gnn


def squares(encodings: Tensor) -> Tensor:
    """The diagonals of the projections onto the eigenspaces, ``(..., k)``: the same in every basis.

    Args:
        encodings: ``(..., k, 2)``, components and eigenvalues; a column gets the squares of all of its eigenspace.
    """
    values = encodings[..., 1]
    alike = values[..., :, None] == values[..., None, :]
    return torch.einsum("...ij,...j->...i", alike.to(encodings.dtype), encodings[..., 0].square())


class EncodedGnn(nn.Module):
    """What stands at a node is its features and what is made of each of its eigenvectors' components.

    ``raw`` takes these as they come, ``signs`` takes ``phi(v) + phi(-v)`` of each (SignNet, Lim et al. 2023), and
    ``bases`` takes ``phi`` of the diagonal of each eigenspace's projection. phi also sees the eigenvalue.
    """

    def __init__(
        self, *, shapes: Mapping[str, tuple[int, ...]], outputs: int, encodings: str, **options: Any
    ) -> None:
        super().__init__()
        asked = GnnOptions(**options)
        self.encodings = encodings
        nodes, features = shapes["features"]
        vectors = shapes["encodings"][1]
        each = 2 if encodings == "raw" else asked.width
        self.phi = nn.Sequential(nn.Linear(2, asked.width), nn.ReLU(), nn.Linear(asked.width, asked.width))
        self.gnn = Gnn(shapes={"features": (nodes, features + vectors * each)}, outputs=outputs, **options)
        self.outputs = self.gnn.outputs

    def forward(
        self, features: Tensor, encodings: Tensor, edges: Tensor, nodes_mask: Tensor, edges_mask: Tensor
    ) -> dict[str, Tensor]:
        """As :class:`~symbench.domains.graphs.gnn.Gnn`, with ``(n, nodes, k, 2)`` beside the features."""
        found: dict[str, Tensor] = self.gnn(
            torch.cat([features, self.encoded(encodings).flatten(2)], dim=-1), edges, nodes_mask, edges_mask
        )
        return found

    def encoded(self, encodings: Tensor) -> Tensor:
        """What is made of the components ``(n, nodes, k, 2)``: ``(n, nodes, k, d)``."""
        if self.encodings == "raw":
            return encodings
        if self.encodings == "bases":
            made: Tensor = self.phi(torch.stack([squares(encodings), encodings[..., 1]], dim=-1))
            return made
        mirrored = torch.stack([-encodings[..., 0], encodings[..., 1]], dim=-1)
        both: Tensor = self.phi(encodings) + self.phi(mirrored)
        return both
