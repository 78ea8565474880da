"""Graphs of six nodes: features, the edges as a list, and the number of edges at each node."""

from __future__ import annotations

import torch

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Axis, Index, Point, Scalar

NODES, EDGES = Axis("nodes"), Axis("edges")


def load(samples: int = 48, points: bool = False) -> Arrays:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(samples, 6, 2, generator=generator)
    first = torch.randint(6, (samples, 9), generator=generator)
    second = (first + 1 + torch.randint(5, (samples, 9), generator=generator)) % 6
    edges = torch.stack([first, second], dim=-1)
    field = Point().over(NODES) if points else Scalar().over(NODES)
    return Arrays(
        {"features": features, "edges": edges}, {}, fields={"features": field, "edges": Index("nodes").over(EDGES)},
        target_fields={},
    )  # fmt: skip
