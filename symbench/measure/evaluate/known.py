"""What a run has found out of a model on a dataset, and need not look at again."""

from __future__ import annotations

from dataclasses import dataclass, field

from symbench.domains.common.models.base import Model
from symbench.measure.evaluate.room import Room
from symbench.measure.faster.runner import Way


@dataclass
class Known:
    """What a run knows already of what a model costs on a dataset: each is looked at closely once.

    Attributes:
        flops: counted, with what is to be said of the count.
        timed: whether it has been timed.
        facts: what controls of domains and plug-ins found of it, by the control's name.
        room: how many samples fit into one forward pass.
        runners: what runs it faster, or why that cannot be had, by how it does.
    """

    flops: tuple[float | None, str | None] | None = None
    timed: bool = False
    facts: dict[str, dict[str, float | None]] = field(default_factory=dict)
    room: Room = field(default_factory=Room)
    runners: dict[Way, Model | str] = field(default_factory=dict)
