"""A graph network on lists of edges, exact under permutations of the nodes and of the edges."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from symbench.fields import Axis, Field, Index, Scalar

NODES, EDGES = Axis("nodes"), Axis("edges")


class Net(nn.Module):
    """One round of messages, then a number for each node and one for the graph."""

    outputs: Mapping[str, Field] = {"total": Scalar(), "nodes": Scalar().over(NODES)}

    def __init__(self, leaf: Field, wrong: bool) -> None:
        super().__init__()
        self.inputs: Mapping[str, Field] = {"features": leaf, "edges": Index("nodes").over(EDGES)}
        self.layer = nn.Linear(4, 8)
        self.wrong = wrong

    def forward(self, features: Tensor, edges: Tensor) -> dict[str, Tensor]:
        pairs = features.gather(1, edges.flatten(1)[..., None].expand(-1, -1, 2)).unflatten(1, edges.shape[1:])
        messages = self.layer(pairs.flatten(2)).tanh()
        if self.wrong:
            messages = messages * torch.arange(messages.shape[1]).to(messages)[:, None]
        nodes = features.new_zeros(*features.shape[:2], 8)
        nodes = nodes.scatter_add(1, edges[..., 1:].expand_as(messages), messages)
        return {"total": nodes.tanh().sum((1, 2))[:, None], "nodes": nodes}


def build(points: bool = False, wrong: bool = False) -> Net:
    from symbench.fields import Point

    torch.manual_seed(0)
    return Net((Point() if points else Scalar()).over(NODES), wrong)
