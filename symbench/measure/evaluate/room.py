"""A device that runs out of memory: the batch is halved, and stays so for whatever comes after."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch

from symbench.base.errors import ModelError, Problem

T = TypeVar("T")


@dataclass
class Room:
    """How many samples of a dataset fit beside a model.

    Attributes:
        most: in one forward pass, as far as more were tried in vain; None where nothing is known.
        notes: what people should be told of that.
    """

    most: int | None = None
    notes: list[str] = field(default_factory=list)

    def halve(self, batch: int, model: str, error: BaseException) -> None:
        """Keep to half of this batch from now on.

        Args:
            batch: that did not fit.
            model: its name, for messages.
            error: what was raised.

        Raises:
            ModelError: it is one sample already.
        """
        if batch <= 1:
            got = "a single sample does not fit into the device's memory"
            raise ModelError(Problem(model, got, None, "Use a smaller model, or another device.")) from error
        self.most = batch // 2 if self.most is None else min(self.most, batch // 2)
        what = f"{batch} samples in one forward pass do not fit into the device's memory"
        self.notes.append(f"{model}: {what}: {self.most} from now on")


class Batched(Protocol):
    """What is done batch by batch on a device."""

    @property
    def batch(self) -> int:
        """Samples in one forward pass, as far as they fit."""

    @property
    def room(self) -> Room:
        """How many fit."""

    @property
    def device(self) -> str:
        """Where."""

    @property
    def name(self) -> str:
        """The model's name."""


def with_memory(job: Batched, work: Callable[[], T]) -> T:
    """Do some work, from its beginning with half the batch each time that memory runs out.

    Args:
        job: what it is done for; the batch that fits is known from then on to all cells of the model and dataset.
        work: may be begun anew.

    Raises:
        ModelError: not even one sample fits.
    """
    while True:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            job.room.halve(job.batch, job.name, error)
        free(job.device)  # not in the handler: what was computed hangs on its traceback


def out_of_memory(model: str, error: BaseException) -> ModelError:
    """What is said where memory runs out in work that no smaller batch would help."""
    got = f"ran out of memory: {str(error).splitlines()[0]}"
    return ModelError(Problem(model, got, None, "Use a smaller --batch-size, or another device."))


def free(device: str) -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
