"""The local engine: one process, one device, cell after cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from symbench.assemble import built_for_data, canvas, dtype_of, load_weights, ready, weights_digest
from symbench.code import foreign
from symbench.datasets.base import Canvas, Readable
from symbench.datasets.pictures import Pictures, make_room
from symbench.engines.ledger import Ledger
from symbench.engines.loading import Loaded, Settings, flags, job_of
from symbench.errors import CellError, DataError
from symbench.evaluate import Job, evaluate
from symbench.evaluate.job import seeded_order
from symbench.evaluate.probe import why_another
from symbench.events import Event, Listener, Note
from symbench.models.base import Model
from symbench.models.running import WRITES
from symbench.plan.data import Data
from symbench.plan.document import Cell
from symbench.plan.workspace import Workspace
from symbench.store import Store
from symbench.train import Checkpoint, cached, obtain, restore

Report = Callable[[Cell, str | None], None]
"""Called when a cell is done (None) or has failed (with the reason)."""


def run(
    space: Workspace,
    ledger: Ledger,
    environment: dict[str, Any],
    *,
    listen: Listener,
    stopped: Callable[[], bool],
    report: Report,
) -> None:
    """Bring every cell of the plan to a result: cached, measured, or failed with a reason.

    Raises:
        Interrupted: asked to stop.
    """
    plan, store, settings, listen = space.plan, ledger.store, ledger.settings, once(listen)
    decode(space, ledger, listen=listen, stopped=stopped)
    for name in dict.fromkeys(cell.pair.model for cell in plan.cells):
        worker = _Worker(space, store, settings, environment, listen, stopped)
        cells = [cell for cell in plan.cells if cell.pair.model == name]
        if name in plan.recipes and not all(ledger.done(space, cell) for cell in cells):
            worker.train(name)  # first: all of a model's cells are to be of one and the same checkpoint
        for cell in cells:
            reason = None if ledger.done(space, cell) else worker.attempt(cell)
            report(cell, reason)
            if reason is not None:
                listen(Note(f"{cell.pair}: failed: {reason}", warning=True))
                if settings.fail_fast:
                    return


def once(listen: Listener) -> Listener:
    """A listener that hears each note once: what is said of a model's outputs is so of all its cells."""
    told: set[str] = set()

    def hear(event: Event) -> None:
        if not isinstance(event, Note) or event.text not in told:
            listen(event)
        if isinstance(event, Note):
            told.add(event.text)

    return hear


@dataclass(frozen=True)
class Need:
    """Samples of a dataset that a run will ask for, and the canvases that its models want them on."""

    data: Data
    indices: Sequence[int]
    canvases: Sequence[Canvas | None]

    def pending(self) -> int:
        """How many images have to be decoded for it."""
        return self.data.dataset.pending(self.indices, self.canvases)


def needs(space: Workspace, ledger: Ledger) -> Iterator[Need]:
    """What the cells that are not measured yet will ask for, and the trainings before them."""
    plan, suite = space.plan, space.suite
    cells = ledger.pending(space)
    names = dict.fromkeys(cell.pair.model for cell in cells)
    recipes = {name: suite.models[name].train for name in names if name in plan.recipes}
    trained = [(r.on, suite.models[name].size) for name, r in recipes.items() if r and cached(plan, name) is None]
    for on in dict.fromkeys(on for on, _ in trained):
        data = space.training_of(on)
        yield Need(data, range(len(data.dataset)), list(dict.fromkeys(size for o, size in trained if o == on)))
    for name in plan.data:
        mine = [cell.pair for cell in cells if cell.pair.dataset == name]
        if mine:
            data = space.data_of(name)
            order = seeded_order(len(data.dataset), data.digest, seed=suite.seed, limit=plan.limit)
            sizes = [canvas(suite, pair.symmetry, pair.model) for pair in mine]
            yield Need(data, order, list(dict.fromkeys(sizes)))


