"""Closing a cell: what needs the whole of it is filled in, and the record written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from symbench.algebra.comparison import Sums, Totals, Vectors
from symbench.base.columns import AVERAGED, OBSERVATIONS
from symbench.base.records import CellRecord, ElementRecord, FileRecord, PartRecord, ProbeRecord
from symbench.measure.evaluate.clock import Clock
from symbench.measure.evaluate.cost import facts_of
from symbench.measure.evaluate.examined import Controls
from symbench.measure.evaluate.gallery import Worst, rendered, worst_first, worst_of
from symbench.measure.evaluate.job import Job, kinds, kinds_of
from symbench.measure.evaluate.modes import said_of_mode
from symbench.measure.evaluate.named import named_classes
from symbench.measure.evaluate.part import DEVIATIONS
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import one_each
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.store import (
    Store,
    sha256_file,
    tiles_of,
    write_controls,
    write_deviations,
    write_gallery,
    write_samples,
    write_tiles,
    write_views,
)
from symbench.measure.store.tiles import Tiled

PLACES = ("sample", "element")
"""The columns that say what a row is about."""


@dataclass(frozen=True)
class Files:
    """The files of a closed cell."""

    parts: list[PartRecord]
    samples: FileRecord
    views: FileRecord | None
    controls: FileRecord
    gallery: FileRecord | None
    deviations: FileRecord | None


def close(
    job: Job,
    references: Sequence[Reference],
    order: Sequence[int],
    parts: Sequence[tuple[int, int]],
    controls: Controls,
    probe: ProbeRecord | None,
    scratch: Scratch,
    store: Store,
    clock: Clock,
) -> None:
    """Fill in what needs the whole cell, write the observations and the record, and drop the scratch files."""
    folder = store.cell_folder(job.cell.key)
    totals = [_totals(job, reference, order, parts, scratch) for reference in references]
    records = []
    for first, last in parts:
        tiles = (
            (reference.task.output, rows)
            for reference, whole in zip(references, totals, strict=True)
            for rows in _rows(job, reference, order[first:last], first, whole, scratch)
        )
        path = write_tiles(folder, first, last - 1, tiles)
        records.append(PartRecord(file=path.name, first=first, last=last - 1, sha256=sha256_file(path)))
    check_complete(folder, records, order, len(job.prepared.elements), [r.task.output for r in references])
    samples = write_samples(folder, [_sample_rows(r, order, parts, scratch) for r in references])
    by_part = (_views(job, order[first:last]) for first, last in parts)
    views = write_views(folder, by_part) if job.prepared.elements.shared is None else None
    gallery = _gallery(job, references[0], order, parts, scratch)
    files = Files(
        records,
        samples,
        views,
        write_controls(folder, controls.rows),
        write_gallery(folder, gallery) if gallery else None,
        _deviations(folder, references, order, scratch) if job.replica else None,
    )
    record = _record(job, references, order, files, controls, scratch, clock)
    store.write_cell(record.model_copy(update={"probe": probe}))
    scratch.drop()


def _deviations(
    folder: Path, references: Sequence[Reference], order: Sequence[int], scratch: Scratch
) -> FileRecord | None:
    """What the first samples are off by; None where a part was measured without keeping it."""
    names = [reference.task.output for reference in references]
    kept = {name: scratch.load(scratch.pairing(name, 0), DEVIATIONS).get(DEVIATIONS) for name in names}
    there = {name: values for name, values in kept.items() if values is not None}
    return write_deviations(folder, there, order) if there else None


def _gallery(
    job: Job, reference: Reference, order: Sequence[int], parts: Sequence[tuple[int, int]], scratch: Scratch
) -> dict[str, Any] | None:
    """The samples that break worst on the first output, with their pictures."""
    worst: list[Worst] = []
    rounding = describe_output(job, reference, order)["null_limit_sq"] ** 0.5
    for first, last in parts:
        columns = scratch.load(scratch.columns(reference.task.output, first))
        worst = worst_first([*worst, *worst_of(columns, order[first:last], rounding)])
    return rendered(job, reference, worst)


def _sample_rows(
    reference: Reference, order: Sequence[int], parts: Sequence[tuple[int, int]], scratch: Scratch
) -> dict[str, np.ndarray]:
    """One row per sample: what the orbit's mean output comes to, null where outputs have no such thing."""
    paths = [scratch.pairing(reference.task.output, first) for first, _ in parts]
    kept = [scratch.load(path, *AVERAGED) for path in paths]
    nothing = np.full(len(order), None)
    return {
        "output": np.full(len(order), reference.task.output, dtype=object),
        "sample": np.array(order),
        **{
            name: np.concatenate([each[name] for each in kept]) if all(name in each for each in kept) else nothing
            for name in AVERAGED
        },
    }


