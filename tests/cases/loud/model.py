"""A model that writes to stdout by every way there is, as libraries, C code and what they start do; and closes it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import torch
from torch import Tensor, nn


class Loud(nn.Module):
    """Scores from the mean brightness, which no turn changes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(1, 2)
        shout("built")

    def forward(self, images: Tensor) -> Tensor:
        shout("called")
        scores: Tensor = self.head(images.mean((2, 3)))
        return scores


def shout(word: str) -> None:
    print(f"{word} by print")
    with contextlib.suppress(OSError):  # C's printf does not look whether it was written either
        os.write(1, f"{word} by descriptor\n".encode())
    if sys.__stdout__ is not None:
        sys.__stdout__.write(f"{word} by the original stream\n")
        sys.__stdout__.flush()
    subprocess.run(["echo", f"{word} by another process"], check=False)
    if sys.stdout is not None:
        sys.stdout.close()
