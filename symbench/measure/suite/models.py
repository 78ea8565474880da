"""What a model's entry says beside what it is, checked: a budget for its width, and a symmetry that wraps it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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
