"""Sets of five points in the plane."""

from __future__ import annotations

import torch

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Nodes, Scalar


def load() -> Arrays:
    points = torch.rand(20, 5, 2, generator=torch.Generator().manual_seed(0))
    return Arrays({"points": points}, {}, fields={"points": Nodes("points", Scalar())}, target_fields={})
