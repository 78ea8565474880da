"""More images than one part holds, small enough to be measured in a moment."""

from __future__ import annotations

from symbench.testing import Blobs


class MadeUp(Blobs):
    """Has something to remark."""

    def remarks(self) -> list[str]:
        return ["blobs: they are made up"]


def load(split: str = "test", samples: int = 1100) -> Blobs:
    del split
    return MadeUp(samples)
