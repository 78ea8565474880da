"""Cell to observations: the only loop that runs a model for measuring.

The identity pass comes first and its outputs stay in a scratch file. Then part by part (1,024 samples of the
cell's order) and element by element; a part is written whole or not at all, so a killed run loses at most one.
When all parts are there, what needs the whole cell is filled in and ``cell.json`` closes it.
"""

from __future__ import annotations

import shutil
import statistics as stdlib_statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from symbench.actions.base import Action, TrivialAction
from symbench.assemble import Prepared, image_leaves, seed_for
from symbench.datasets.base import Dataset
from symbench.environment import synchronise
from symbench.errors import Interrupted, ModelError, Problem
from symbench.events import Advanced, Finished, Listener, Started
from symbench.measure import (
    Sums,
    Task,
    classification_columns,
    compared,
    regression_columns,
    squared_distances,
    tasks,
    unrelated,
)
from symbench.models.base import Model
from symbench.plan import Cell
from symbench.store import OBSERVATIONS, PART, CellRecord, ElementRecord, PartRecord, Store, sha256_file, write_part, write_text, written

DEFAULT_BATCH = 256


@dataclass(frozen=True)
class Job:
    """One cell with everything that it takes to measure it.

    Attributes:
        cell: names and key.
        model: on the device, in the suite's dtype.
        dataset: loaded.
        prepared: the symmetry, built for this dataset.
        device: where.
        dtype: what the model computes in; images are transformed in float32 or better.
        canvas: pixels a side that images are brought to, or None.
        batch: images in one forward pass.
        limit: the first samples of the order only.
        probabilities: whether classifications are compared on probabilities.
        seed: the suite's.
        checkpoint: SHA-256 of the weights, where they come from a file.
        facts: what is already known of the model, such as what its training took.
    """

    cell: Cell
    model: Model
    dataset: Dataset
    prepared: Prepared
    device: str
    dtype: torch.dtype
    canvas: int | None
    batch: int
    limit: int | None
    probabilities: bool
    seed: int
    checkpoint: str | None
    facts: dict[str, float | None]
    environment: dict[str, Any]


def sample_order(job: Job) -> list[int]:
    """The seeded order in which a dataset's samples are evaluated; the same for every model and symmetry."""
    seed = seed_for(job.seed, "order", job.cell.identity["dataset"]["digest"])
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(job.dataset)).tolist()
    return order if job.limit is None else order[: job.limit]


def evaluate(job: Job, store: Store, *, listen: Listener, stopped: Callable[[], bool]) -> CellRecord:
    """Measure one cell, or finish what an earlier run began.

    Raises:
        ModelError: the model raised, or returned a wrong shape, NaN or infinity.
        DataError: a sample cannot be used.
        Interrupted: asked to stop; finished parts are kept.
    """
    order = sample_order(job)
    folder = store.cell_folder(job.cell.key)
    scratch = Scratch(folder / "scratch", job.checkpoint)
    parts = [(first, min(first + PART, len(order))) for first in range(0, len(order), PART)]
    elements = len(job.prepared.elements)
    done = sum(scratch.has_part(first) for first, _ in parts)
    total = len(order) * elements
    listen(Started(str(job.cell.pair), total, "images", done=0))
    try:
        with torch.inference_mode():
            listed = reference_pass(job, order, scratch, listen)
            for first, last in parts:
                if scratch.has_part(first):
                    listen(Advanced((last - first) * (elements - 1)))
                    continue
                if stopped():
                    raise Interrupted(Problem(str(job.cell.pair), f"stopped after {done} of {len(parts)} parts", None, "The same command resumes."))
                measure_part(job, listed, order, first, last, scratch, listen)
                done += 1
            return close(job, listed, order, parts, scratch, store)
    finally:
        listen(Finished())


@dataclass(frozen=True)
class Reference:
    """What the identity pass found, for one output.

    Attributes:
        task: output and target.
        raw: the model's outputs, ``(n, *output)`` float64, mapped from the scratch file.
        mean: of what is compared, over samples, ``(*output,)``.
        square: its mean squared length.
        action: how the group moves the output.
        target_action: how it moves the target.
    """

    task: Task
    raw: np.ndarray
    mean: Tensor
    square: float
    action: Action
    target_action: Action | None

    def rows(self, first: int, last: int, device: str) -> Tensor:
        """Some samples' outputs, on the device."""
        return torch.from_numpy(np.array(self.raw[first:last])).to(device)


