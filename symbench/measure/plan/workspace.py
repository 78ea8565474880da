"""What a process has loaded for a plan: datasets, symmetries with their elements, and modules on demand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from symbench.algebra.fields import Category, Field
from symbench.base.errors import CellError, ConfigError, DataError, ImpossiblePair
from symbench.base.events import Listener, Note, ignore
from symbench.base.identity import Reads
from symbench.domains.common.datasets.base import Aligned, Dataset
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.inputs import fed
from symbench.measure import assemble
from symbench.measure.assemble import Prepared
from symbench.measure.assemble.model import is_shaped
from symbench.measure.plan.data import Data
from symbench.measure.plan.document import Cell, DataFacts, Plan
from symbench.measure.plan.pairs import Pair
from symbench.measure.suite import Suite

Place = tuple[str, str, int | None]
"""What a symmetry is prepared for: its name, the dataset's, and the size that the model sees."""


@dataclass
class Workspace:
    """A plan, and everything that this process has loaded to carry it out.

    A :class:`~symbench.measure.plan.document.Plan` is plain data. To measure one of its cells a process needs the
    things that it names. A workspace loads each when it is first asked for and keeps it for the cells to come. The
    process that made the plan has most of them at hand; any other one opens ``Workspace(plan)`` and gets the same
    things, without a key being computed again. What is loaded there is held against the plan: what has changed in the
    meantime fails its cells.

    Attributes:
        plan: what is to be measured.
        listen: hears how far the looking through data has come.
        data: datasets that were loaded, by name: see :meth:`data_of`.
        training: training splits that were loaded, by the name of the dataset: see :meth:`training_of`.
        prepared: symmetries that were prepared: see :meth:`symmetry_of`.
        origins: what was found out of models that were looked at here, by model and what it is built for.
        planned_here: whether this process made the plan, so that nothing can be another than what it speaks of.
    """

    plan: Plan
    listen: Listener = ignore
    data: dict[str, Data] = field(default_factory=dict)
    training: dict[str, Data] = field(default_factory=dict)
    prepared: dict[Place, Prepared] = field(default_factory=dict)
    origins: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    planned_here: bool = False

    @property
    def suite(self) -> Suite:
        """The plan's suite."""
        return self.plan.suite

    def data_of(self, name: str) -> Data:
        """The dataset called ``name``, loaded.

        Raises:
            DataError: it could be loaded when it was planned, and cannot be any more.
        """
        if name not in self.data:
            self.data[name] = self._reopened(name, self.plan.data[name])
        return self.data[name]

    def training_of(self, name: str) -> Data:
        """The training split of the dataset called ``name``, loaded.

        Raises:
            DataError: as :meth:`data_of`.
        """
        if name not in self.training:
            self.training[name] = self._reopened(name, self.plan.training[name], split="train")
        return self.training[name]

    def _reopened(self, name: str, facts: DataFacts, split: str | None = None) -> Data:
        try:
            dataset = assemble.load_dataset(self.suite, name, split=split, listen=self.listen)
        except ConfigError as error:  # planning, it would be the suite that is wrong; by now it fails its cells
            raise DataError(error.problems) from error
        return Data.reopened(dataset, self.suite.where("datasets", name), facts)

    def dataset_of(self, cell: Cell) -> Dataset:
        """The dataset of a cell, with the outputs of its model for labels."""
        dataset, labels = self.data_of(cell.pair.dataset).dataset, cell.labels
        return dataset if labels is None or labels.outputs is None else Aligned(dataset, labels.outputs)

    def symmetry_of(self, pair: Pair) -> Prepared:
        """The symmetry of a cell, built for its dataset and the model's canvas.

        Raises:
            ImpossiblePair: the group cannot act on a leaf.
        """
        place = (pair.symmetry, pair.dataset, self.suite.models[pair.model].size)
        if place not in self.prepared:
            data = self.data_of(pair.dataset)
            shapes = data.shapes(assemble.canvas(self.suite, pair.symmetry, pair.model))
            try:
                self.prepared[place] = assemble.prepare(self.suite, pair.symmetry, data.dataset, shapes)
            except ImpossiblePair as error:
                raise self._left_out(error, pair) from error
            reduced = self.prepared[place].reduced
            if reduced is not None and self.planned_here:
                self.listen(Note(f"{pair.symmetry} on {pair.dataset}: {reduced}", warning=True))
        return self.prepared[place]

    def _left_out(self, error: ImpossiblePair, pair: Pair) -> ImpossiblePair:
        """With the name of the dataset, and how to do without where there are others."""
        if len(self.suite.datasets) == 1:
            return error
        remedy = f"Say except: {{dataset: {pair.dataset}}} in the symmetry's entry to leave {pair.dataset} out."
        problems = [replace(e, remedy=" ".join(filter(None, (e.remedy, remedy)))) for e in error.problems]
        return ImpossiblePair(problems)

    def broken_reason(self, cell: Cell) -> CellError | None:
        """Why a cell cannot be measured, if that is known before it is tried."""
        pair = cell.pair
        data = self.data.get(pair.dataset) or self.plan.data[pair.dataset]
        return self.plan.models[pair.model].broken or data.broken or cell.unfit

    def meant_for(self, name: str) -> Field | None:
        """The field of the targets that a model was made for: what it is trained on, or the classes that it names."""
        recipe = self.suite.models[name].train
        if recipe is not None and recipe.on in self.plan.training:
            return next(iter(self.training_of(recipe.on).dataset.targets.values()), None)
        names = self.plan.models[name].classes
        return Category(len(names)) if names else None

    def new_module(self, name: str, dataset: str, reads: Reads | None = None) -> nn.Module:
        """A model's module with fresh weights, shaped for the data that it is trained on, or else for ``dataset``.

        Args:
            name: the model's.
            dataset: what it is to be run on.
            reads: hears what the model's own code reads while it is built.

        Raises:
            ConfigError: the user's code cannot be imported.
            CellError: building it raised, or the data that it is shaped for cannot be read.
        """
        if not is_shaped(self.suite.models[name]):
            return assemble.build_module(self.suite, name, shapes={}, outputs=0, reads=reads)
        shapes, outputs = self.made_for(name, dataset)
        return assemble.build_module(self.suite, name, shapes=shapes, outputs=outputs, reads=reads)

    def data_for(self, name: str, dataset: str) -> Data:
        """The data that a model is shaped for: what it is trained on, or else ``dataset``.

        Raises:
            DataError: it cannot be read.
        """
        recipe = self.suite.models[name].train
        data = self.training_of(recipe.on) if recipe is not None else self.data_of(dataset)
        if data.broken is not None:
            raise data.broken
        return data

    def made_for(self, name: str, dataset: str) -> tuple[dict[str, tuple[int, ...]], int]:
        """The shapes, by leaf, and the number of outputs that a model is made for.

        Raises:
            CellError: the data that it is shaped for cannot be read.
        """
        entry, data = self.suite.models[name], self.data_for(name, dataset)
        fields, known = data.dataset.fields, data.shapes(entry.size)
        row = MODELS.row(entry.use)
        shapes = {leaf: known[leaf] for leaf in fed(row, fields) or known}
        if entry.channels is not None:
            images = assemble.normalised_leaves(data.dataset)
            before = {leaf: fields[leaf].before for leaf in shapes if leaf in images}
            shapes |= {
                leaf: (*shapes[leaf][:n], entry.channels, *shapes[leaf][n + 1 :]) for leaf, n in before.items()
            }
        if entry.embedding is not None:
            return shapes, entry.embedding
        # a library's model has classes of its own, for data that has none
        outputs = 0 if row.source and not data.dataset.targets else data.outputs(entry.size)
        return shapes, outputs
