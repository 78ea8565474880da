"""Sums over an image in several precisions: exact under quarter turns but for rounding, or lopsided."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


class Sums(nn.Module):
    """Sums of an image and of its squares in ``dtype``, row after row: the order of rounding turns along."""

    def __init__(self, dtype: str | None, lopsided: float) -> None:
        super().__init__()
        self.dtype, self.lopsided = DTYPES.get(dtype or ""), lopsided

    def forward(self, images: Tensor) -> Tensor:
        given, images = images.dtype, images if self.dtype is None else images.to(self.dtype)
        rows = torch.cat([images, images.square()], 1)
        rows = torch.cat([rows[:, :, :1] * (1 + self.lopsided), rows[:, :, 1:]], 2)
        total = rows[:, :, 0]
        for row in range(1, rows.shape[2]):
            total = total + rows[:, :, row]
        return total.sum(2).to(given)


class Net(nn.Module):
    """A head on such sums."""

    def __init__(self, dtype: str | None = None, lopsided: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.pool, self.head = Sums(dtype, lopsided), nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.pool(images))
        return out


class Functional(nn.Module):
    """No submodule is in half precision, and what is returned is cast back."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        rows = torch.cat([images, images.square()], 1).half().cumsum(2)
        return rows[:, :, -1].cumsum(2)[..., -1].to(images.dtype) * self.scale


class Elsewhere(nn.Module):
    """Computes in half precision where torch does not see it."""

    def forward(self, images: Tensor) -> Tensor:
        numbers = images.double().numpy().astype(np.float16)
        total = numbers.cumsum(2, dtype=np.float16)[:, :, -1].cumsum(2, dtype=np.float16)[..., -1]
        return torch.from_numpy(np.concatenate([total, total / np.float16(3)], 1).astype(np.float64)).to(images.dtype)


class Constants(nn.Module):
    """Lopsided, and with a mask in half precision that is the same for every image: that rounds nothing."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.head = nn.Linear(225, 2)

    def forward(self, images: Tensor) -> Tensor:
        mask = torch.linspace(0, 1, 15, dtype=torch.float16) + images.new_zeros(15, dtype=torch.float16)
        out: Tensor = self.head((images * mask.to(images.dtype)).flatten(1))
        return out


class Counts(nn.Module):
    """Lopsided, of whole numbers and shares of powers of two, which are of every format."""

    def forward(self, images: Tensor) -> Tensor:
        bright = (images > 0.5).to(images.dtype)
        half = images.shape[-1] // 2
        return torch.stack([bright[..., :half, :].sum((1, 2, 3)), bright[..., :half].sum((1, 2, 3)) / 4], 1)