class Scratch:
    """What is kept of an unfinished cell: the reference's outputs, sums per part, and observations without pairing.

    A cell that was begun with other weights is begun again.
    """

    def __init__(self, folder: Path, checkpoint: str | None) -> None:
        self.folder = folder
        note = folder / "checkpoint"
        stamp = f"{checkpoint}\n"
        if folder.is_dir() and not (note.is_file() and note.read_text() == stamp):
            shutil.rmtree(folder)
        if not note.is_file():
            write_text(note, stamp)

    @property
    def facts(self) -> Path:
        """What the identity pass found out; written last, so that it marks the pass as done."""
        return self.folder / "facts.npz"

    def raw(self, output: str) -> Path:
        """The file of an output's values for the untransformed samples."""
        return self.folder / f"reference-{output}.npy"

    def columns(self, output: str, first: int) -> Path:
        """The file of a part's columns."""
        return self.folder / f"columns-{output}-{first:08d}.npz"

    def pairing(self, output: str, first: int) -> Path:
        """The file of a part's sums."""
        return self.folder / f"pairing-{output}-{first:08d}.npz"

    def part(self, first: int) -> Path:
        """The file that is written last, and so marks a part as done."""
        return self.folder / f"part-{first:08d}.npz"

    def has_part(self, first: int) -> bool:
        """Whether a part was finished by an earlier run."""
        return self.part(first).is_file()

    def save(self, path: Path, **arrays: np.ndarray) -> None:
        """Write arrays atomically."""
        with written(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]


def pieces(count: int, size: int) -> list[slice]:
    """``count`` things in slices of at most ``size``."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def load_leaves(job: Job, indices: Sequence[int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Samples on the device, prepared (masked) and in the dtype they are transformed in, and their targets."""
    batch = job.dataset.batch(indices, canvas=job.canvas)
    precise = torch.float64 if job.dtype == torch.float64 else torch.float32
    leaves = {
        name: job.prepared.actions[name].prepare(x.to(job.device, precise) if x.is_floating_point() else x.to(job.device))
        for name, x in batch.leaves.items()
    }
    return leaves, {name: target.to(job.device) for name, target in batch.targets.items()}


