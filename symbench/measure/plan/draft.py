"""A plan in the making: what is found out, model by model, on the way to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from symbench.base.errors import CellError, Problem
from symbench.base.events import Listener, ignore
from symbench.domains.common.models.source import Description
from symbench.measure.assemble.labels import Labels
from symbench.measure.plan.document import Cell, ModelFacts
from symbench.measure.plan.pairs import Pair
from symbench.measure.plan.workspace import Workspace


@dataclass
class Draft:
    """A plan in the making.

    Attributes:
        workspace: what was loaded for it; its plan is as full as it was at the last :meth:`settle`.
        device: where it will run.
        trust_pickle: whether weights may be pickles that run code.
        listen: hears of what is done otherwise than a library does it.
        known: what is known of each model before it is built.
        broken: models that cannot be built, with the reason.
        recipes: the recipe of every model that is trained.
        origins: everything that can change what a model computes, by model and what it is built for.
        dtypes: the dtypes that a model came in, that of its inputs first, by model and what it is built for.
        takes: the leaves of a dataset that a model takes, by (model, dataset).
        lacking: what a model takes and none of its datasets has, in words, by the model's name.
        labels: how the labels of a dataset are read for a model, by (model, dataset).
        cells: those that have their keys.
        widths: the widths that budgets have chosen, with the count of each, by all that they depend on.
        impossible: what symmetries cannot do to what they meet, each once.
        said: notes of what is the same for many models, which are heard once.
    """

    workspace: Workspace
    device: str
    trust_pickle: bool = False
    listen: Listener = ignore
    known: dict[str, Description] = field(default_factory=dict)
    broken: dict[str, CellError] = field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    dtypes: dict[tuple[str, str], str] = field(default_factory=dict)
    takes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    labels: dict[tuple[str, str], Labels | None] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    widths: dict[str, tuple[int, float]] = field(default_factory=dict)
    impossible: dict[Problem, None] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)

    def broken_reason(self, pair: Pair) -> CellError | None:
        """Why a cell cannot be measured, as far as that is known by now."""
        return self.broken.get(pair.model) or self.workspace.data[pair.dataset].broken

    def mark_unfit(self, unfit: Mapping[tuple[str, str], CellError]) -> None:
        """Note for which datasets models have no output, by (model, dataset)."""
        self.cells = [replace(c, unfit=unfit.get((c.pair.model, c.pair.dataset), c.unfit)) for c in self.cells]

    def settle(self) -> Workspace:
        """The workspace, its plan with all that is known by now."""
        models = {
            name: ModelFacts(known.classes, self.recipes.get(name), self.broken.get(name))
            for name, known in self.known.items()
        }
        space = self.workspace
        space.plan = replace(
            space.plan,
            cells=tuple(self.cells),
            models=models,
            data={name: data.facts() for name, data in space.data.items()},
            training={name: data.facts() for name, data in space.training.items()},
        )
        return space
