"""Questions that a suite asks of its sweeps, to be answered from what was measured: ``studies:``.

An arm is an entry of a model as the file has it, with all that its sweep made of it. What a question needs is checked
before anything is trained (``questions.py``); ``symbench.read.studies`` answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from symbench.base.registry import Options


def arm_of(of: str, values: Mapping[str, Any], over: str | None) -> str:
    """The arm that a model belongs to: its entry in the file, and its values of all that is not drawn along.

    Args:
        of: the entry.
        values: that the sweep gave the model.
        over: the key that is drawn along.
    """
    rest = [f"{key} {in_words(value)}" for key, value in values.items() if key not in {over, "seed"}]
    return " ".join([of, *rest])


def in_words(value: object) -> str:
    """A value of a sweep: ``0.5``, and of a mapping ``60,000 parameters``."""
    if isinstance(value, Mapping):
        return " ".join(f"{number:,} {key}" for key, number in value.items())
    return str(value)


class Asked(Options):
    """What all questions have: on which dataset, under which symmetry, of which arms.

    A suite's only dataset and symmetry need no naming, and the arms are all models that sweeps made several of.
    """

    title: str | None = None
    dataset: str | None = None
    symmetry: str | None = None
    arms: Annotated[list[str], Field(min_length=1)] | None = None


class Means(Asked):
    """How good is each arm, and by how much does it beat another?

    ``against`` is the arm that all others are compared with, the first by default; ``over`` the key of the sweep that
    is drawn along. ``element`` takes the estimate of one element in place of that over all. ``expected`` are values
    that theory knows, of an arm at each value of ``over``, to be held against what was measured. ``ceiling`` says
    which arms pass what accuracy over the orbit an invariant model can reach at most.

    ``at`` names the cost that all arms are to have alike, to be held against what they have. ``wrong`` names
    controls, each with the arm of whose order its group is another one: they share as many weights, by a symmetry
    that the data lack. ``groups`` says of which group an arm is where its model does not.
    """

    ask: Literal["means"]
    metric: str
    element: str | None = None
    against: str | None = None
    over: str | None = None
    expected: dict[str, list[float]] = Field(default_factory=dict)
    ceiling: bool = False
    at: str | None = None
    wrong: dict[str, str] = Field(default_factory=dict)
    groups: dict[str, str] = Field(default_factory=dict)


class Exchange(Asked):
    """How many samples of the second arm is one of the first worth? ``over`` is the key that counts samples."""

    ask: Literal["exchange"]
    metric: str
    element: str | None = None
    over: str = "samples"

    @model_validator(mode="after")
    def _two(self) -> Exchange:
        if self.arms is None or len(self.arms) != 2:
            raise ValueError("arms: the two that are held against each other")
        return self


class Breaking(Asked):
    """How much of what one training breaks do all trainings break alike?"""

    ask: Literal["breaking"]


Study = Annotated[Means | Exchange | Breaking, Field(discriminator="ask")]