def run_model(job: Job, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """A forward pass in the suite's dtype. Raises ModelError on NaN and infinity."""
    cast = {name: x.to(job.dtype) if x.is_floating_point() else x for name, x in leaves.items()}
    outputs = job.model(cast, image_leaves(job.dataset))
    for name, value in outputs.items():
        if not torch.isfinite(value).all():
            bad = int((~torch.isfinite(value)).flatten(1).any(1).sum())
            raise ModelError(Problem(job.model.name, f"output {name!r} is NaN or infinite for {bad} of {len(value)} inputs", "finite numbers"))
    return outputs


def reference_pass(job: Job, order: Sequence[int], scratch: Scratch, listen: Listener) -> list[Reference]:
    """Run every sample untransformed, and keep what deviations are measured from."""
    found = tasks(dict(job.model.outputs), dict(job.dataset.targets), probabilities=job.probabilities)
    if scratch.facts.is_file():
        listen(Advanced(len(order)))
    else:
        outputs = {task.output: Growing(scratch.raw(task.output), len(order)) for task in found}
        seconds: list[float] = []
        for piece in pieces(len(order), job.batch):
            leaves, labels = load_leaves(job, order[piece])
            check_labels(job, found, labels)
            synchronise(job.device)
            start = time.perf_counter()
            results = run_model(job, leaves)
            synchronise(job.device)
            seconds.append((time.perf_counter() - start) / len(order[piece]))
            for task in found:
                check_output(job, task, results[task.output], labels)
                outputs[task.output].put(piece, results[task.output])
            listen(Advanced(len(order[piece])))
        for task in found:
            outputs[task.output].close()
        # the first pass warms up: leave it out where there are others
        scratch.save(scratch.facts, seconds=np.array(stdlib_statistics.median(seconds[1:] or seconds)))
    return [_reference(job, task, scratch) for task in found]


class Growing:
    """An array that is filled on disk and appears under its name when it is whole."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self.count = count
        self.array: np.memmap[Any, np.dtype[np.float64]] | None = None

    def put(self, piece: slice, values: Tensor) -> None:
        """Store rows ``piece``, as float64."""
        if self.array is None:
            self.array = np.lib.format.open_memmap(
                self.path.with_suffix(".part"), mode="w+", dtype=np.float64, shape=(self.count, *values.shape[1:])
            )
        self.array[piece] = values.double().cpu().numpy()

    def close(self) -> None:
        """Flush, and give the file its name."""
        if self.array is not None:
            self.array.flush()
            self.path.with_suffix(".part").replace(self.path)


def _reference(job: Job, task: Task, scratch: Scratch) -> Reference:
    raw = np.load(scratch.raw(task.output), mmap_mode="r")
    shape = tuple(raw.shape[1:])
    action = job.prepared.action_on(task.field)
    reason = action.check(shape)
    if reason is not None:
        raise ModelError(Problem(job.model.name, f"output {task.output!r} cannot be moved: {reason}", f"an output that is {task.field}"))
    target_action = job.prepared.action_on(task.target_field) if task.target_field is not None else None
    total, square = torch.zeros(shape, dtype=torch.float64), 0.0
    for piece in pieces(len(raw), PART):
        values = compared(torch.from_numpy(np.array(raw[piece])), task)
        total += values.sum(0)
        square += values.square().sum().item()
    return Reference(task, raw, total / len(raw), square / len(raw), action, target_action)


def check_output(job: Job, task: Task, output: Tensor, labels: dict[str, Tensor]) -> None:
    """Refuse class scores that are no ``(n, classes)`` or too few for the labels, and outputs unlike their target."""
    if task.classify and output.ndim != 2:
        raise ModelError(Problem(job.model.name, f"output {task.output!r} has shape {tuple(output.shape)}", "class scores (n, classes)"))
    if task.target is None:
        return
    target = labels[task.target]
    if task.classify and int(target.max()) >= output.shape[1]:
        raise ModelError(Problem(job.model.name, f"has {output.shape[1]} outputs and a label is {int(target.max())}", "as many outputs as classes"))
    if not task.classify and output.shape != target.shape:
        raise ModelError(Problem(job.model.name, f"output {task.output!r} has shape {tuple(output.shape[1:])}", f"the target's, {tuple(target.shape[1:])}"))


def check_labels(job: Job, found: Sequence[Task], labels: dict[str, Tensor]) -> None:
    """Refuse targets that are not finite."""
    for task in found:
        if task.target is not None and not torch.isfinite(labels[task.target].double()).all():
            raise ModelError(Problem(job.model.name, f"target {task.target!r} is NaN or infinite", "finite numbers"))


def measure_part(
    job: Job, listed: Sequence[Reference], order: Sequence[int], first: int, last: int, scratch: Scratch, listen: Listener
) -> None:
    """Run one part under every element but the identity, and write its rows and sums."""
    count, elements = last - first, len(job.prepared.elements)
    leaves, targets = load_leaves(job, order[first:last])
    columns = [PartColumns(elements, count, {}) for _ in listed]
    sums: list[dict[str, Any]] = [{} for _ in listed]
    identity = job.prepared.elements.values[:1]
    for reference, filled in zip(listed, columns, strict=True):
        raw = reference.rows(first, last, job.device)
        _fill(filled, reference, identity, raw[None], raw, targets, slice(0, 1), slice(0, count))
    together = max(1, job.batch // count)  # elements in one forward pass, where a part is smaller than a batch
    for chunk in pieces(elements - 1, together):
        g = job.prepared.elements.values[1:][chunk]
        moves = {name: job.prepared.actions[name].bind(g, x) for name, x in leaves.items()}
        place = slice(chunk.start + 1, chunk.stop + 1)
        for piece in pieces(count, max(1, job.batch // len(g))):
            outputs = run_model(job, {name: moves[name](x[piece]).flatten(0, 1) for name, x in leaves.items()})
            here = {name: target[piece] for name, target in targets.items()}
            size = piece.stop - piece.start
            for reference, filled, kept in zip(listed, columns, sums, strict=True):
                output = outputs[reference.task.output].unflatten(0, (len(g), size))
                raw = reference.rows(first + piece.start, first + piece.stop, job.device)
                _add(kept, _fill(filled, reference, g, output, raw, here, place, piece), place, piece, elements, count)
            listen(Advanced(len(g) * size))
    for reference, filled, kept in zip(listed, columns, sums, strict=True):
        scratch.save(scratch.columns(reference.task.output, first), **filled.arrays)
        scratch.save(scratch.pairing(reference.task.output, first), **kept)
    scratch.save(scratch.part(first), done=np.array(1))


@dataclass
class PartColumns:
    """The columns of one part and output, ``(k, n)`` each; what a task does not have is not there."""

    elements: int
    count: int
    arrays: dict[str, np.ndarray]

    def put(self, name: str, place: slice, piece: slice, values: Tensor) -> None:
        """Store a block of a column."""
        block = values.cpu().numpy()
        if name not in self.arrays:
            self.arrays[name] = np.zeros((self.elements, self.count), dtype=block.dtype)
        self.arrays[name][place, piece] = block


def _fill(
    columns: PartColumns,
    reference: Reference,
    g: Tensor,
    output: Tensor,
    raw: Tensor,
    targets: dict[str, Tensor],
    place: slice,
    piece: slice,
) -> Sums:
    """Columns and sums of one block: ``output`` is ``(k, n, *output)``, ``raw`` the reference's ``(n, *output)``."""
    task = reference.task
    moved = compared(output, task)
    expected = reference.action.act(g, compared(raw, task))
    columns.put("deviation_sq", place, piece, squared_distances(moved, expected))
    target = targets[task.target] if task.target else None
    if task.classify:
        found = classification_columns(output, target, raw.argmax(-1))
        if target is not None:
            found["target"] = target.expand(len(g), -1)
    else:
        wanted = None
        if target is not None and reference.target_action is not None:
            wanted = reference.target_action.act(g, target.double())
        found = regression_columns(output, wanted)
    for name, values in found.items():
        columns.put(name, place, piece, values)
    mean = reference.action.act(g, reference.mean.to(output.device)[None])[:, 0]
    return Sums.of(moved, expected, mean)


def _add(kept: dict[str, Any], sums: Sums, place: slice, piece: slice, elements: int, count: int) -> None:
    for field in fields(sums):
        block = getattr(sums, field.name).cpu().numpy()
        if field.name.endswith("_sum"):
            kept.setdefault(field.name, np.zeros((elements, block.shape[1])))[place] += block
        else:
            kept.setdefault(field.name, np.zeros((elements, count)))[place, piece] = block


def close(
    job: Job, listed: Sequence[Reference], order: Sequence[int], parts: Sequence[tuple[int, int]], scratch: Scratch, store: Store
) -> CellRecord:
    """Fill in what needs the whole cell, write the observations and the record, and drop the scratch files."""
    folder = store.cell_folder(job.cell.key)
    whole = [_unrelated(job, reference, parts, scratch) for reference in listed]
    records = []
    for first, last in parts:
        rows = [_rows(job, r, order[first:last], first, pairing[:, first:last], scratch) for r, pairing in zip(listed, whole, strict=True)]
        columns = {name: np.concatenate([row[name] for row in rows]) for name in OBSERVATIONS.names}
        path = write_part(folder, first, last - 1, columns)
        records.append(PartRecord(file=path.name, first=first, last=last - 1, sha256=sha256_file(path)))
    check_complete(folder, records, order, len(job.prepared.elements), len(listed))
    record = _record(job, listed, order, records, scratch)
    store.write_cell(record)
    shutil.rmtree(scratch.folder)
    return record


def _unrelated(job: Job, reference: Reference, parts: Sequence[tuple[int, int]], scratch: Scratch) -> np.ndarray:
    """``unrelated_sq`` of a whole cell, ``(elements, n)``; the identity's row is NaN."""
    name = reference.task.output
    loaded = [np.load(scratch.pairing(name, first)) for first, _ in parts]
    total = {
        field.name: torch.from_numpy(
            sum(part[field.name] for part in loaded)
            if field.name.endswith("_sum")
            else np.concatenate([part[field.name] for part in loaded], axis=1)
        )[1:]
        for field in fields(Sums)
    }
    sums = Sums(**total)
    deviation = np.concatenate([np.load(scratch.columns(name, first))["deviation_sq"] for first, _ in parts], axis=1)
    means = (sums.moved_sum / deviation.shape[1]).to(job.device)  # (k, d)
    elements = job.prepared.elements.values[1:]
    blocks = []
    for piece in pieces(deviation.shape[1], PART):
        values = compared(reference.rows(piece.start, piece.stop, job.device), reference.task)
        if isinstance(reference.action, TrivialAction):
            blocks.append(means @ values.flatten(1).T)  # the output is not moved: one product
        else:
            moved = (reference.action.act(g[None], values)[0].flatten(1) @ mean for g, mean in zip(elements, means, strict=True))
            blocks.append(torch.stack(list(moved)))
    expected_dot = torch.cat(blocks, dim=1).cpu()
    result = np.full(deviation.shape, np.nan)
    result[1:] = unrelated(sums, expected_dot, torch.from_numpy(deviation[1:])).numpy()
    return result


def _rows(job: Job, reference: Reference, samples: Sequence[int], first: int, pairing: np.ndarray, scratch: Scratch) -> dict[str, np.ndarray]:
    """One part's rows of one output, element after element."""
    found = dict(np.load(scratch.columns(reference.task.output, first)))
    found["unrelated_sq"] = pairing
    elements, count = pairing.shape
    found["sample"] = np.broadcast_to(np.array(samples), (elements, count))
    found["element"] = np.broadcast_to(np.arange(elements)[:, None], (elements, count))
    found["valid"] = np.ones((elements, count), dtype=bool)
    rows = {name: values.reshape(-1) for name, values in found.items()}
    rows["output"] = np.full(elements * count, reference.task.output, dtype=object)
    return {name: rows.get(name, np.full(elements * count, None, dtype=object)) for name in OBSERVATIONS.names}


def check_complete(folder: Path, records: Sequence[PartRecord], order: Sequence[int], elements: int, outputs: int) -> None:
    """Assert that every (output, element, sample) is there exactly once."""
    samples: list[np.ndarray] = []
    for record in records:
        table = pq.read_table(folder / record.file, columns=["sample", "element"])
        column = table.column("sample").to_numpy().reshape(outputs * elements, -1)
        if not (column == column[0]).all() or column.shape[1] != record.last - record.first + 1:
            raise AssertionError(f"{record.file} does not hold every element of every sample")
        samples.append(column[0])
    if sorted(np.concatenate(samples).tolist()) != sorted(order):
        raise AssertionError("the parts of a cell do not hold every sample exactly once")


def _record(job: Job, listed: Sequence[Reference], order: Sequence[int], parts: list[PartRecord], scratch: Scratch) -> CellRecord:
    group, elements = job.prepared.group, job.prepared.elements
    kinds = job.prepared.actions[job.prepared.on].kinds(elements.values)
    rows = zip(group.labels(elements.values), kinds, group.size(elements.values).tolist(), elements.weights.tolist(), group.parameters(elements.values), strict=True)
    facts = {
        **job.facts,
        "parameters": float(sum(p.numel() for p in job.model.module.parameters())),
        "flops": count_flops(job, order[:1]),
        "seconds_per_sample": float(np.load(scratch.facts)["seconds"]),
    }
    return CellRecord(
        key=job.cell.key,
        identity=job.cell.identity,
        samples=len(order),
        outputs={r.task.output: describe_output(job, r) for r in listed},
        size_unit=group.size_unit,
        elements_how=elements.how,
        elements=[
            ElementRecord(element=i, label=label, kind=kind, size=size, weight=weight, parameters=parameters)
            for i, (label, kind, size, weight, parameters) in enumerate(rows)
        ],
        parts=parts,
        facts=facts,
        checkpoint=job.checkpoint,
        environment=job.environment,
    )


def describe_output(job: Job, reference: Reference) -> dict[str, Any]:
    """What a reader of the observations has to know of an output.

    ``null_limit_sq`` is the mean squared distance below which outputs of different samples cannot be told from
    rounding: (100 eps)^2 times the mean square, eps of the dtype. Below it there is no equivariance error.
    """
    eps = torch.finfo(job.dtype).eps
    task = reference.task
    measured = "probabilities" if task.probabilities else "centred logits" if task.classify else "output"
    return {
        "field": str(task.field),
        "task": "classification" if task.classify else "regression",
        "labelled": task.target is not None,
        "measured_on": measured,
        "unit": "probability" if task.probabilities else "logit" if task.classify else "output",
        "null_limit_sq": (100 * eps) ** 2 * reference.square,
    }


def count_flops(job: Job, sample: Sequence[int]) -> float | None:
    """Floating-point operations of one sample's forward pass, by torch's counter (a multiply-add is two)."""
    leaves, _ = load_leaves(job, sample)
    with FlopCounterMode(display=False) as counter:
        run_model(job, leaves)
    return float(counter.get_total_flops()) or None
