"""An exact layer on sets, whose output is declared along an axis by another name."""

from __future__ import annotations

from torch import Tensor, nn

from symbench.fields import Field, Nodes, Scalar


class Doubles(nn.Module):
    """Twice every point; the axis is that of the dataset if ``right``."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        self.inputs: dict[str, Field] = {"points": Nodes("points", Scalar())}
        self.outputs: dict[str, Field] = {"rows": Nodes("points" if right else "items", Scalar())}

    def forward(self, points: Tensor) -> Tensor:
        return 2 * points


def build(right: bool = False) -> Doubles:
    return Doubles(right)
