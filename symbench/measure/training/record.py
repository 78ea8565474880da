"""How far a training has come, and what is kept of it beside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from symbench.base.records import CurveRecord

MOST_POINTS = 100
"""Epochs that are kept with each cell: 5 kB."""


@dataclass(frozen=True)
class Point:
    """An epoch of the curve.

    Attributes:
        epoch: its number, from 1.
        step: optimiser steps up to its end.
        loss: the mean training loss over its samples, each by the weights of its time.
        accuracy: likewise the share of its samples that were right as they were shown; None without classes.
        validation_loss: of the weights at its end on the validation part; None without one.
        validation_accuracy: likewise.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass
class Progress:
    """How far a training has come; plain data, so that it can go on elsewhere.

    Attributes:
        epoch: epochs that are done.
        batch: batches of the next one that are done.
        steps: optimiser steps.
        shown: samples that were shown, each as often as it was.
        seconds: what it took, in all processes that were at it.
        peak: bytes that its device held at most; None where that cannot be known.
        total: the loss of this epoch's samples, added up.
        right: how many of them were right; None where the tasks tell no classes.
        counted: how many these are.
        curve: an entry for each epoch that is done.
        best: the lowest validation loss.
        best_epoch: the epoch that it is of, from 1.
        to_target: steps to the end of the first epoch with the validation accuracy that the recipe names.
        ended: it is done before its time.
    """

    epoch: int = 0
    batch: int = 0
    steps: int = 0
    shown: int = 0
    seconds: float = 0.0
    peak: int | None = None
    total: float = 0.0
    right: float | None = 0
    counted: int = 0
    curve: list[Point] = field(default_factory=list)
    best: float | None = None
    best_epoch: int | None = None
    to_target: int | None = None
    ended: bool = False

    def add(self, loss: float, right: float | None, count: int) -> None:
        """A batch of ``count`` samples, by its mean loss."""
        self.steps += 1
        self.shown += count
        self.counted += count
        self.total += loss * count
        self.right = None if right is None or self.right is None else self.right + right

    def close(self, validated: tuple[float, float | None] | None) -> Point:
        """End the epoch, with the validation's loss and accuracy."""
        accuracy = None if self.right is None else self.right / self.counted
        loss, share = (None, None) if validated is None else validated
        point = Point(self.epoch + 1, self.steps, self.total / self.counted, accuracy, loss, share)
        self.curve.append(point)
        self.epoch += 1
        self.batch, self.total, self.right, self.counted = 0, 0.0, 0, 0
        return point

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Progress:
        """Back from :meth:`document`."""
        return cls(**{**document, "curve": [Point(**point) for point in document["curve"]]})


@dataclass(frozen=True)
class Record:
    """What is known of a training that is done, beside its weights.

    Attributes:
        progress: at its end.
        samples: how many it learnt from.
        flops: floating-point operations of the training; None where they cannot be counted.
        remarks: what is to be said of a number, or why it is not known, by its name in :meth:`document`.
        spread: of the embeddings that were learnt without labels, see :mod:`.self_supervised`; None with labels.
    """

    progress: Progress
    samples: int
    flops: float | None
    remarks: Mapping[str, str]
    spread: float | None = None

    def document(self) -> dict[str, Any]:
        """What stands in the checkpoint's note."""
        done = self.progress
        return {
            "seconds": done.seconds,
            "samples_per_second": done.shown / done.seconds if done.seconds else None,
            "samples": self.samples,
            "shown": done.shown,
            "epochs": done.epoch,
            "steps": done.steps,
            "operations": self.flops,
            "peak_memory_bytes": done.peak,
            "steps_to_target": done.to_target,
            "best_epoch": done.best_epoch,
            "stopped_early": done.ended,
            **({} if self.spread is None else {"embedding_spread": self.spread}),
            "remarks": dict(self.remarks),
            "curve": [asdict(point) for point in done.curve],
        }


def curve_of(points: Sequence[Mapping[str, Any]]) -> CurveRecord | None:
    """What cells keep of a curve, with six digits; None without any.

    Args:
        points: an entry for each epoch, as a checkpoint's note has them.
    """
    count = len(points)
    if not count:
        return None
    last = min(count, MOST_POINTS) - 1
    kept = [points[round(i * (count - 1) / max(last, 1))] for i in range(last + 1)]
    columns = {name: [_short(point[name]) for point in kept] for name in CurveRecord.model_fields}
    return CurveRecord.model_validate(columns)


def _short(value: float | None) -> float | None:
    return float(f"{value:.6g}") if isinstance(value, float) else value
