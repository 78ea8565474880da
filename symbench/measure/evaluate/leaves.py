"""Are the inputs declared as what they are? A leaf that stays where it is and should have moved breaks any model.

A crystal's cell that is declared as numbers is not turned with its atoms; a mask along an axis of another name is not
permuted with them. So where a model is broken, it is shown the same elements with one leaf moved in another way, and
where its error then vanishes, that is said. Also whether it is exact at those elements that only exchange and negate
axes, and broken at others of their kind: then it treats the axes as special.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from torch import Tensor

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.algebra.controls import DECLARED, LEAVES
from symbench.algebra.fields import Axis, Field, Over
from symbench.base.errors import CellError, ConfigError
from symbench.base.records import FindingRecord
from symbench.measure.evaluate.alternatives import other_kinds
from symbench.measure.evaluate.declared import Trial, pairs_of
from symbench.measure.evaluate.exactness import deviates, sharp_in_shape
from symbench.measure.evaluate.examined import Examined
from symbench.measure.evaluate.fitted import Pair, by
from symbench.measure.evaluate.job import kinds
from symbench.measure.evaluate.plans import TRIALS
from symbench.measure.evaluate.rows import Leaves, Outputs, as_compared, outputs_of, pairing, spread

ALIGNED = 4
"""Elements that only exchange and negate axes, under which a broken model is looked at: of every piece of a group."""
SPECIAL = (
    "it is exact at elements that only exchange and negate axes, and broken at others, as if the axes were special: "
    "something is done to each component by itself, or a grid stands behind it"
)
"""What is said of an output that is exact at these alone."""


@dataclass(frozen=True)
class Other:
    """Another way to declare a leaf.

    Attributes:
        leaf: its name.
        name: of the other way, in the cell's record.
        action: how it would move.
        words: what would have to be so.
    """

    leaf: str
    name: str
    action: Action
    words: str


def declared_leaves(cell: Examined) -> str | None:
    """A finding where the model is broken: does another way to declare a leaf mend it? Else why none is sought."""
    if not deviates(cell.found.tables, cell.references):
        return "nothing is to be explained: the model is exact, or nothing is known"
    if any(each.control == DECLARED and each.words for each in cell.found.findings):
        return "what moves otherwise is an output"
    (size,) = cell.sizes(LEAVES)[-1:]
    numbers = spread(sharp_in_shape(cell.job, cell.chosen), size.elements)
    trials = [_trial(cell, number, numbers, size.samples) for number in range(len(cell.references))]
    missing = [each for each in trials if each is not None and each.misses]
    if not missing:
        return "the model misses by little"
    errors = [{"declared": each.error} for each in missing]
    mended = None
    for other in islice(others(cell), TRIALS):
        found = _with(cell, other, numbers, missing)
        for known, each in zip(errors, found or (), strict=found is not None):
            known[other.name] = each.error
        mended = other.words if mended is None and found and all(each.exact for each in found) else mended
    said = [mended] * len(missing) if mended is not None else _by_components(cell, missing, errors)
    for trial, words, known in zip(missing, said, errors, strict=True):
        record = FindingRecord(
            control=LEAVES, output=trial.reference.task.output, words=words, numbers=known,
            samples=size.samples, elements=len(numbers),
        )  # fmt: skip
        cell.found.findings.append(record)
    return None


def _trial(cell: Examined, number: int, elements: Sequence[int], count: int) -> Trial | None:
    return Trial.of(cell, number, pairs_of(cell, cell.references[number], elements, count), count)


def others(cell: Examined) -> Iterator[Other]:
    """Other ways to declare the leaves that the model takes, those first that stay where they are."""
    prepared, known = cell.job.prepared, cell.job.dataset.fields
    shapes = cell.job.dataset.shapes(canvas=cell.job.canvas)
    still = [name for name in cell.job.takes if isinstance(prepared.actions[name], TrivialAction)]
    for name in still:
        yield from _along(cell, name, known[name], shapes[name])
    for name in still:
        yield from _as_kinds(cell, name, known[name], shapes[name])
    if any(isinstance(reference.action, TrivialAction) for reference in cell.references):
        return  # whatever is left where it is leaves outputs where they are: that would mend any model
    for name in (each for each in cell.job.takes if each not in still):
        words = f"E vanishes if {name!r} is left alone: it is declared as {known[name]}"
        yield Other(name, f"{name} left alone", TrivialAction(), words)
        yield from _as_kinds(cell, name, known[name], shapes[name])


def _along(cell: Examined, name: str, field: Field, shape: tuple[int, ...]) -> Iterator[Other]:
    """Along the places that move, where a leaf has an axis of their number under another name."""
    prepared = cell.job.prepared
    moved = prepared.lookup.moved
    wanted = dict(prepared.on_field.lengths(cell.job.dataset.shapes(canvas=cell.job.canvas)[prepared.on])).get(moved)
    lengths = field.lengths(shape) or [("", shape[0] if shape else None)]
    for number, (axis, length) in enumerate(lengths):
        if moved and length == wanted and axis != moved:
            places = list(field.places) or [Axis(moved)]
            places[number] = Axis(moved)
            action = _acting(cell, Over(field.value, tuple(places)), shape)
            along = f"along {axis!r}" if axis else f"as {field}"
            if action is not None:
                words = f"E vanishes if {name!r} moves along {moved!r}: it is declared {along}"
                yield Other(name, f"{name} along {moved}", action, words)


def _acting(cell: Examined, field: Field, shape: tuple[int, ...]) -> Action | None:
    try:
        action = cell.job.prepared.action_on(field)
    except ConfigError:
        return None
    return action if action.check(shape) is None and not isinstance(action, TrivialAction) else None


def _as_kinds(cell: Examined, name: str, field: Field, shape: tuple[int, ...]) -> Iterator[Other]:
    for kind, action in other_kinds(cell.job.prepared, field, shape):
        words = f"E vanishes if {name!r} is a {kind}: it is declared as {field}"
        yield Other(name, f"{name} as {kind}", action, words)


def _with(cell: Examined, other: Other, numbers: Sequence[int], missing: Sequence[Trial]) -> list[Trial] | None:
    """The outputs with a leaf declared otherwise."""
    count, found = len(missing[0].deviation), []
    try:
        moved = [_outputs(cell, number, count, other) for number in numbers]
    except CellError:  # the model does not take what it would be shown then
        return None
    for trial in missing:
        task = trial.reference.task
        both = zip(trial.pairs, moved, strict=True)
        pairs = [replace(pair, moved=as_compared(each, task).double()) for pair, each in both]
        found.append(replace(trial, pairs=pairs, deviation=_deviation(cell, trial, pairs, count)))
    return found


def _deviation(cell: Examined, trial: Trial, pairs: Sequence[Pair], count: int) -> np.ndarray:
    reference, samples = trial.reference, cell.chosen[:count]
    return np.mean(
        [
            pairing(pair.moved, by(reference.action)(pair), reference.comparison, samples)["deviation_sq"]
            for pair in pairs
        ],
        axis=0,
    )


def _outputs(cell: Examined, number: int, count: int, other: Other) -> Outputs:
    """Of the first samples under an element, one leaf moved in another way."""
    prepared = cell.job.prepared

    def change(leaves: Leaves, samples: Sequence[int]) -> Leaves:
        g = prepared.from_reference(prepared.elements.at(samples))[number : number + 1]
        actions = {**prepared.actions, other.leaf: other.action}
        return {name: actions[name].act(g, x)[0] for name, x in leaves.items()}

    return outputs_of(cell.job, cell.chosen[:count], change=change)


def _by_components(cell: Examined, missing: Sequence[Trial], errors: Sequence[dict[str, float]]) -> list[str | None]:
    """For each output whether it is exact at elements that only exchange and negate axes, and broken at others.

    The others have nothing that the first leave out: a model that is broken by translations is exact at both.
    """
    job = cell.job
    nothing: list[str | None] = [None] * len(missing)
    if "exact" not in kinds(job, cell.chosen)[1:] or job.prepared.elements.shared is None:
        return nothing
    chosen = _aligned(cell, missing)
    if chosen is None:
        return nothing
    some, others_ = chosen
    aligned = _under(cell, missing, some)
    for known, each in zip(errors, aligned, strict=True):
        known["at elements that exchange and negate axes"] = each.error
    if not any(each.exact for each in aligned):
        return nothing
    generic = _under(cell, missing, others_)
    for known, each in zip(errors, generic, strict=True):
        known["at others of their kind"] = each.error
    return [SPECIAL if a.exact and g.misses else None for a, g in zip(aligned, generic, strict=True)]


def _under(cell: Examined, missing: Sequence[Trial], elements: Tensor) -> list[Trial]:
    """The outputs under any elements ``(k, ...)``."""
    count, found = len(missing[0].deviation), []
    outputs = [_by(cell, g[None], count) for g in elements]
    for trial in missing:
        moved = [as_compared(each, trial.reference.task).double() for each in outputs]
        pairs = [replace(trial.pairs[0], g=g[None], moved=each) for g, each in zip(elements, moved, strict=True)]
        found.append(replace(trial, pairs=pairs, deviation=_deviation(cell, trial, pairs, count)))
    return found


def _aligned(cell: Examined, missing: Sequence[Trial]) -> tuple[Tensor, Tensor] | None:
    """Some elements under which leaves and outputs only exchange and negate numbers, and others of their kind.

    None where few are known, or where all of their kind are such.
    """
    prepared = cell.job.prepared
    actions = [prepared.actions[name] for name in cell.job.takes] + [each.reference.action for each in missing]
    drawn = prepared.elements.values[spread(sharp_in_shape(cell.job, cell.chosen), ALIGNED)]
    for elements in prepared.subgroups:
        others_ = prepared.group.confined(drawn, elements)
        if len(elements) > ALIGNED and _bitwise(actions, elements) and not _bitwise(actions, others_):
            pieces = prepared.group.strata(elements) or [""] * len(elements)
            numbers = [[i for i in range(1, len(elements)) if pieces[i] == piece] for piece in dict.fromkeys(pieces)]
            chosen = [i for each in numbers for i in spread(each, max(2, ALIGNED // len(numbers)))]
            return elements[chosen], others_
    return None


def _bitwise(actions: Sequence[Action], elements: Tensor) -> bool:
    return all(kind == "permutation" for action in actions for kind in action.kinds(elements))


def _by(cell: Examined, g: Tensor, count: int) -> Outputs:
    """Of the first samples under any element ``(1, ...)``."""

    def change(leaves: Leaves, samples: Sequence[int]) -> Leaves:
        del samples
        return {name: cell.job.prepared.actions[name].act(g, x)[0] for name, x in leaves.items()}

    return outputs_of(cell.job, cell.chosen[:count], change=change)