@dataclass(frozen=True)
class Whole:
    """What is known of one output once all parts are there.

    Attributes:
        moved_sum: the sum over the cell of ``f(g.x)``, measured from the mean of ``g.f(x)``, ``(elements - 1, d)``.
        totals: of all samples, for the same elements.
    """

    moved_sum: Tensor
    totals: Totals


def _totals(
    job: Job, reference: Reference, order: Sequence[int], parts: Sequence[tuple[int, int]], scratch: Scratch
) -> Whole | None:
    """None of outputs that have no sums."""
    if not reference.comparison.vectors:
        return None
    moved_sum, moved_sq = np.zeros(1), np.zeros(1)
    for first, _ in parts:  # one at a time: each is as large as the elements times the outputs
        kept = scratch.load(scratch.pairing(reference.task.output, first), "moved_sum", "moved_sq")
        moved_sum, moved_sq = moved_sum + kept["moved_sum"], moved_sq + kept["moved_sq"].sum(1)
    sums, squares = (torch.from_numpy(each[1:]) for each in (moved_sum, moved_sq))
    return Whole(sums.to(job.exact), Totals(squares, reference.comparison.counts(order)))


def _unrelated(
    job: Job,
    reference: Reference,
    comparison: Vectors,
    samples: Sequence[int],
    first: int,
    deviation: np.ndarray,
    whole: Whole,
    scratch: Scratch,
) -> np.ndarray:
    """``unrelated_sq`` of a part of a cell, of its elements but the identity, ``(elements - 1, n)``."""
    kept = scratch.load(scratch.pairing(reference.task.output, first))
    sums = Sums(**{field.name: torch.from_numpy(kept[field.name])[1:] for field in fields(Sums)})
    values = reference.task.compared(reference.rows(first, first + len(samples), job.exact))
    offset = reference.mean.to(job.exact)
    if reference.in_place:
        centred = comparison.folded((values - offset)[None], samples)[0]
        dot = whole.moved_sum @ centred.T  # one product for all elements
    else:
        elements = job.prepared.elements.values[1:]
        pairs = zip(elements, whole.moved_sum, strict=True)
        parts = [_centred(reference, comparison, g[None], values, offset, samples) @ moved for g, moved in pairs]
        dot = torch.stack(parts)
    own = comparison.counts(samples)
    found = comparison.unrelated(sums, dot.cpu(), torch.from_numpy(deviation[1:]), whole.totals, own)
    return np.asarray(found.numpy())


def _centred(
    reference: Reference, comparison: Vectors, g: Tensor, values: Tensor, offset: Tensor, samples: Sequence[int]
) -> Tensor:
    """``g.f(x)`` measured from its mean and folded, ``(n, d)``."""
    moved = reference.action.act(g, values) - reference.action.act(g, offset[None])
    lost = reference.action.lost(g, values)
    if lost is not None:
        moved = moved.masked_fill(lost.view(*lost.shape, *(1,) * (moved.ndim - lost.ndim)), 0)
    return comparison.folded(moved, samples)[0]


def _rows(
    job: Job, reference: Reference, samples: Sequence[int], first: int, whole: Whole | None, scratch: Scratch
) -> Iterator[dict[str, np.ndarray]]:
    """One part's rows of one output, for a few samples after the others: of these element after element."""
    found = scratch.load(scratch.columns(reference.task.output, first))
    shape, comparison, deviation = found["deviation_sq"].shape, reference.comparison, found["deviation_sq"]
    if whole is not None and isinstance(comparison, Vectors):
        others = _unrelated(job, reference, comparison, samples, first, deviation, whole, scratch)
    else:
        others = found["unrelated_sq"][1:]  # of sets it has been measured
    found["unrelated_sq"] = np.concatenate([np.full((1, len(samples)), np.nan), others])
    found["sample"] = np.broadcast_to(np.array(samples), shape)
    found["element"] = np.broadcast_to(np.arange(shape[0])[:, None], shape)
    for some in tiles_of(*shape):
        tile = {name: values[:, some] for name, values in found.items()}
        rows = {name: one_each(values.reshape(-1, *values.shape[2:])) for name, values in tile.items()}
        size = tile["sample"].size
        rows["output"] = np.full(size, reference.task.output, dtype=object)
        yield {name: rows.get(name, np.full(size, None, dtype=object)) for name in OBSERVATIONS.names}


def check_complete(
    folder: Path, records: Sequence[PartRecord], order: Sequence[int], elements: int, outputs: Sequence[str]
) -> None:
    """Assert that every (output, element, sample) is there exactly once."""
    expected = sorted(order)
    for output in outputs:
        samples: list[int] = []
        for record in records:
            with pq.ParquetFile(folder / record.file) as file:
                mine = [_samples_of(tile, elements) for tile in Tiled(file, OBSERVATIONS).read(output, PLACES)]
            found = [] if None in mine else [sample for each in mine for sample in each or ()]
            if len(found) != record.last - record.first + 1:
                raise AssertionError(f"{record.file} does not hold every element of every sample")
            samples += found
        if sorted(samples) != expected:
            raise AssertionError("the parts of a cell do not hold every sample exactly once")


