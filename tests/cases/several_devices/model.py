"""Networks of which one fails, one ends its process when a file says so, and one ends every process."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor, nn

ARMED = Path(__file__).parent / "armed"
COUNTED = ARMED.with_name("calls")
EARLY = 3
LATE = 12
"""Forward passes after which an armed model strikes: in the midst of its first cell."""
CALLS = itertools.count()


class Plain(nn.Module):
    """Looks at the left half, so that turning an image changes what it says."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        half = x[..., : x.shape[-1] // 2]
        out: Tensor = self.head(torch.relu(self.body(half)).mean((2, 3)))
        return out


class Broken(Plain):
    """Raises on whatever has been moved."""

    def forward(self, x: Tensor) -> Tensor:
        if next(CALLS) > LATE:
            raise RuntimeError("no more")
        return super().forward(x)


class Struck(Plain):
    """Ends its process once, where the file is there, as a system does that runs out of memory."""

    def forward(self, x: Tensor) -> Tensor:
        if ARMED.exists() and next(CALLS) > LATE:
            ARMED.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Slow(Plain):
    """Takes its time."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.05)
        return super().forward(x)


class Meeting(Plain):
    """Waits in the midst of its first cell until another process runs it too, where calls are counted in a folder."""

    def forward(self, x: Tensor) -> Tensor:
        number = next(CALLS)
        if COUNTED.is_dir():
            (COUNTED / f"{os.getpid()}-{number}").mkdir()
            deadline = time.monotonic() + 60
            while number > EARLY and alone() and time.monotonic() < deadline:
                time.sleep(0.05)
        return super().forward(x)


def alone() -> bool:
    """Whether all calls were made by one process."""
    return len({path.name.partition("-")[0] for path in COUNTED.iterdir()}) < 2


class Deadly(Plain):
    """Ends every process that runs it."""

    def forward(self, x: Tensor) -> Tensor:
        os._exit(7)
