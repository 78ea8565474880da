"""Deep Sets: Zaheer et al., 2017."""

from __future__ import annotations

from torch import Tensor, nn


class DeepSets(nn.Module):
    """One network for every row, the sum over rows (over their number), a second network: blind to the order."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Sequential(
            nn.Linear(shape[-1], width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Sets ``(n, rows, d)`` to outputs ``(n, outputs)``."""
        out: Tensor = self.head(self.rows(x).sum(dim=1) / x.shape[1])
        return out
