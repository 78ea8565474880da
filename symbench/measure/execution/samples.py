"""The samples that cells will ask for, and their preparing beforehand, once for all models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symbench.base.code import foreign
from symbench.base.errors import DataError
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Dataset, Readable
from symbench.measure.assemble import canvas
from symbench.measure.evaluate.job import seeded_order
from symbench.measure.execution.context import Context
from symbench.measure.execution.ledger import Ledger
from symbench.measure.plan.data import Data
from symbench.measure.plan.document import Cell
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.checkpoints import cached


@dataclass(frozen=True)
class Need:
    """Samples of a dataset that cells will ask for, and the canvases that their models want them on."""

    data: Data
    indices: Sequence[int]
    canvases: Sequence[Canvas | None]

    def pending(self) -> int:
        """How many samples have to be prepared for it."""
        return self.data.dataset.pending(self.indices, self.canvases)


def needs(space: Workspace, ledger: Ledger, cells: Sequence[Cell]) -> Iterator[Need]:
    """What those of the cells that are not measured yet will ask for, and the trainings before them."""
    plan, suite = space.plan, space.suite
    pending = ledger.pending(space, cells)
    names = dict.fromkeys(cell.pair.model for cell in pending)
    recipes = {name: suite.models[name].train for name in names if name in plan.recipes}
    trained = [(r.on, suite.models[name].size) for name, r in recipes.items() if r and cached(plan, name) is None]
    for on in dict.fromkeys(on for on, _ in trained):
        data = space.training_of(on)
        yield Need(data, range(len(data.dataset)), list(dict.fromkeys(size for o, size in trained if o == on)))
    for name in plan.data:
        mine = [cell.pair for cell in pending if cell.pair.dataset == name]
        if mine:
            data = space.data_of(name)
            order = seeded_order(len(data.dataset), data.digest, seed=suite.seed, limit=plan.limit)
            sizes = [canvas(suite, pair.symmetry, pair.model) for pair in mine]
            yield Need(data, order, list(dict.fromkeys(sizes)))


def prepare_samples(context: Context, cells: Sequence[Cell]) -> None:
    """Prepare every sample that the cells need; say what a dataset leaves out.

    A dataset that cannot be prepared fails its own cells; datasets that do not fit into one cache together fail
    all of theirs.

    Raises:
        Interrupted: asked to stop.
    """
    space = context.workspace
    wanted = list(needs(space, context.ledger, cells))
    _make_room(wanted)
    for need in wanted:
        data = need.data
        try:
            if data.broken is None and not data.anew:  # what is another at each reading must not be held
                with foreign(DataError, data.name, "preparing samples"):
                    data.dataset.prepare(need.indices, need.canvases, listen=context.listen, stopped=context.stopped)
        except DataError as error:
            data.broken = error
        data.tell(context.listen)
    for data in space.training.values():
        if data.dataset.unusable:
            data.dataset = Readable(data.dataset)


def _make_room(wanted: Sequence[Need]) -> None:
    """Let each kind of dataset make room for all of its own at once; where they do not fit, all are broken."""
    kinds: dict[type[Dataset], list[Need]] = {}
    for need in wanted:
        kinds.setdefault(_kind(need.data.dataset), []).append(need)
    for kind, mine in kinds.items():
        try:
            kind.make_room([(need.data.dataset, need.indices, need.canvases) for need in mine])
        except DataError as error:
            for need in mine:
                need.data.broken = error


def _kind(dataset: Dataset) -> type[Dataset]:
    """The class that knows how room is made for a dataset: its own, or the one that it has this from."""
    classes = type(dataset).__mro__
    return next(each for each in classes if issubclass(each, Dataset) and "make_room" in vars(each))
