"""What a throughput pass is written as: times of one model on one dataset, and the machine that took them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from symbench.base.records import Record, Sealed

HARDWARE = ("device", "processor", "threads", "platform")
"""What two passes have to have in common for their times to be compared."""


class TimedBatch(Record):
    """The forward passes of one batch size; all times in seconds for one forward pass."""

    batch: int = Field(description="samples in a forward pass")
    iterations: int = Field(description="forward passes that were timed")
    median: float
    low: float | None = Field(default=None, description="lower 95 % limit of the median, by order statistics")
    high: float | None = None
    p90: float
    p99: float
    halves: tuple[float, float] = Field(description="medians of the first and the second half of them")
    warm_up: int = Field(description="forward passes before the first that was timed")
    settled: bool = Field(description="whether successive medians agreed before it was timed")


class PeakMemory(Record):
    """The most memory that one forward pass of the headline's batch held at a time, in bytes."""

    peak: int | None = Field(description="with the weights; null where it cannot be measured")
    beyond: int | None = Field(description="without them: inputs, what is in between, and outputs")
    weights: int = Field(description="parameters, buffers and packed weights, what is shared once")
    how: str = Field(description="what counted it, or why nothing could")


class PassRecord(Sealed):
    """``throughput/<key[:2]>/<key>/<time>-<id>.json``: one pass of a model on a dataset."""

    schema_version: Literal[1] = 1
    key: str
    identity: dict[str, Any] = Field(description="what the key is the SHA-256 of, as canonical JSON")
    model: str
    dataset: str
    beside: list[str] = Field(description="the models that were timed in turns with it")
    started: str
    asked: int = Field(description="samples in a forward pass, as the suite asks for")
    mode: Literal["exact", "fused", "fast"] = Field(
        default="exact", description="of the suite's numerics, or the slower one that it fell back to"
    )
    throughput: TimedBatch
    latency: TimedBatch | None = Field(default=None, description="one sample at a time")
    sweep: list[TimedBatch] = Field(default_factory=list)
    memory: PeakMemory
    facts: dict[str, float | None] = Field(description="parameters, buffers and FLOPs of one sample")
    environment: dict[str, Any]
    before: dict[str, Any] = Field(description="load, processor and accelerator clocks before it, as far as known")
    after: dict[str, Any]
    remarks: list[str] = Field(default_factory=list, description="what makes its times doubtful, a sentence each")

    @property
    def hardware(self) -> dict[str, Any]:
        """What its times depend on beside the model."""
        return {name: self.environment.get(name) for name in HARDWARE}


def why_unlike(before: PassRecord, after: PassRecord, names: tuple[str, ...] = HARDWARE) -> str | None:
    """Why the times of two passes cannot be compared; None where they can.

    Args:
        before: one pass.
        after: another.
        names: the parts of the hardware that have to be alike.
    """
    for name in names:
        a, b = (each.environment.get(name) for each in (before, after))
        if a is None or a != b:
            return f"other hardware: {name} {a or 'unknown'} and {b or 'unknown'}"
    for part in ("numerics", "shapes"):
        if before.identity.get(part) != after.identity.get(part):
            return f"other {'numerics' if part == 'numerics' else 'input shapes'}"
    if before.mode != after.mode:
        return f"other modes: {before.mode} and {after.mode}"
    a, b = before.throughput.batch, after.throughput.batch
    return None if a == b else f"other batches: {a} and {b} samples"


def alike(records: list[PassRecord]) -> list[PassRecord]:
    """The passes that can be put together with the newest one: those of other hardware are left out."""
    newest = max(records, key=lambda record: record.started, default=None)
    return [] if newest is None else [each for each in records if why_unlike(each, newest) is None]
