"""Where in a network equivariance is lost: E of named layers, on the control samples and some elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from symbench.algebra.actions.base import KINDS, TrivialAction
from symbench.base.errors import ConfigError, ModelError, Problem
from symbench.domains.common.models.outputs import tensor_of
from symbench.measure.evaluate.job import Job, immovable, kinds
from symbench.measure.evaluate.rows import Columns, outputs_of, pairing, spread, squares, table

MOST_ELEMENTS, MOST_SAMPLES = 8, 64
"""Elements and samples on which layers are compared: their maps are large."""


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


def measure_layers(job: Job, chosen: Sequence[int], tables: list[Columns]) -> str | None:
    """Rows ``layer`` of every named layer; the reason where there are none."""
    if not job.layers:
        return "the model's entry names no layers"
    if job.prepared.elements.shared is None:
        return "every sample has elements of its own"
    samples = chosen[:MOST_SAMPLES]
    if len(samples) < 2:
        return "a single sample has no others"
    module = Probe(job.model.module, list(job.layers))
    model = replace(job.model, module=module, outputs=job.layers, noun="layer")
    probed = replace(job, model=model, runner=None)
    unmoved = outputs_of(probed, samples)
    actions = {}
    for name, field in job.layers.items():
        try:
            actions[name] = job.prepared.action_on(field)
        except ConfigError as error:
            raise ModelError(error.problems) from error
        shape = tuple(unmoved[name].shape[1:])
        reason = immovable(job, actions[name], shape, samples[0])
        if reason is not None:
            got = f"layer {name!r} of shape {shape} cannot be moved as {field}: {reason}"
            raise ModelError(Problem(job.model.name, got))
    for number in spread(_of_the_best_kind(job, samples), MOST_ELEMENTS):
        moved, g = outputs_of(probed, samples, number=number), job.prepared.elements.values[number : number + 1]
        for name, action in actions.items():
            expected = (
                unmoved[name] if isinstance(action, TrivialAction) else action.act(g, unmoved[name].double())[0]
            )
            columns = pairing(
                moved[name], expected, job.comparison_of(job.layers[name], tuple(unmoved[name].shape[1:])), samples
            )
            limit = (100 * probed.rounding / 4) ** 2 * float(squares(expected)["deviation_sq"].mean())
            if not columns["unrelated_sq"].mean() > limit:
                columns["unrelated_sq"] = np.zeros(len(samples))  # other samples are told apart by rounding only
            tables.append(table("layer", name, samples, number, columns))
    return None


def _of_the_best_kind(job: Job, samples: Sequence[int]) -> list[int]:
    """The elements of one kind, permutations where there are any: estimates do not average over kinds."""
    found = kinds(job, samples)[1:]
    best = min(found, key=KINDS.index)
    return [number for number, kind in enumerate(found, start=1) if kind == best]
