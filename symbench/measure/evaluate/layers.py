"""Where in a network equivariance is lost: E of named layers, on the control samples and some elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from symbench.algebra.actions.base import KINDS, Action, TrivialAction
from symbench.base.errors import ConfigError, ModelError, Problem
from symbench.domains.common.models.outputs import tensor_of
from symbench.measure.evaluate.examined import SURE, Examined, joined, relative_error
from symbench.measure.evaluate.job import Job, immovable, kinds
from symbench.measure.evaluate.rows import Columns, Outputs, outputs_of, pairing, spread, table


class Probe(nn.Module):
    """A model whose outputs are those of some of its layers, by name."""

    def __init__(self, module: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.layers = list(layers)

    def forward(self, *arguments: Any, **named: Any) -> dict[str, Tensor]:
        """Run the model once and return what the layers gave out, the last time each was used."""
        seen: dict[str, Any] = {}
        handles = []
        for name in self.layers:

            def keep(module: nn.Module, given: Any, output: Any, name: str = name) -> None:
                del module, given
                value = tensor_of(output)
                seen[name] = value.clone() if isinstance(value, Tensor) else value  # a later layer may write in it

            handles.append(self.module.get_submodule(name).register_forward_hook(keep))
        try:
            self.module(*arguments, **named)
        finally:
            for handle in handles:
                handle.remove()
        return seen


def measure_layers(cell: Examined) -> str | None:
    """Rows ``layer`` of every named layer; the reason where there are none."""
    job = cell.job
    if not job.layers:
        return "the model's entry names no layers"
    if job.prepared.elements.shared is None:
        return "every sample has elements of its own"
    if len(cell.chosen) < 2:
        return "a single sample has no others"
    sizes = cell.sizes("layers")
    module = Probe(job.model.module, list(job.layers))
    model = replace(job.model, module=module, outputs=job.layers, noun="layer")
    probed = replace(job, model=model, runner=None)
    numbers = _of_the_best_kind(job, cell.chosen)
    actions: dict[str, Action] = {}
    unmoved: Outputs = {}
    moved: dict[int, Outputs] = {}
    rows: list[Columns] = []
    for size in sizes:
        more = cell.chosen[len(rows[0]["sample"]) if rows else 0 : size.samples]
        unmoved = joined(unmoved, outputs_of(probed, more))
        actions = actions or _actions(job, unmoved, more[0])
        for number in spread(numbers, size.elements):
            moved[number] = joined(moved.get(number, {}), outputs_of(probed, more, number=number))
        samples = cell.chosen[: size.samples]
        rows = [row for number in moved for row in _rows(probed, actions, unmoved, moved[number], number, samples)]
        if all(_clear(rows, name) for name in actions):
            break
    else:
        cell.unclear("layers", size)
    cell.found.tables += rows
    return None


def _actions(job: Job, unmoved: Outputs, sample: int) -> dict[str, Action]:
    """How every layer moves.

    Raises:
        ModelError: one cannot be moved as the field that it is declared as.
    """
    actions = {}
    for name, field in job.layers.items():
        try:
            actions[name] = job.prepared.action_on(field)
        except ConfigError as error:
            raise ModelError(error.problems) from error
        shape = tuple(unmoved[name].shape[1:])
        reason = immovable(job, actions[name], shape, sample)
        if reason is not None:
            got = f"layer {name!r} of shape {shape} cannot be moved as {field}: {reason}"
            raise ModelError(Problem(job.model.name, got))
    return actions


def _rows(
    job: Job,
    actions: Mapping[str, Action],
    unmoved: Outputs,
    moved: Outputs,
    number: int,
    samples: Sequence[int],
) -> Iterator[Columns]:
    """The rows of one element."""
    g = job.prepared.elements.values[number : number + 1]
    for name, action in actions.items():
        expected = unmoved[name] if isinstance(action, TrivialAction) else action.act(g, unmoved[name].double())[0]
        comparison = job.comparison_of(job.layers[name], tuple(unmoved[name].shape[1:]))
        columns = pairing(moved[name], expected, comparison, samples)
        limit = (100 * job.rounding / 4) ** 2 * float(comparison.square(expected).mean())
        if not columns["unrelated_sq"].mean() > limit:
            columns["unrelated_sq"] = np.zeros(len(samples))  # other samples are told apart by rounding only
        yield table("layer", name, samples, number, columns)


def _clear(rows: Sequence[Columns], layer: str) -> bool:
    """Whether E of a layer is known to a tenth, or not told from nothing."""
    mine = [row for row in rows if row["output"][0] == layer]
    above, below = (
        np.mean([row[name].astype(float) for row in mine], axis=0) for name in ("deviation_sq", "unrelated_sq")
    )
    return not below.mean() > 0 or relative_error(above, below) <= SURE


def _of_the_best_kind(job: Job, samples: Sequence[int]) -> list[int]:
    """The elements of one kind, permutations where there are any: estimates do not average over kinds."""
    found = kinds(job, samples)[1:]
    best = min(found, key=KINDS.index)
    return [number for number, kind in enumerate(found, start=1) if kind == best]
