"""A budget to a width: chosen for the data that a model is built for, and put into the suite as if written there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from symbench.base.errors import DataError, ModelError, Problem
from symbench.base.events import Note
from symbench.domains.common.models.operations import count_numbers, operations
from symbench.measure import assemble
from symbench.measure.assemble.model import model_description
from symbench.measure.assemble.width import Nearest, is_allowed, limits, search, with_width
from symbench.measure.plan.data import Data
from symbench.measure.plan.draft import Draft
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import content_key
from symbench.measure.suite import ModelEntry

SHARE = 0.05
"""How far from its budget a model may be, as a part of it: what arms of one comparison may differ by."""
LITTLE = 1e8
"""Operations of a pass up to which a model is run rather than counted on the ``meta`` device, for which torch loads
modules for two seconds."""
OPERATIONS = "floating-point operations"
FEW, MANY = 2, 16
"""Samples whose operations are counted where they cannot be without their values: a few, if these are alike."""


def settle_width(draft: Draft, name: str, datasets: Sequence[str]) -> None:
    """Put the width that meets a model's budget into the plan's suite; nothing where it has no budget.

    Args:
        draft: with the model's data loaded.
        name: the model's.
        datasets: those that it is built for, if it is not trained: the width is the same for all of them, or there
            is none. So no cell's key depends on what else is run.

    Raises:
        ModelError: no width comes near enough, or datasets of other shapes want other ones.
        CellError: the model cannot be built, or its data not be read.
    """
    space = draft.workspace
    entry = space.suite.models[name]
    if entry.budget is None:
        return
    found = {dataset: _found(draft, name, dataset) for dataset in _readable(space, name, datasets)}
    widths = {width for width, _ in found.values()}
    if len(widths) > 1:
        each = ", ".join(f"{width} for {dataset}" for dataset, (width, _) in found.items())
        remedy = "Give each dataset an entry of its own with only:, or train the model, which is then built once."
        raise ModelError(Problem(_where(space, name), f"got one budget for several widths: {each}", "one", remedy))
    for width, count in list(found.values())[:1]:
        wanted, unit = _wanted(entry)
        of = entry.swept.of if entry.swept else name
        said = f"{of}: width {width} of a budget of {wanted:,.0f} {unit}: {count:,.0f}"
        if said not in draft.said:  # replicas, and most of what is swept over, have one width
            draft.listen(Note(said))
            draft.said.add(said)
        space.plan = replace(space.plan, suite=with_width(space.suite, name, width))


def _readable(space: Workspace, name: str, datasets: Sequence[str]) -> Iterator[str]:
    """The datasets that can be read; the first alone of a model that is trained, and so built for another one."""
    if space.suite.models[name].train is not None:
        yield datasets[0]
        return
    for dataset in datasets:
        try:
            space.data_for(name, dataset)
        except DataError:
            continue  # building the model for it fails with the reason
        yield dataset


def _found(draft: Draft, name: str, dataset: str) -> tuple[int, float]:
    """The width for a dataset with its count, looked for once for whatever it depends on.

    Raises:
        ModelError: none comes near enough.
    """
    space = draft.workspace
    entry, data = space.suite.models[name], space.data_for(name, dataset)
    shapes, outputs = space.made_for(name, dataset)
    wanted, unit = _wanted(entry)
    preprocessing = [entry.size, entry.channels, entry.mean, entry.std]
    key = content_key(
        [model_description(space.suite, name), wanted, unit, shapes, outputs, preprocessing, data.digest]
    )
    if key not in draft.widths:
        devices = ("cpu",) if unit == OPERATIONS and wanted <= LITTLE else ("meta", "cpu")
        counting = Counting(space, name, shapes, outputs, data, devices)
        nearest = search(counting.at, wanted, *limits(entry))
        chosen = nearest.chosen(wanted)
        if chosen is None:
            raise counting.refused or ModelError(Problem(_where(space, name), "no width can be built"))
        if abs(chosen[1] - wanted) > SHARE * wanted:
            raise ModelError(_missed(_where(space, name), wanted, unit, nearest, chosen[0]))
        draft.widths[key] = chosen
    return draft.widths[key]


def _missed(where: str, wanted: float, unit: str, nearest: Nearest, width: int) -> Problem:
    sides = nearest.sides()
    known = " and ".join(f"width {each} has {count:,.0f}" for each, count in sides)
    which = "" if len(sides) > 1 else ", the narrowest" if nearest.below is None else ", the widest"
    got = f"got {wanted:,.0f} {unit}, from which every width is more than {100 * SHARE:.0f} % away: {known}{which}"
    budgets = " or ".join(f"{count:,.0f}" for _, count in sides)
    return Problem(where, got, None, f"Say a budget of {budgets}, or width: {width} in its place.")


def _wanted(entry: ModelEntry) -> tuple[float, str]:
    """The budget, and what it is one of."""
    budget = entry.budget
    if budget is None:
        raise ValueError("there is no budget")
    return (budget.parameters, "parameters") if budget.parameters else (budget.flops or 0.0, OPERATIONS)


def _where(space: Workspace, name: str) -> str:
    return space.suite.where("models", name, "budget")


@dataclass
class Counting:
    """Counts what a model's budget is one of, at any width.

    On the ``meta`` device, where tensors have shapes and no numbers, a model of any width is built in milliseconds.
    One that looks at numbers while it is built or run is counted on the CPU, and so is little work.

    Attributes:
        space: the plan as far as it is made.
        name: the model's.
        shapes: of its leaves.
        outputs: how many numbers it returns.
        data: what it is built for.
        devices: where it is counted, those before which have failed left out.
        refused: why it could not be built at the last width at which it could not.
    """

    space: Workspace
    name: str
    shapes: dict[str, tuple[int, ...]]
    outputs: int
    data: Data
    devices: tuple[str, ...]
    refused: ModelError | None = None
    known: dict[int, float | None] = field(default_factory=dict)

    def at(self, width: int) -> float | None:
        """The count at a width; None where the model cannot be built, or not be run, at this one."""
        if width not in self.known:
            allowed = is_allowed(self.space.suite.models[self.name], width)
            self.known[width] = self._counted(width) if allowed else None
        return self.known[width]

    def _counted(self, width: int) -> float | None:
        for device in self.devices:
            try:
                found = self._on(device, width)
            except ModelError as error:
                self.refused = error
                continue
            self.devices = self.devices[self.devices.index(device) :]  # what has not worked will not at another width
            return found
        return None

    def _on(self, device: str, width: int) -> float:
        budget, module = self.space.suite.models[self.name].budget, self.built(device, width)
        if budget is not None and budget.flops is not None:
            return self.operations(module, device)
        return count_numbers(module)["trainable_parameters"] or 0.0

    def built(self, device: str, width: int) -> nn.Module:
        """The model at a width.

        Raises:
            ModelError: it cannot be built.
        """
        suite = with_width(self.space.suite, self.name, width)
        with torch.device(device):
            return assemble.build_module(suite, self.name, shapes=self.shapes, outputs=self.outputs)

    def operations(self, module: nn.Module, device: str) -> float:
        """Of one sample's forward pass; the mean over some where these differ, as graphs without padding do.

        Raises:
            ModelError: it cannot be run.
        """
        entry, dataset = self.space.suite.models[self.name], self.data.dataset
        model = assemble.ready(module, entry, self.name, device=device, fields=dataset.fields)
        taken = assemble.inputs_of(entry, self.name, module, dataset.fields) or tuple(self.shapes)
        images = [leaf for leaf in assemble.normalised_leaves(dataset) if leaf in taken]
        counts: list[int] = []
        for leaves in self._samples(taken, device):
            counts.append(operations(model.module, partial(model, leaves, images))[0])
            if device == "meta" or (len(counts) >= FEW and len(set(counts)) == 1):
                break
        return sum(counts) / max(len(counts), 1)

    def _samples(self, taken: Sequence[str], device: str) -> Iterator[dict[str, Tensor]]:
        dataset, size = self.data.dataset, self.space.suite.models[self.name].size
        usable = (index for index in range(len(dataset)) if index not in dataset.unusable)
        for index, _ in zip(usable, range(MANY), strict=False):
            leaves = assemble.reading(partial(dataset.batch, [index], canvas=size), self.data.name).leaves
            yield {
                leaf: leaves[leaf].to(device, torch.get_default_dtype() if leaves[leaf].is_floating_point() else None)
                for leaf in taken
            }
