"""What a model's entry says beside what it is, checked: its width, its embedding, and a symmetry that wraps it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from symbench.algebra.fields import Undeclared
from symbench.base.document import Document, Path_
from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.domains.common.models import MODELS
from symbench.measure.suite.entries import ModelEntry
from symbench.measure.suite.size import WIDTH


def problems_of_budget(entry: ModelEntry, source: Document, place: Path_) -> Iterator[Problem]:
    """The problem of a budget beside a width, or of a model that has none.

    Where there is no problem, the width that stands among the options by default is taken out: it is none of the
    suite's, and nothing may take it for the one that is to be chosen.
    """
    if entry.budget is None:
        return
    where = source.where((*place, "budget"))
    if ":" in entry.use:
        got = "got a budget for code of your own, whose width nobody knows"
        yield Problem(where, got, "a built-in model with a width", "Say under args: what meets it.")
    elif not _has_width(entry.use):
        having = one_of(name for name, row in MODELS.rows.items() if WIDTH in row.options.model_fields)
        yield Problem(where, f"got a budget for {entry.use}, which has no width", f"a model that has one: {having}")
    elif WIDTH in (entry.model_extra or {}):
        yield Problem(where, "got both width and budget", "one of them")
    else:
        entry.options.pop(WIDTH, None)


def _has_width(use: str) -> bool:
    """Whether a model has a width; one that does not exist is left to another check, which speaks of it."""
    try:
        return WIDTH in MODELS.find(use, where=use)[0].options.model_fields
    except ConfigError:
        return True


def problems_of_embedding(
    entry: ModelEntry, datasets: Collection[str], source: Document, place: Path_
) -> Iterator[Problem]:
    """The problem of an embedding of a model that is not made for its data, and of a probe of no dataset."""
    if entry.embedding is not None:
        where = source.where((*place, "embedding"))
        if ":" in entry.use:
            remedy = "Say outputs: {embedding: embedding} of what it returns, and how many they are under args:."
            yield Problem(where, "got embedding for code of your own", "it for a built-in model", remedy)
        elif entry.outputs:
            yield Problem(where, "got both embedding and outputs", "one of them")
        elif not _is_made_to_measure(entry):
            remedy = "Say outputs: {embedding: embedding} if it returns one."
            yield Problem(
                where, f"got embedding for {entry.use}, which is as it comes", "a network such as cnn", remedy
            )
    probe = entry.linear_probe
    if probe is not None and probe.on not in datasets:
        where, expected = source.where((*place, "linear_probe")), f"one of {one_of(datasets)}"
        yield Problem(where, f"got {quoted(probe.on)}", expected, near_miss(probe.on, datasets))


def _is_made_to_measure(entry: ModelEntry) -> bool:
    """Whether a model returns as many numbers as it is asked for, of which nothing else is known."""
    try:
        row = MODELS.find(entry.use, where=entry.use)[0]
    except ConfigError:
        return True
    return row.is_shaped(entry.options) and all(isinstance(field, Undeclared) for field in row.outputs.values())


def problems_of_wrapper(
    entry: ModelEntry, symmetries: Collection[str], source: Document, place: Path_
) -> Iterator[Problem]:
    """The problem of two wrappers at once, or of one by a symmetry that does not exist."""
    given = list(entry.wrappers)
    if len(given) > 1:
        where, remedy = source.where((*place, given[1])), "An entry for each compares them."
        yield Problem(where, f"got both {' and '.join(given)}", "one of them", remedy)
    for key, name in entry.wrappers.items():
        if name not in symmetries:
            expected = f"one of {one_of(symmetries)}"
            yield Problem(source.where((*place, key)), f"got {quoted(name)}", expected, near_miss(name, symmetries))
