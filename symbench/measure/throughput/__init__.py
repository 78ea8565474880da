"""Throughput passes: how fast models are and what memory they take, timed apart from the evaluation.

A pass takes the models of one dataset: their input is on the device beforehand, they are warmed up until settled, and
then timed in turns. What it found is a file of its own for each model; a run lists those of its models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from symbench.base.events import Finished, Note, Started
from symbench.base.records import PassStatus
from symbench.measure.execution.context import Context
from symbench.measure.execution.loading import flags
from symbench.measure.suite.throughput import Throughput
from symbench.measure.throughput.clocks import Clock, clock_of
from symbench.measure.throughput.contest import held_contest, record_of
from symbench.measure.throughput.entrants import Entrant, entrants, lacking, listed, seconds_at_least
from symbench.measure.throughput.fed import Loading, in_groups
from symbench.measure.throughput.machine import state
from symbench.measure.throughput.turns import ROUNDS

__all__ = ["Entrant", "add_passes", "entrants", "lacking", "listed", "seconds_at_least"]


def add_passes(
    context: Context, models: Mapping[str, Sequence[Entrant]], wanted: Mapping[str, int], clock: Clock | None = None
) -> list[PassStatus]:
    """Time models, and write what was found.

    Args:
        context: the run.
        models: by dataset.
        wanted: how many passes each dataset's models are to get, by its name.
        clock: times forward passes; that of the device by default.

    Returns:
        The models that could not be timed, each with its reason.

    Raises:
        Interrupted: asked to stop; passes that are finished are kept.
    """
    failed: dict[tuple[str, str], PassStatus] = {}
    for dataset, mine in models.items():
        for _ in range(wanted.get(dataset, 0)):
            running = [each for each in mine if each.names not in failed]
            for status in _one_pass(context, dataset, running, clock) if running else []:
                failed[status.model, status.dataset] = status
                text = f"{status.model} on {dataset}: no throughput: {status.reason}"
                context.listen(Note(text, warning=True))
    return list(failed.values())


def _one_pass(context: Context, dataset: str, mine: Sequence[Entrant], clock: Clock | None) -> list[PassStatus]:
    settings = context.workspace.suite.throughput
    assert settings is not None
    sizes = 1 + settings.latency + len(settings.sweep)
    context.listen(Started(f"throughput on {dataset}", ROUNDS * sizes * len(mine), "blocks"))
    try:
        with flags(context.workspace.suite, context.ledger.settings.device), torch.no_grad():
            return _timed(context, mine, settings, clock or clock_of(context.ledger.settings.device))
    finally:
        context.listen(Finished())


def _timed(context: Context, mine: Sequence[Entrant], settings: Throughput, clock: Clock) -> list[PassStatus]:
    """One pass, group by group; those that failed."""
    failed = []
    for group in in_groups(context, mine):
        failed += _of_group(context, group, settings, clock)
        group.clear()  # before the next is loaded
    return failed


def _of_group(context: Context, group: list[Loading], settings: Throughput, clock: Clock) -> list[PassStatus]:
    """One pass of models that are loaded side by side; those that failed."""
    before, failed = state(context.ledger.settings.device), []
    contenders = held_contest(context, group, settings, clock)
    machine = before, state(context.ledger.settings.device)
    names = [each.entrant.names[0] for each in contenders if each.failure is None]
    for found in contenders:
        model, dataset = found.entrant.names
        if found.failure is not None:
            reason, key = str(found.failure), found.entrant.key
            failed.append(PassStatus(model=model, dataset=dataset, key=key, status="failed", reason=reason))
            continue
        record = record_of(found, context, names, machine, settings)
        context.ledger.store.write_pass(record)
        for remark in record.remarks:
            context.listen(Note(f"throughput of {model} on {dataset}: {remark}", warning=True))
    return failed
