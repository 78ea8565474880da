"""A suite's throughput passes: whether there are any, and how long they take."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from symbench.base.registry import Options


class Throughput(Options):
    """Passes that time each model on each dataset, apart from the evaluation: on resident input, models in turns.

    ``batch`` is the headline's; every batch size is timed for at least ``seconds`` and ``iterations`` forward passes.
    ``latency`` times single samples, ``sweep`` more batch sizes. ``passes`` is how many there are to be.
    """

    batch: Annotated[int, Field(ge=1, le=65_536)] = 256
    seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    iterations: Annotated[int, Field(ge=2, le=100_000)] = 20
    sweep: Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], Field(max_length=32)] = Field(default_factory=list)
    latency: bool = True
    passes: Annotated[int, Field(ge=1, le=100)] = 1


def _switched(value: object) -> object:
    """``true`` stands for the defaults, ``false`` for no pass."""
    if isinstance(value, bool):
        return {} if value else None
    return value


Passes = Annotated[Throughput | None, BeforeValidator(_switched)]
"""The section as it may stand in a suite: ``true``, ``false`` or a mapping; without it there is no pass."""
