"""Cell to observations: the only loop that runs a model for measuring.

The identity pass comes first and its outputs stay in a scratch file. Then part by part (1,024 samples of the
cell's order) and element by element; a part is written whole or not at all, so a killed run loses at most one, and
other processes may take parts over.
When all parts are there, what needs the whole cell is filled in and ``cell.json`` closes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial

from symbench.base.errors import CellError, Interrupted, ModelError, Problem
from symbench.base.events import Advanced, Finished, Listener, Note, Started, ignore
from symbench.base.records import ProbeRecord
from symbench.measure.evaluate.clock import Clock
from symbench.measure.evaluate.closing import close
from symbench.measure.evaluate.controls import run_controls
from symbench.measure.evaluate.first_pass import reference_pass
from symbench.measure.evaluate.forward import running
from symbench.measure.evaluate.job import Job, sample_order
from symbench.measure.evaluate.loop import Loop
from symbench.measure.evaluate.modes import in_mode, refused
from symbench.measure.evaluate.probe import SAMPLES, probed, why_another
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.evaluate.sharing import shared_out
from symbench.measure.store import PART, Store

__all__ = ["Job", "assist", "evaluate"]


def evaluate(job: Job, store: Store, *, listen: Listener, stopped: Callable[[], bool]) -> None:
    """Measure one cell, or finish what an earlier run began.

    Raises:
        ModelError: the model raised, or returned a wrong shape, NaN or infinity.
        DataError: a sample cannot be used.
        Interrupted: asked to stop; finished parts are kept.
    """
    order, scratch = sample_order(job), Scratch(store.cell_folder(job.cell.key) / "scratch")
    probe = _begun(job, order, scratch)
    with running(job):
        chosen = in_mode(job, order, scratch, listen)
    try:
        _evaluate(chosen, order, probe, scratch, store, listen, stopped)
    except ModelError as error:
        if chosen.runner is None:
            raise
        plain = refused(chosen, error, probe, scratch, listen)
        _evaluate(plain, order, probe, scratch, store, listen, stopped)


def _evaluate(
    job: Job,
    order: Sequence[int],
    probe: ProbeRecord | None,
    scratch: Scratch,
    store: Store,
    listen: Listener,
    stopped: Callable[[], bool],
) -> None:
    clock, parts = Clock(), _parts(order)
    total = len(order) * len(job.prepared.elements)
    listen(Started(str(job.cell.pair), total, "images"))
    try:
        with running(job):
            references = reference_pass(job, order, scratch, listen, stopped)
            with clock.controlling():
                controls = run_controls(job, references, order, listen)
            earlier = _measure_parts(Loop.of(job, references, order, scratch), listen, stopped)
            clock.earlier += sum(scratch.part_seconds(first) for first in earlier)
            close(job, references, order, parts, controls, probe, scratch, store, clock)
    finally:
        listen(Finished())
        for note in job.room.notes:
            listen(Note(note, warning=True))


def assist(job: Job, store: Store, *, listen: Listener, stopped: Callable[[], bool]) -> None:
    """Measure parts of a cell that another process has begun and will close; none where it has done so meanwhile.

    Nor any of a faster mode: whoever began the cell may yet go back from it, and drop what it has measured.

    Args:
        job: the cell.
        store: where it is.
        listen: hears notes alone: how far the cell has come is told by the other process.
        stopped: asked now and then whether to stop.

    Raises:
        ModelError: as :func:`evaluate`; the part is left to the other process, which will say it.
        DataError: likewise.
        Interrupted: asked to stop; finished parts are kept.
    """
    if job.numerics.mode != "exact":
        return
    scratch = Scratch(store.cell_folder(job.cell.key) / "scratch")
    begun = scratch.begun_with()
    if begun is None or begun[0] != job.checkpoint or why_another(job, begun[1]) is not None:
        return
    order = sample_order(job)
    try:
        with running(job):
            references = reference_pass(job, order, scratch, ignore, stopped)
            _measure_parts(Loop.of(job, references, order, scratch), ignore, stopped, whole=False)
    except OSError:
        if scratch.begun_with() is not None:
            raise
        shutil.rmtree(scratch.folder, ignore_errors=True)  # a lock that was made as the other closed the cell
    finally:
        for note in job.room.notes:
            listen(Note(note, warning=True))


def _parts(order: Sequence[int]) -> list[tuple[int, int]]:
    """The first sample of each part, and the first behind it."""
    return [(first, min(first + PART, len(order))) for first in range(0, len(order), PART)]


def _measure_parts(loop: Loop, listen: Listener, stopped: Callable[[], bool], *, whole: bool = True) -> list[int]:
    """Measure the parts that no other process is at; with ``whole`` all are finished in the end.

    Returns:
        The first sample of each that an earlier run or another process had done.
    """
    job, parts, earlier = loop.job, dict(_parts(loop.order)), list[int]()
    done = partial(loop.scratch.has_part, list(job.model.outputs))

    def halt() -> None:
        if stopped():
            got = f"stopped after {sum(map(done, parts))} of {len(parts)} parts"
            raise Interrupted(Problem(str(job.cell.pair), got, None, "The same command resumes."))

    for first, finished in shared_out(loop.scratch, "part", list(parts), done, halt, whole=whole):
        if finished:
            earlier.append(first)
            listen(Advanced((parts[first] - first) * (len(job.prepared.elements) - 1)))
        else:
            loop.part(slice(first, parts[first]), listen)
    return earlier


def _begun(job: Job, order: Sequence[int], scratch: Scratch) -> ProbeRecord | None:
    """The probe of the cell, which an earlier run may have begun; what another model has left is dropped.

    None where the model cannot be run on it: the passes over all samples say better why.
    """
    begun = scratch.begun_with()
    if begun is not None and begun[0] == job.checkpoint and why_another(job, begun[1]) is None:
        return begun[1]
    try:
        probe = probed(job, order[:SAMPLES])
    except CellError:
        probe = None
    scratch.begin(job.checkpoint, probe)
    return probe
