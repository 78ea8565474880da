"""The local engine: one process, one device, cell after cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from symbench.assemble import built_for_data, canvas, dtype_of, layer_fields, load_weights, ready, weights_digest
from symbench.code import foreign
from symbench.datasets.base import Canvas, Readable, names_of_outputs
from symbench.datasets.pictures import Pictures, make_room
from symbench.environment import numeric_flags
from symbench.errors import CellError, DataError
from symbench.evaluate import DEFAULT_BATCH, Job, evaluate
from symbench.evaluate.job import Known, seeded_order
from symbench.events import Listener, Note
from symbench.models.base import Model
from symbench.models.running import WRITES, dtypes_of
from symbench.plan.data import Data
from symbench.plan.resolve import Cell, Plan, new_module
from symbench.store import Store
from symbench.train import Checkpoint, cached, obtain, restore

CPU_BATCH = 1 << 22
"""Numbers in one batch on the CPU. Up to 32 MB, memory is used again from batch to batch; more is fetched anew
each time, which takes longer than moving the images does."""


@dataclass(frozen=True)
class Settings:
    """How to run: what changes no result beyond rounding."""

    device: str
    batch: int = DEFAULT_BATCH
    limit: int | None = None
    trust_pickle: bool = False
    fail_fast: bool = False


@dataclass(frozen=True)
class Loaded:
    """A model on the device, with the digest of its weights and what is known of it; ``build`` makes it anew."""

    model: Model
    checkpoint: str | None
    facts: dict[str, float | None]
    build: Callable[[], Model]


Report = Callable[[Cell, str | None], None]
"""Called when a cell is done (None) or has failed (with the reason)."""


def run(
    plan: Plan,
    store: Store,
    settings: Settings,
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
    decode(plan, store, settings, listen=listen, stopped=stopped)
    for name in dict.fromkeys(cell.pair.model for cell in plan.cells):
        worker = _Worker(plan, store, settings, environment, listen, stopped)
        cells = [cell for cell in plan.cells if cell.pair.model == name]
        if name in plan.recipes and not all(finished(plan, store, cell) for cell in cells):
            worker.train(name)  # first: all of a model's cells are to be of one and the same checkpoint
        for cell in cells:
            reason = None if finished(plan, store, cell) else worker.attempt(cell)
            report(cell, reason)
            if reason is not None:
                listen(Note(f"{cell.pair}: failed: {reason}", warning=True))
                if settings.fail_fast:
                    return


@dataclass(frozen=True)
class Need:
    """Samples of a dataset that a run will ask for, and the canvases that its models want them on."""

    data: Data
    indices: Sequence[int]
    canvases: Sequence[Canvas | None]

    def pending(self) -> int:
        """How many images have to be decoded for it."""
        return self.data.dataset.pending(self.indices, self.canvases)


def needs(plan: Plan, store: Store, limit: int | None) -> Iterator[Need]:
    """What the cells that are not measured yet will ask for, and the trainings before them."""
    suite = plan.suite
    cells = [c for c in plan.cells if plan.broken_reason(c.pair) is None and not finished(plan, store, c)]
    names = dict.fromkeys(cell.pair.model for cell in cells)
    recipes = {name: suite.models[name].train for name in names if name in plan.recipes}
    trained = [(r.on, suite.models[name].size) for name, r in recipes.items() if r and cached(plan, name) is None]
    for on in dict.fromkeys(on for on, _ in trained):
        data = plan.training[on]
        yield Need(data, range(len(data.dataset)), list(dict.fromkeys(size for o, size in trained if o == on)))
    for name, data in plan.data.items():
        mine = [cell.pair for cell in cells if cell.pair.dataset == name]
        if mine:
            order = seeded_order(len(data.dataset), data.digest, seed=suite.seed, limit=limit)
            sizes = [canvas(suite, pair.symmetry, pair.model) for pair in mine]
            yield Need(data, order, list(dict.fromkeys(sizes)))


def decode(plan: Plan, store: Store, settings: Settings, *, listen: Listener, stopped: Callable[[], bool]) -> None:
    """Prepare every sample that is needed, once for all models; say what a dataset leaves out.

    A dataset that cannot be prepared fails its own cells; pictures that do not fit into the cache fail all theirs.

    Raises:
        Interrupted: asked to stop.
    """
    wanted = list(needs(plan, store, settings.limit))
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
    for data in plan.training.values():
        if data.dataset.unusable:
            data.dataset = Readable(data.dataset)


def finished(plan: Plan, store: Store, cell: Cell) -> bool:
    """Whether the store has the cell, measured on the weights that its recipe stands for now."""
    record = store.cell(cell.key)
    if record is None:
        return False
    checkpoint = cached(plan, cell.pair.model) if cell.pair.model in plan.recipes else None
    return checkpoint is None or record.checkpoint == checkpoint.digest


@dataclass
class _Worker:
    """Measures the cells of one model, which is loaded once for every shape that it has to take."""

    plan: Plan
    store: Store
    settings: Settings
    environment: dict[str, Any]
    listen: Listener
    stopped: Callable[[], bool]
    models: dict[str, Loaded] = field(default_factory=dict)
    known: dict[tuple[str, Canvas | None], Known] = field(default_factory=dict)
    failure: CellError | None = None
    noted: bool = False

    def train(self, name: str) -> None:
        """Obtain the checkpoint; a failure is kept, and becomes the reason of every cell."""
        try:
            with self._flags():
                obtain(self.plan, name, device=self.settings.device, listen=self.listen, stopped=self.stopped)
        except CellError as error:
            self.failure = error

    def attempt(self, cell: Cell) -> str | None:
        """Measure one cell; None, or the reason why it failed."""
        failure = self.plan.broken_reason(cell.pair) or self.failure
        if failure is not None:
            return str(failure)
        try:
            loaded = self._load(cell)
            with self.store.locked(cell.key), self._flags():
                record = self.store.cell(cell.key)
                if record is not None and record.checkpoint == loaded.checkpoint:
                    return None  # another process was faster
                if record is not None:
                    self.store.discard(cell.key)
                evaluate(self._job(cell, loaded), self.store, listen=self.listen, stopped=self.stopped)
            self._tell(loaded.model)
        except CellError as error:
            return str(error)
        return None

    def _tell(self, model: Model) -> None:
        """Say once what a model does that its owner may not know."""
        if model.habits.writes and not self.noted:
            self.noted = True
            self.listen(Note(f"{model.name} {WRITES}", warning=True))

    def _flags(self) -> AbstractContextManager[None]:
        numerics = self.plan.suite.numerics
        return numeric_flags(tf32=numerics.tf32, deterministic=numerics.deterministic)

    def _load(self, cell: Cell) -> Loaded:
        name = cell.pair.model
        entry = self.plan.suite.models[name]
        key = cell.pair.dataset if built_for_data(entry) else ""
        if key not in self.models:
            self.models.clear()
            self.models[key] = self._fresh(name, cell.pair.dataset)
        return self.models[key]

    def _fresh(self, name: str, dataset: str) -> Loaded:
        suite, device = self.plan.suite, self.settings.device
        trained: Checkpoint | None = None
        facts: dict[str, float | None] = {}
        checkpoint = weights_digest(suite, name)
        if name in self.plan.recipes:
            trained = obtain(self.plan, name, device=device, listen=self.listen, stopped=self.stopped)
            checkpoint, facts = trained.digest, {"training_seconds": trained.seconds}

        def build() -> Model:
            module = new_module(self.plan, name, dataset)
            if trained is not None:
                restore(module, trained)
            load_weights(module, suite, name, trust_pickle=self.settings.trust_pickle)
            return ready(module, suite.models[name], name, device=device, dtype=dtype_of(suite))

        return Loaded(build(), checkpoint, facts, build)

    def _job(self, cell: Cell, loaded: Loaded) -> Job:
        suite, dataset = self.plan.suite, self.plan.dataset_of(cell)
        wanted = canvas(suite, cell.pair.symmetry, cell.pair.model)
        return Job(
            cell=cell,
            model=loaded.model,
            dataset=dataset,
            prepared=self.plan.symmetry_of(cell),
            device=self.settings.device,
            dtype=dtype_of(suite) or dtypes_of(loaded.model.module)[0],
            canvas=wanted,
            decoded=wanted,
            batch=_batch(self.settings, dataset.shapes(canvas=wanted)),
            limit=self.settings.limit,
            control_samples=suite.controls.samples,
            probabilities=suite.scores == "probabilities",
            seed=suite.seed,
            checkpoint=loaded.checkpoint,
            facts={**loaded.facts, "unreadable_samples": float(len(dataset.unusable))},
            environment={**self.environment, "batch": self.settings.batch},
            layers=layer_fields(suite.models[cell.pair.model]),
            classes=names_of_outputs(dataset),
            build=loaded.build,
            known=self.known.setdefault((cell.pair.dataset, wanted), Known()),
        )


def _batch(settings: Settings, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Images in one forward pass: as many as was asked for, but on the CPU no more than fit its caches."""
    if settings.device != "cpu":
        return settings.batch
    return min(settings.batch, max(1, CPU_BATCH // sum(prod(shape) for shape in shapes.values())))