def decode(space: Workspace, ledger: Ledger, *, listen: Listener, stopped: Callable[[], bool]) -> None:
    """Prepare every sample that is needed, once for all models; say what a dataset leaves out.

    A dataset that cannot be prepared fails its own cells; pictures that do not fit into the cache fail all theirs.

    Raises:
        Interrupted: asked to stop.
    """
    wanted = list(needs(space, ledger))
    pictures = [(n.data.dataset, n.indices, n.canvases) for n in wanted if isinstance(n.data.dataset, Pictures)]
    try:
        make_room(pictures)
    except DataError as error:
        for need in wanted:
            need.data.broken = error if isinstance(need.data.dataset, Pictures) else need.data.broken
    for need in wanted:
        data = need.data
        try:
            if data.broken is None:
                with foreign(DataError, data.name, "preparing samples"):
                    data.dataset.prepare(need.indices, need.canvases, listen=listen, stopped=stopped)
        except DataError as error:
            data.broken = error
        data.tell(listen)
    for data in space.training.values():
        if data.dataset.unusable:
            data.dataset = Readable(data.dataset)


@dataclass
class _Worker:
    """Measures the cells of one model, which is loaded once for every shape that it has to take."""

    space: Workspace
    store: Store
    settings: Settings
    environment: dict[str, Any]
    listen: Listener
    stopped: Callable[[], bool]
    models: dict[str, Loaded] = field(default_factory=dict)
    failure: CellError | None = None
    noted: bool = False

    def train(self, name: str) -> None:
        """Obtain the checkpoint; a failure is kept, and becomes the reason of every cell."""
        try:
            with flags(self.space.suite):
                obtain(self.space, name, device=self.settings.device, listen=self.listen, stopped=self.stopped)
        except CellError as error:
            self.failure = error

    def attempt(self, cell: Cell) -> str | None:
        """Measure one cell; None, or the reason why it failed."""
        failure = self.space.broken_reason(cell) or self.failure
        if failure is not None:
            return str(failure)
        try:
            at_hand = self._load(cell)
            with self.store.locked(cell.key), flags(self.space.suite):
                job = job_of(self.space, cell, at_hand, self.settings, self.environment)
                if self._is_measured(cell, job):
                    return None
                if self.store.cell(cell.key) is not None or self.store.fault(cell.key) is not None:
                    self.store.discard(cell.key)
                evaluate(job, self.store, listen=self.listen, stopped=self.stopped)
            self._tell(at_hand.model)
        except CellError as error:
            return str(error)
        return None

    def _is_measured(self, cell: Cell, job: Job) -> bool:
        """Whether the store has got the cell meanwhile, of the model at hand: another process may be faster."""
        record = self.store.cell(cell.key)
        if record is None or record.checkpoint != job.checkpoint:
            return False
        return record.probe is not None and why_another(job, record.probe) is None

    def _tell(self, model: Model) -> None:
        """Say once what a model does that its owner may not know."""
        if model.habits.writes and not self.noted:
            self.noted = True
            self.listen(Note(f"{model.name} {WRITES}", warning=True))

    def _load(self, cell: Cell) -> Loaded:
        name = cell.pair.model
        entry = self.space.suite.models[name]
        key = cell.pair.dataset if built_for_data(entry) else ""
        if key not in self.models:
            self.models.clear()
            self.models[key] = self._fresh(name, cell.pair.dataset)
        return self.models[key]

    def _fresh(self, name: str, dataset: str) -> Loaded:
        suite, device = self.space.suite, self.settings.device
        trained: Checkpoint | None = None
        facts: dict[str, float | None] = {}
        checkpoint = weights_digest(suite, name)
        if name in self.space.plan.recipes:
            trained = obtain(self.space, name, device=device, listen=self.listen, stopped=self.stopped)
            checkpoint, facts = trained.digest, {"training_seconds": trained.seconds}

        def build() -> Model:
            module = self.space.new_module(name, dataset)
            if trained is not None:
                restore(module, trained)
            load_weights(module, suite, name, trust_pickle=self.settings.trust_pickle)
            return ready(module, suite.models[name], name, device=device, dtype=dtype_of(suite))

        return Loaded(build(), checkpoint, facts, build)
