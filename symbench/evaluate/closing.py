"""Closing a cell: what needs the whole of it is filled in, and the record written."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from symbench.errors import ModelError
from symbench.evaluate.controls import Controls
from symbench.evaluate.job import Job, kinds, load_leaves, pieces, run_model
from symbench.evaluate.reference import Reference
from symbench.evaluate.scratch import Scratch
from symbench.measure import Sums, compared, unrelated
from symbench.models.program import Program
from symbench.records import OBSERVATIONS, CellRecord, ElementRecord, FileRecord, PartRecord
from symbench.store import PART, Store, sha256_file, write_controls, write_part, write_samples, write_views


@dataclass(frozen=True)
class Files:
    """The files of a closed cell, and why a control is not among them."""

    parts: list[PartRecord]
    samples: FileRecord
    views: FileRecord | None
    controls: FileRecord


def close(
    job: Job,
    listed: Sequence[Reference],
    order: Sequence[int],
    parts: Sequence[tuple[int, int]],
    controls: Controls,
    scratch: Scratch,
    store: Store,
) -> None:
    """Fill in what needs the whole cell, write the observations and the record, and drop the scratch files."""
    folder = store.cell_folder(job.cell.key)
    whole = [_unrelated(job, reference, parts, scratch) for reference in listed]
    records = []
    for first, last in parts:
        rows = [
            _rows(job, r, order[first:last], first, pairing[:, first:last], scratch)
            for r, pairing in zip(listed, whole, strict=True)
        ]
        columns = {name: np.concatenate([row[name] for row in rows]) for name in OBSERVATIONS.names}
        path = write_part(folder, first, last - 1, columns)
        records.append(PartRecord(file=path.name, first=first, last=last - 1, sha256=sha256_file(path)))
    check_complete(folder, records, order, len(job.prepared.elements), len(listed))
    samples = write_samples(folder, [_sample_rows(r, order, parts, scratch) for r in listed])
    views = write_views(folder, _views(job, order)) if job.prepared.elements.shared is None else None
    files = Files(records, samples, views, write_controls(folder, controls.rows))
    store.write_cell(_record(job, listed, order, files, controls, scratch))
    shutil.rmtree(scratch.folder)


def _sample_rows(
    reference: Reference, order: Sequence[int], parts: Sequence[tuple[int, int]], scratch: Scratch
) -> dict[str, np.ndarray]:
    """One row per sample: the prediction of the orbit's mean output, null where outputs are no class scores."""
    loaded = [np.load(scratch.pairing(reference.task.output, first)) for first, _ in parts]
    known = all("averaged_prediction" in part for part in loaded)
    averaged = (
        np.concatenate([part["averaged_prediction"] for part in loaded]) if known else np.full(len(order), None)
    )
    return {
        "output": np.full(len(order), reference.task.output, dtype=object),
        "sample": np.array(order),
        "averaged_prediction": averaged,
    }


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
    means = (sums.moved_sum / deviation.shape[1]).to(job.exact)  # (k, d), measured from the mean of b
    blocks = []
    for piece in pieces(deviation.shape[1], PART):
        values = compared(reference.rows(piece.start, piece.stop, job.exact), reference.task)
        offset = reference.mean.to(job.exact)
        if reference.in_place:
            blocks.append(means @ (values - offset).reshape(len(values), -1).T)  # one product for all elements
        else:
            elements = job.prepared.elements.values[1:]
            moved = (
                _centred(reference, g[None], values, offset) @ mean for g, mean in zip(elements, means, strict=True)
            )
            blocks.append(torch.stack(list(moved)))
    expected_dot = torch.cat(blocks, dim=1).cpu()
    result = np.full(deviation.shape, np.nan)
    result[1:] = unrelated(sums, expected_dot, torch.from_numpy(deviation[1:])).numpy()
    return result


def _centred(reference: Reference, g: Tensor, values: Tensor, offset: Tensor) -> Tensor:
    """``g.f(x)`` measured from its mean, ``(n, d)``."""
    return (reference.action.act(g, values)[0] - reference.action.act(g, offset[None])[0]).flatten(1)


