"""Modules as users of PyTorch Geometric write them, and one that looks at the order of the nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv, GINEConv, global_add_pool


class Gcn(nn.Module):
    """Two layers and a pooling. With ``counted``, nodes are told apart by where they stand: in their graph, or in all.

    The latter is what ``torch.arange(len(x))`` does: nodes of several graphs are in one list.
    """

    def __init__(self, counted: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = GCNConv(3, 16), GCNConv(16, 16)
        self.head = nn.Linear(16, 2)
        self.counted = counted

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        if self.counted:
            number = torch.arange(len(x))
            if self.counted == "in graph" and batch is not None:
                sizes = batch.bincount()
                number = number - (sizes.cumsum(0) - sizes)[batch]
            x = x + number[:, None].to(x.dtype).sin()
        x = self.first(x, edge_index).relu()
        pooled: Tensor = self.head(global_add_pool(self.second(x, edge_index), batch))
        return pooled


class OnEdges(nn.Module):
    """Needs the features of edges."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = GINEConv(nn.Linear(3, 16), edge_dim=2)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor) -> Tensor:
        pooled: Tensor = self.head(global_add_pool(self.conv(x, edge_index, edge_attr).relu(), batch))
        return pooled


class OfNodes(nn.Module):
    """Takes no batch: three numbers for each node."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = GCNConv(3, 3)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        out: Tensor = self.conv(x, edge_index)
        return out


class Elsewhere(nn.Module):
    """Needs something that nobody hands over."""

    def forward(self, x: Tensor, edge_index: Tensor, pos: Tensor) -> Tensor:
        return x + edge_index.sum() + pos
