"""A model that raises what no `except Exception` catches, and what cannot be printed or stored as it is."""

from __future__ import annotations

import asyncio

import torch
from torch import Tensor, nn


class Stop(BaseException):
    """Some libraries end their loops by one of these."""


class Speechless(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("no words")


RAISED: dict[str, BaseException] = {
    "cancelled": asyncio.CancelledError("the loop is closed"),
    "left": GeneratorExit(),
    "own": Stop("enough"),
    "speechless": Speechless(),
    "halved": ValueError("half a character: \ud83d"),
    "endless": ValueError("on and on " * 300_000),
    "exits": SystemExit(0),
}


class Raising(nn.Module):
    def __init__(self, what: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.what, self.head = what, nn.Linear(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        if self.what in RAISED:
            raise RAISED[self.what]
        scores: Tensor = self.head(images.mean((2, 3)))
        return scores
