"""A plan as plain data: what is to be measured, under which keys, and what is known of it beforehand.

Nothing here loads or builds anything, and all of it pickles: a plan can be sent to another process, which opens a
:class:`~symbench.measure.plan.workspace.Workspace` on it and measures any of its cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from symbench.base.errors import CellError
from symbench.measure.assemble.labels import Labels
from symbench.measure.plan.pairs import Pair
from symbench.measure.suite import Suite


@dataclass(frozen=True)
class Cell:
    """The unit that is planned, cached and compared.

    Attributes:
        pair: its names.
        key: the hash of ``identity``: where its result is kept.
        identity: everything that the result depends on; empty where the cell was broken when it was planned.
        takes: the leaves of its dataset that its model takes, in the model's order.
        labels: how the labels of its dataset are read for its model; None where there are none.
        unfit: why its model has no output for its dataset, if that was looked for.
    """

    pair: Pair
    key: str
    identity: dict[str, Any]
    takes: tuple[str, ...] = ()
    labels: Labels | None = None
    unfit: CellError | None = None


@dataclass(frozen=True)
class DataFacts:
    """What is known of a dataset, or of the split of it that models are trained on.

    Attributes:
        digest: of its contents, as it stands in keys and recipes.
        count: how many samples it has.
        anew: whether samples are others each time they are read, which is right for training alone.
        broken: why it cannot be read; its cells fail with this reason.
    """

    digest: str
    count: int
    anew: bool = False
    broken: CellError | None = None


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model.

    Attributes:
        classes: the names that each output goes by; None where they are not known.
        recipe: everything that its weights depend on, where it is trained here.
        broken: why it cannot be built; its cells fail with this reason.
    """

    classes: tuple[tuple[str, ...], ...] | None = None
    recipe: dict[str, Any] | None = None
    broken: CellError | None = None


@dataclass(frozen=True)
class Plan:
    """What a run is to measure.

    Attributes:
        suite: the suite, its models with the preprocessing that they bring along.
        asked: SHA-256 of what the suite asked for, before anything was filled in.
        limit: take only the first samples of each dataset's order; None takes all.
        cells: in the order in which they will run, model by model.
        models: what is known of each model, by name.
        data: what is known of each dataset that is measured on, by name.
        training: what is known of each training split, by the name of the dataset.
    """

    suite: Suite
    asked: str
    limit: int | None = None
    cells: tuple[Cell, ...] = ()
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    data: Mapping[str, DataFacts] = field(default_factory=dict)
    training: Mapping[str, DataFacts] = field(default_factory=dict)

    @property
    def recipes(self) -> dict[str, dict[str, Any]]:
        """The recipe of every model that is trained, by the model's name."""
        return {name: facts.recipe for name, facts in self.models.items() if facts.recipe is not None}