def _rows(
    job: Job, reference: Reference, samples: Sequence[int], first: int, pairing: np.ndarray, scratch: Scratch
) -> dict[str, np.ndarray]:
    """One part's rows of one output, element after element."""
    found = dict(np.load(scratch.columns(reference.task.output, first)))
    found["unrelated_sq"] = pairing
    elements, count = pairing.shape
    found["sample"] = np.broadcast_to(np.array(samples), (elements, count))
    found["element"] = np.broadcast_to(np.arange(elements)[:, None], (elements, count))
    rows = {name: values.reshape(-1) for name, values in found.items()}
    rows["output"] = np.full(elements * count, reference.task.output, dtype=object)
    return {name: rows.get(name, np.full(elements * count, None, dtype=object)) for name in OBSERVATIONS.names}


def check_complete(
    folder: Path, records: Sequence[PartRecord], order: Sequence[int], elements: int, outputs: int
) -> None:
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


def _record(
    job: Job,
    listed: Sequence[Reference],
    order: Sequence[int],
    files: Files,
    controls: Controls,
    scratch: Scratch,
) -> CellRecord:
    facts = {
        **job.facts,
        "parameters": count_parameters(job.model.module),
        "flops": count_flops(job, order[:1]),
        "seconds_per_sample": float(
            np.median([np.load(scratch.seconds(part.first))["seconds"] for part in files.parts])
        ),
    }
    return CellRecord(
        key=job.cell.key,
        identity=job.cell.identity,
        samples=len(order),
        outputs={r.task.output: describe_output(job, r) for r in listed},
        size_unit=job.prepared.group.size_unit,
        elements_how=job.prepared.elements.how,
        elements=_elements(job, order),
        parts=files.parts,
        samples_file=files.samples,
        controls_file=files.controls,
        controls=controls.reasons,
        generators=controls.generators,
        sizes=controls.sizes,
        views_file=files.views,
        facts=facts,
        checkpoint=job.checkpoint,
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
    rows = zip(labels, kinds(job, order), sizes, weights, parameters, strict=True)
    return [
        ElementRecord(element=i, label=label, kind=kind, size=size, weight=weight, parameters=named)
        for i, (label, kind, size, weight, named) in enumerate(rows)
    ]


def _views(job: Job, order: Sequence[int]) -> dict[str, Any]:
    """The columns of a cell's views: which element each sample was moved by."""
    group, elements = job.prepared.group, job.prepared.elements.at(order)  # (k, n, ...)
    k, n = elements.shape[:2]
    flat = elements.flatten(0, 1)
    return {
        "sample": np.tile(np.array(order), k),
        "element": np.repeat(np.arange(k), n),
        "kind": job.prepared.actions[job.prepared.on].kinds(flat),
        "size": group.size(flat).numpy(),
        "label": group.labels(flat),
        "parameters": [list(named.items()) for named in group.parameters(flat)],
    }


def describe_output(job: Job, reference: Reference) -> dict[str, Any]:
    """What a reader of the observations has to know of an output.

    ``null_limit_sq`` is the mean squared distance below which outputs of different samples cannot be told from
    rounding: (100 r)^2 times the mean square, with r = eps / 4 the typical relative rounding of the dtype. Below it
    there is no equivariance error.
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
        "mean_square": reference.square,
        "null_limit_sq": (100 * eps / 4) ** 2 * reference.square,
    }


def count_parameters(module: nn.Module) -> float | None:
    """Numbers that can be trained; None of a program that keeps them to itself."""
    count = sum(p.numel() for p in module.parameters())
    return None if count == 0 and isinstance(module, Program) else float(count)


def count_flops(job: Job, sample: Sequence[int]) -> float | None:
    """Floating-point operations of one sample's forward pass, by torch's counter (a multiply-add is two).

    None where the model cannot take a batch of one, or uses nothing that torch can count.
    """
    leaves, _ = load_leaves(job, sample)
    try:
        with torch.inference_mode(mode=False), torch.no_grad(), FlopCounterMode(display=False) as counter:
            run_model(job, {name: x.clone() for name, x in leaves.items()})
    except ModelError:
        return None
    return float(counter.get_total_flops()) or None
