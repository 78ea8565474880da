"""Evaluations whose right answer is known: they give the floor below which a number means nothing.

``repeat``: the same samples again, which has to give the same. ``re-batch``: at another batch size and place.
``precision``: against the same weights in float64. And what E is made of on some permutation elements, in the suite's
dtype and in float64: an exact model's error falls by eight orders of magnitude, a broken one's does not move.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from symbench.errors import ModelError, Problem
from symbench.evaluate.job import Job, load_leaves, pieces, run_model
from symbench.evaluate.reference import Reference
from symbench.measure import Sums, compared, flat, squared_distances, unrelated
from symbench.records import OBSERVATIONS
from symbench.store import PART

MOST_ELEMENTS, MOST_SAMPLES = 8, 64
"""Permutation elements and samples on which E is compared in two precisions: enough to tell 1e-7 from 1e-16."""
REPEATABLE = 1e-2
"""A model whose outputs for one input differ by more than this, in units of the null, is refused: there is nothing
to measure. Rounding on any device stays far below."""

Outputs = dict[str, Tensor]


@dataclass(frozen=True)
class Controls:
    """What the controls of a cell came to.

    Attributes:
        rows: columns of observations.
        reasons: each control, None where it ran.
    """

    rows: dict[str, np.ndarray]
    reasons: dict[str, str | None]


def run_controls(job: Job, listed: Sequence[Reference], order: Sequence[int]) -> Controls:
    """Run all controls on the first samples of the cell's order.

    Raises:
        ModelError: the model is not repeatable, or depends on what else is in the batch.
    """
    chosen = list(order[: job.control_samples])
    first = [compared(_rows_of(r, len(chosen), job), r.task) for r in listed]
    nulls = [_identity_null(values) for values in first]
    collected: list[dict[str, np.ndarray]] = []
    reasons: dict[str, str | None] = {}
    for control, outputs in (("repeat", _run(job, chosen, job.batch)), ("re-batch", _rebatched(job, chosen))):
        reasons[control] = None
        for reference, values, null in zip(listed, first, nulls, strict=True):
            again = compared(outputs[reference.task.output], reference.task)
            collected.append(_rows(control, reference, chosen, values, again))
            _refuse_if_different(job, control, reference, values, again, null)
    exact, reason = _in_float64(job)
    reasons["precision"] = reasons["exactness"] = reason
    if exact is not None:
        try:
            outputs = _run(exact, chosen, job.batch)
            for reference, values in zip(listed, first, strict=True):
                again = compared(outputs[reference.task.output].to(job.exact), reference.task)
                collected.append(_rows("precision", reference, chosen, values, again))
            reasons["exactness"] = _exactness(job, exact, listed, chosen[:MOST_SAMPLES], collected)
        except ModelError as error:
            reasons["precision"] = reasons["exactness"] = f"the model does not run in float64: {error}"
    return Controls(
        {name: np.concatenate([rows[name] for rows in collected]) for name in OBSERVATIONS.names}, reasons
    )


def _rows_of(reference: Reference, count: int, job: Job) -> Tensor:
    """The identity pass's outputs of the first ``count`` samples, which may span parts."""
    found = [reference.rows(start, min(start + PART, count), job.exact) for start in range(0, count, PART)]
    return torch.cat(found)


def _run(job: Job, samples: Sequence[int], batch: int, g: Tensor | None = None) -> Outputs:
    """Outputs for samples, unmoved or moved by one element, ``(n, *output)`` each."""
    kept: dict[str, list[Tensor]] = {}
    for piece in pieces(len(samples), batch):
        leaves, _ = load_leaves(job, samples[piece])
        if g is not None:
            leaves = {name: job.prepared.actions[name].act(g, x)[0] for name, x in leaves.items()}
        for name, value in run_model(job, leaves).items():
            found = kept.setdefault(name, [])
            if found and found[0].shape[1:] != value.shape[1:]:
                shapes = f"{tuple(found[0].shape[1:])} and {tuple(value.shape[1:])}"
                raise ModelError(Problem(job.model.name, f"output {name!r} has shapes {shapes}", "one shape"))
            found.append(value)
    return {name: torch.cat(values) for name, values in kept.items()}