def _samples_of(tile: pa.Table, elements: int) -> list[int] | None:
    """The samples of a tile; None where it does not hold every element of each, element after element."""
    if len(tile) % elements:
        return None
    sample, element = (tile.column(name).to_numpy().reshape(elements, -1) for name in PLACES)
    whole = (sample == sample[0]).all() and (element == np.arange(elements)[:, None]).all()
    return sample[0].tolist() if whole else None


def _record(
    job: Job,
    references: Sequence[Reference],
    order: Sequence[int],
    files: Files,
    controls: Controls,
    scratch: Scratch,
    clock: Clock,
) -> CellRecord:
    taken = scratch.taken(part.first for part in files.parts)
    facts, remarks = facts_of(job, order, taken, controls.taken)
    facts |= clock.facts()
    return CellRecord(
        key=job.cell.key,
        identity=job.cell.identity,
        samples=len(order),
        outputs={r.task.output: describe_output(job, r, order) for r in references},
        size_unit=job.prepared.group.size_unit,
        family=job.prepared.lookup.family or None,
        elements_how=job.prepared.elements.how,
        elements=_elements(job, order),
        parts=files.parts,
        samples_file=files.samples,
        controls_file=files.controls,
        controls=controls.reasons,
        short=controls.short,
        generators=controls.generators,
        sizes=controls.sizes,
        lower_precision=controls.lower,
        findings=controls.findings,
        views_file=files.views,
        gallery_file=files.gallery,
        deviations_file=files.deviations,
        mode=job.checked.mode,
        facts={**job.facts, **facts, **controls.facts, **job.checked.facts},
        remarks=remarks | said_of_mode(job) | ({"group": job.prepared.reduced} if job.prepared.reduced else {}),
        checkpoint=job.checkpoint,
        training=job.curve,
        environment=job.environment,
    )


def _elements(job: Job, order: Sequence[int]) -> list[ElementRecord]:
    """One record per element; where every sample has its own, one per view, with the mean size and no parameters."""
    group, elements = job.prepared.group, job.prepared.elements
    weights = elements.weights.tolist()
    if elements.shared is None:
        sizes = [group.size(g).mean().item() for g in elements.at(order)]
        labels = ["reference", *(f"view {k}" for k in range(1, len(elements)))]
        parameters: list[dict[str, float]] = [{}] * len(elements)
    else:
        sizes, labels = group.size(elements.shared).tolist(), group.labels(elements.shared)
        parameters = group.parameters(elements.shared)
    named_strata = None if elements.shared is None else group.strata(elements.shared)
    strata: Sequence[str | None] = named_strata or [None] * len(elements)
    rows = zip(labels, kinds(job, order), sizes, weights, parameters, strata, strict=True)
    return [
        ElementRecord(element=i, label=label, kind=kind, size=size, weight=weight, parameters=named, stratum=stratum)
        for i, (label, kind, size, weight, named, stratum) in enumerate(rows)
    ]


def _views(job: Job, order: Sequence[int]) -> dict[str, Any]:
    """The columns of some samples' views: which element each was moved by."""
    group, elements = job.prepared.group, job.prepared.elements.at(order)  # (k, n, ...)
    k, n = elements.shape[:2]
    flat = elements.flatten(0, 1)
    return {
        "sample": np.tile(np.array(order), k),
        "element": np.repeat(np.arange(k), n),
        "kind": kinds_of(job, flat),
        "size": group.size(flat).numpy(),
        "label": group.labels(flat),
        "parameters": [list(named.items()) for named in group.parameters(flat)],
    }


def describe_output(job: Job, reference: Reference, order: Sequence[int]) -> dict[str, Any]:
    """What a reader of the observations has to know of an output.

    ``null_limit_sq`` is the mean squared distance below which outputs of different samples cannot be told from
    rounding: (100 r)^2 times the mean square, with r = eps / 4 the typical relative rounding of the dtype. Below it
    there is no equivariance error.
    """
    eps = job.plain.rounding  # a faster mode is only taken where it tells samples apart
    return {
        **reference.task.describe(),
        **({"remark": reference.remark} if reference.remark is not None else {}),
        **named_classes(job, reference),
        **({"others": len(reference.others(job.exact))} if reference.task.looks_around else {}),
        **(
            {"by_place": reference.by_place.describe(reference.by_place.at.counts(order))}
            if reference.by_place
            else {}
        ),
        "mean_square": reference.square,
        "null_limit_sq": (100 * eps / 4) ** 2 * reference.square,
    }
