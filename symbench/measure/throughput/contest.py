"""One pass: models of a dataset timed in turns at each batch size, and what that came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from symbench.base.errors import CellError, Interrupted, Problem
from symbench.base.events import Advanced
from symbench.base.passes import PassRecord, PeakMemory, TimedBatch
from symbench.domains.common.models.operations import count_numbers
from symbench.measure.evaluate.job import Job
from symbench.measure.evaluate.room import free
from symbench.measure.execution.context import Context
from symbench.measure.faster.runner import plainly
from symbench.measure.suite.throughput import Throughput
from symbench.measure.throughput.clocks import Clock
from symbench.measure.throughput.entrants import Entrant
from symbench.measure.throughput.fed import Fed, Loading, fitting, out_of_memory, tried
from symbench.measure.throughput.memory import peak_memory
from symbench.measure.throughput.noise import remark
from symbench.measure.throughput.turns import Lane, Least, in_turns


@dataclass
class Contender:
    """A model in a pass.

    Attributes:
        entrant: it, on its dataset.
        fed: with its input; None where it failed.
        headline: the suite's batch.
        others: further batch sizes, that of single samples among them, where they fit.
        memory: what a forward pass of the headline's batch holds.
        remarks: what did not go as asked for.
        failure: why it has no result.
    """

    entrant: Entrant
    fed: Fed | None = None
    headline: Lane | None = None
    others: dict[int | str, Lane] = field(default_factory=dict)
    memory: PeakMemory | None = None
    remarks: list[str] = field(default_factory=list)
    failure: CellError | None = None


ALONE = "alone"


def held_contest(context: Context, group: Sequence[Loading], settings: Throughput, clock: Clock) -> list[Contender]:
    """Time the models of a group in turns.

    Args:
        context: of the run.
        group: models that are loaded, or why they cannot be.
        settings: the suite's.
        clock: times forward passes.

    Raises:
        Interrupted: asked to stop; nothing of this pass is kept.
    """
    contenders = [_contender(entrant, job, settings) for entrant, job in group]
    least = Least(settings.iterations, settings.seconds)
    turn, halt = partial(_turn, context), partial(_halt, context)
    running = [(each, each.headline) for each in contenders if each.headline is not None]
    in_turns([lane for _, lane in running], clock, least, turn, halt)
    for each, lane in running:
        each.failure = each.failure or lane.failure
    for name in ([ALONE] if settings.latency else []) + list(settings.sweep):
        lanes = [each.others[name] for each in contenders if each.failure is None and name in each.others]
        in_turns(lanes, clock, least, turn, halt)
    for each in contenders:
        _weigh(each)
    return contenders


def _halt(context: Context) -> None:
    """Stop where that was asked for."""
    if context.stopped():
        raise Interrupted(Problem("throughput pass", "stopped in it", None, "The same command takes it again."))


def _turn(context: Context, lane: Lane) -> None:
    """Before each block that counts: stop where that was asked for, and tell how far it is."""
    _halt(context)
    context.listen(Advanced(1, f"{lane.batch} a pass"))


def _contender(entrant: Entrant, job: Job | CellError, settings: Throughput) -> Contender:
    """A model with its input on the device, at batch sizes that fit."""
    found = Contender(entrant)
    if isinstance(job, CellError):
        found.failure = job
        return found
    try:
        fed = fitting(entrant, job, settings.batch)
    except CellError as error:
        found.failure = error
        return found
    batch = len(next(iter(fed.inputs.values())))
    if batch < settings.batch:
        found.remarks.append(f"a batch of {settings.batch} does not fit the device's memory: halved to {batch}")
    if job.checked.mode != job.numerics.mode and job.checked.remark is not None:
        found.remarks.append(job.checked.remark.replace("measured", "timed", 1))
    found.fed, found.headline = fed, fed.lane(batch)
    if settings.latency:
        found.others[ALONE] = fed.lane(1, apart=True)
    for size in settings.sweep:
        _add(found, fed, size, batch)
    return found


def _add(found: Contender, fed: Fed, size: int, batch: int) -> None:
    """A batch size of the sweep, if it fits."""
    if size <= batch:
        found.others[size] = fed.lane(size)
        return
    try:
        found.others[size] = tried(fed.entrant, fed.job, size).lane(size)
        return
    except CellError as error:
        why = "it does not fit the device's memory" if out_of_memory(error) else str(error)
    free(fed.job.device)  # not in the handler: what was computed hangs on its traceback
    found.remarks.append(f"a batch of {size} is left out of the sweep: {why}")


def _weigh(found: Contender) -> None:
    """See what a forward pass of the headline's batch holds at most."""
    fed, lane = found.fed, found.headline
    if found.failure is not None or fed is None or lane is None:
        return
    given = [x[: lane.batch] for x in fed.inputs.values()]
    try:
        with plainly(fed.module):
            found.memory = peak_memory(lane.forward, given, fed.module, fed.job.device)
    except CellError as error:
        found.failure = error


def record_of(
    found: Contender,
    context: Context,
    beside: Sequence[str],
    machine: tuple[Mapping[str, Any], Mapping[str, Any]],
    settings: Throughput,
) -> PassRecord:
    """What a model's pass is written as.

    Args:
        found: the model, timed.
        context: of the run.
        beside: the names of the models that were timed in turns.
        machine: what it was doing before the pass, and after it.
        settings: the suite's.
    """
    fed, lane, memory = found.fed, found.headline, found.memory
    before, after = machine
    assert fed is not None
    assert lane is not None
    assert memory is not None
    timed, others = lane.timed(), {name: _timed(found, name) for name in found.others}
    noise = remark(timed, before, after)
    cell = context.ledger.store.cell(found.entrant.cell.key)
    flops = cell.facts.get("flops") if cell is not None else None
    model, dataset = found.entrant.names
    return PassRecord(
        key=found.entrant.key,
        identity=found.entrant.identity,
        model=model,
        dataset=dataset,
        beside=[name for name in beside if name != model],
        started=datetime.now(UTC).isoformat(timespec="microseconds"),
        asked=settings.batch,
        mode=fed.job.checked.mode,
        throughput=timed,
        latency=others.get(ALONE),
        sweep=[one for size in settings.sweep if (one := others.get(size)) is not None],
        memory=memory,
        facts={**count_numbers(fed.job.model.module), "flops": flops},
        environment=dict(context.environment),
        before=dict(before),
        after=after,
        remarks=[*found.remarks, *([] if noise is None else [noise])],
    )


def _timed(found: Contender, name: int | str) -> TimedBatch | None:
    """A further batch size; None where it was not timed, which a remark then says."""
    lane = found.others.get(name)
    if lane is None:
        return None
    if lane.failure is not None:
        what = "single samples were" if name == ALONE else f"a batch of {name} was"
        found.remarks.append(f"{what} not timed: {lane.failure}")
        return None
    return lane.timed()