def _rebatched(job: Job, samples: Sequence[int]) -> Outputs:
    """The same samples from last to first, in batches of another size; back in their order."""
    outputs = _run(job, samples[::-1], max(1, min(job.batch, len(samples)) * 2 // 3))
    return {name: values.flip(0) for name, values in outputs.items()}


def _identity_null(values: Tensor) -> float:
    """Mean squared distance between the outputs of different samples, ``(n, *output)``."""
    centred = values.reshape(len(values), -1)
    return float(2 * centred.var(dim=0, correction=1).sum()) if len(values) > 1 else 0.0


def _refuse_if_different(
    job: Job, control: str, reference: Reference, values: Tensor, again: Tensor, null: float
) -> None:
    difference = float(squared_distances(again[None], values[None]).mean())
    size = float(values.reshape(len(values), -1).square().sum(1).mean())
    # a model with almost constant outputs has no null to speak of: then the outputs' own size is the measure
    unit = max(null, (100 * torch.finfo(job.dtype).eps) ** 2 * size)
    if difference <= REPEATABLE**2 * unit or difference == 0:
        return
    share = (difference / unit) ** 0.5 if unit else float("inf")
    what = f"output {reference.task.output!r}"
    got, remedy = {
        "repeat": (f"{what} is another for the same input", "Is dropout active, or random state kept?"),
        "re-batch": (
            f"{what} of a sample depends on its batch",
            "Is a BatchNorm in train mode, or does the model pad to the batch?",
        ),
    }[control]
    got += f" (by {share:.1e} of the distance between samples)"
    raise ModelError(Problem(job.model.name, got, "equal outputs up to rounding", remedy))


def _in_float64(job: Job) -> tuple[Job | None, str | None]:
    """The same job with the weights in float64, or why it cannot be had."""
    if job.device.startswith("mps"):
        return None, "the device has no float64"
    try:
        module = copy.deepcopy(job.model.module).double()
    except Exception as error:  # a user's module may refuse to be copied
        return None, f"the model cannot be copied: {type(error).__name__}: {error}"
    return replace(job, model=replace(job.model, module=module), dtype=torch.float64), None


def _exactness(
    job: Job,
    exact: Job,
    listed: Sequence[Reference],
    samples: Sequence[int],
    collected: list[dict[str, np.ndarray]],
) -> str | None:
    """What E is made of, on some permutation elements, in the suite's dtype and in float64."""
    elements = job.prepared.elements.values
    kinds = job.prepared.actions[job.prepared.on].kinds(elements)
    permutations = [k for k, kind in enumerate(kinds) if kind == "permutation" and k > 0]
    if not permutations:
        return "there are no permutation elements"
    if len(samples) < 2:
        return "a single sample has no others"
    step = max(1, len(permutations) // MOST_ELEMENTS)
    numbers = permutations[::step][:MOST_ELEMENTS]
    for control, each in (("float32", job), ("float64", exact)):
        unmoved = _run(each, samples, each.batch)
        for number in numbers:
            g = elements[number][None]
            moved = _run(each, samples, each.batch, g)
            for reference in listed:
                name = reference.task.output
                b = reference.action.act(g, compared(unmoved[name], reference.task))
                a = compared(moved[name], reference.task)[None]
                collected.append(_pairing_rows(control, reference, samples, number, a, b))
    return None


def _pairing_rows(
    control: str, reference: Reference, samples: Sequence[int], number: int, a: Tensor, b: Tensor
) -> dict[str, np.ndarray]:
    mean = b.double().mean(1)
    deviation = squared_distances(a, b)
    dot = torch.einsum("knd,kd->kn", flat(b.double() - mean[:, None]), flat(a.double() - mean[:, None]).mean(1))
    null = unrelated(Sums.of(a, b, mean), dot, deviation)
    columns = {"deviation_sq": deviation[0].cpu().numpy(), "unrelated_sq": null[0].cpu().numpy()}
    return _table(control, reference, samples, number, columns)


def _rows(
    control: str, reference: Reference, samples: Sequence[int], values: Tensor, again: Tensor
) -> dict[str, np.ndarray]:
    columns = {"deviation_sq": squared_distances(again[None], values[None])[0].cpu().numpy()}
    if reference.task.classify:
        probabilities = again if reference.task.probabilities else again.softmax(-1)
        columns["prediction"] = again.argmax(-1).cpu().numpy()
        columns["confidence"] = probabilities.gather(-1, values.argmax(-1, keepdim=True))[..., 0].cpu().numpy()
    return _table(control, reference, samples, 0, columns)


def _table(
    control: str, reference: Reference, samples: Sequence[int], element: int, columns: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    count = len(samples)
    found: dict[str, np.ndarray] = {
        **columns,
        "control": np.full(count, control, dtype=object),
        "output": np.full(count, reference.task.output, dtype=object),
        "sample": np.array(samples),
        "element": np.full(count, element),
        "valid": np.ones(count, dtype=bool),
    }
    return {name: found.get(name, np.full(count, None, dtype=object)) for name in OBSERVATIONS.names}
