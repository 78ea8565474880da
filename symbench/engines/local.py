"""The local engine: one process, one device, cell after cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from symbench.assemble import load_weights, ready, weights_digest
from symbench.environment import numeric_flags
from symbench.errors import CellError, ModelError, Problem
from symbench.evaluate import DEFAULT_BATCH, Job, evaluate
from symbench.events import Listener, Note
from symbench.models.base import Model
from symbench.plan.resolve import Cell, Plan, new_module
from symbench.store import Store
from symbench.train import Checkpoint, cached, obtain, restore


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
    """A model on the device, with the digest of its weights and what is known of it."""

    model: Model
    checkpoint: str | None
    facts: dict[str, float | None]


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
    numerics = plan.suite.numerics
    models: dict[str, Loaded | CellError] = {}
    with numeric_flags(tf32=numerics.tf32, deterministic=numerics.deterministic):
        for cell in plan.cells:
            reason = None
            if not finished(plan, store, cell):
                reason = _attempt(plan, store, settings, environment, cell, models, listen, stopped)
            report(cell, reason)
            if reason is not None:
                listen(Note(f"{cell.pair}: failed: {reason}", warning=True))
                if settings.fail_fast:
                    return


def finished(plan: Plan, store: Store, cell: Cell) -> bool:
    """Whether the store has the cell, measured on the weights that its recipe stands for now."""
    record = store.cell(cell.key)
    if record is None:
        return False
    checkpoint = cached(plan, cell.pair.model) if cell.pair.model in plan.recipes else None
    return checkpoint is None or record.checkpoint == checkpoint.digest


def _attempt(
    plan: Plan,
    store: Store,
    settings: Settings,
    environment: dict[str, Any],
    cell: Cell,
    models: dict[str, Loaded | CellError],
    listen: Listener,
    stopped: Callable[[], bool],
) -> str | None:
    name = cell.pair.model
    try:
        if name not in models:
            models.clear()  # cells come model by model: one in memory at a time
            models[name] = _load(plan, name, settings, listen, stopped, cell.pair.dataset)
        loaded = models[name]
        if isinstance(loaded, CellError):
            return str(loaded)
        with store.locked(cell.key):
            record = store.cell(cell.key)
            if record is not None and record.checkpoint == loaded.checkpoint:
                return None  # another process was faster
            if record is not None:
                store.discard(cell.key)
            evaluate(_job(plan, cell, loaded, settings, environment), store, listen=listen, stopped=stopped)
    except CellError as error:
        if name not in models:
            models[name] = error
        return str(error)
    return None


def _load(
    plan: Plan, name: str, settings: Settings, listen: Listener, stopped: Callable[[], bool], dataset: str
) -> Loaded:
    broken = plan.broken.get(name)
    if broken is not None:
        raise ModelError(broken.problems)
    trained: Checkpoint | None = None
    if name in plan.recipes:
        trained = obtain(plan, name, device=settings.device, listen=listen, stopped=stopped)
    module = new_module(plan, name, dataset)
    facts: dict[str, float | None] = {}
    checkpoint = weights_digest(plan.suite, name)
    if trained is not None:
        restore(module, trained)
        checkpoint, facts = trained.digest, {"training_seconds": trained.seconds}
    load_weights(module, plan.suite, name, trust_pickle=settings.trust_pickle)
    try:
        module = module.to(settings.device, _dtype(plan))
    except RuntimeError as error:
        raise ModelError(Problem(name, f"cannot be moved to {settings.device}: {error}".splitlines()[0])) from error
    return Loaded(ready(module, plan.suite.models[name], name), checkpoint, facts)


def _dtype(plan: Plan) -> torch.dtype:
    found: torch.dtype = getattr(torch, plan.suite.numerics.dtype)
    return found


def _job(plan: Plan, cell: Cell, loaded: Loaded, settings: Settings, environment: dict[str, Any]) -> Job:
    return Job(
        cell=cell,
        model=loaded.model,
        dataset=plan.datasets[cell.pair.dataset],
        prepared=plan.symmetry_of(cell),
        device=settings.device,
        dtype=_dtype(plan),
        canvas=plan.suite.models[cell.pair.model].size,
        batch=settings.batch,
        limit=settings.limit,
        probabilities=plan.suite.scores == "probabilities",
        seed=plan.suite.seed,
        checkpoint=loaded.checkpoint,
        facts=loaded.facts,
        environment=environment,
    )
