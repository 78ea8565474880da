"""Samples as a dataset keeps them, to be held by a run or a device and made into what models see only there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Stored:
    """Some samples as they are kept: pixels in 8 bits take a quarter of what ``Dataset.batch`` makes of them.

    Leaves may be moved to a device and cut into rows; :meth:`made` then makes of any rows what ``batch`` gives.

    Attributes:
        leaves: ``(n, ...)`` each, as they are kept; those without an entry in ``white`` are as ``batch`` gives them.
        targets: ``(n, ...)`` each, as ``batch`` gives them.
        white: by leaf, the number that 1 is kept as.
    """

    leaves: dict[str, Tensor]
    targets: dict[str, Tensor]
    white: Mapping[str, int] = field(default_factory=dict)

    def made(self, leaves: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Leaves as ``Dataset.batch`` gives them, bit for bit, on the device where they are.

        Args:
            leaves: rows of the ones that are kept, ``(m, ...)`` each, on any device; all of them by default.
        """
        kept = self.leaves if leaves is None else leaves
        return {name: _unit(x, self.white[name]) if name in self.white else x for name, x in kept.items()}


def _unit(kept: Tensor, white: int) -> Tensor:
    # By a tensor and not by a number: of the latter CUDA takes the inverse and multiplies, which is another last bit.
    return kept.float().div_(torch.full((), float(white), device=kept.device))
