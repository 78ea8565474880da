"""What the process of a run and those of its devices tell one another: plain data, all of it pickles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from symbench.base.errors import Interrupted
from symbench.base.events import Event
from symbench.measure.execution.loading import Settings
from symbench.measure.plan.document import Cell, Plan


@dataclass(frozen=True)
class Setup:
    """The first that the process of a device hears.

    Attributes:
        plan: what is to be measured.
        results: the results folder.
        settings: how to run, with the device as the only one.
        stale: why cells that the store has are not of the model at hand, by key.
        environment: versions and flags, as every cell records them.
        threads: how many to compute with.
        arguments: those of the run's process, which users' code may look at.
    """

    plan: Plan
    results: Path
    settings: Settings
    stale: Mapping[str, str]
    environment: Mapping[str, Any]
    threads: int
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Errand:
    """Work for one device.

    Attributes:
        doing: ``train``, the model of the cells; ``measure``, the one cell; ``assist``, some parts of a cell that
            another device measures.
        cells: of one model.
    """

    doing: Literal["train", "measure", "assist"]
    cells: tuple[Cell, ...]

    @property
    def model(self) -> str:
        """The name of the model that it takes."""
        return self.cells[0].pair.model

    def __str__(self) -> str:
        return f"the training of {self.model}" if self.doing == "train" else str(self.cells[0].pair)


@dataclass(frozen=True)
class Stop:
    """Finish the part in hand, and nothing else."""


@dataclass(frozen=True)
class Leave:
    """The errand has become pointless: leave it after the part in hand, if that is what is being done."""

    errand: Errand


@dataclass(frozen=True)
class Ready:
    """The device can be computed on."""


@dataclass(frozen=True)
class Heard:
    """Progress of the errand in hand."""

    event: Event


@dataclass(frozen=True)
class Ended:
    """The errand is carried out, or has failed with a reason."""

    reason: str | None


@dataclass(frozen=True)
class Stopped:
    """The errand was left unfinished, as was asked; what is done of it is kept."""

    error: Interrupted


@dataclass(frozen=True)
class Raised:
    """What ends the whole run, as it would in one process: a disk that is full, or a bug of ours."""

    error: Exception


@dataclass(frozen=True)
class Lost:
    """Nothing can be computed there any more, and why."""

    why: str


Reply = Ready | Heard | Ended | Stopped | Raised | Lost
