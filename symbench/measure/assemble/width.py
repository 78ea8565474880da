"""The width of a built-in model whose count comes nearest to a budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from annotated_types import Ge, Le

from symbench.base.errors import ConfigError
from symbench.base.registry import checked_options
from symbench.domains.common.models import MODELS
from symbench.measure.assemble.model import row_of
from symbench.measure.suite import ModelEntry, Suite
from symbench.measure.suite.size import WIDTH

GAP = 64
"""Widths in a row that are tried where a model cannot be built at each: one with 8 heads of even size takes every
16th."""
UNBOUNDED = 1 << 16
"""The widest that is tried of a model that says nothing of how wide it may be."""

GUESSES = 4
"""How often the next width is guessed from the counts on both sides, which meets most budgets, before ranges are
halved, which meets all."""

Side = tuple[int, float]
"""A width and its count."""
Count = Callable[[int], float | None]
"""The count of a model at a width; None where it cannot be built at that one."""


@dataclass(frozen=True)
class Nearest:
    """The widths on both sides of a budget with their counts; None where there is none on that side.

    Attributes:
        below: the widest whose count is less than the budget.
        above: the narrowest whose count is not.
    """

    below: Side | None
    above: Side | None

    def sides(self) -> list[Side]:
        """Those that there are, the narrower one first."""
        return [side for side in (self.below, self.above) if side is not None]

    def chosen(self, budget: float) -> Side | None:
        """The one that comes nearest, the narrower of two that come as near; None where there is neither."""
        return min(self.sides(), key=lambda side: abs(side[1] - budget), default=None)


def with_width(suite: Suite, name: str, width: int) -> Suite:
    """The suite with this width in a model's entry, as if it had been written there."""
    return suite.model_copy(update={"models": {**suite.models, name: suite.models[name].of_width(width)}})


def is_allowed(entry: ModelEntry, width: int) -> bool:
    """Whether a model's options take this width beside the others."""
    row = row_of(entry)
    try:
        return row is not None and bool(checked_options(row.options, {**entry.options, WIDTH: width}, WIDTH))
    except ConfigError:
        return False


def limits(entry: ModelEntry) -> tuple[int, int]:
    """The narrowest and the widest that the options of a model allow."""
    metadata = MODELS.row(entry.use).options.model_fields[WIDTH].metadata
    least = next((int(each.ge) for each in metadata if isinstance(each, Ge)), 1)  # type: ignore[call-overload]
    most = next((int(each.le) for each in metadata if isinstance(each, Le)), UNBOUNDED)  # type: ignore[call-overload]
    return least, most


def search(count: Count, budget: float, least: int, most: int) -> Nearest:
    """The widths on both sides of a budget: by doubling, then by narrowing. Counts have to rise with the width.

    Args:
        count: of a model at a width. It is asked about log2(width) times, and more where many cannot be built.
        budget: what the count is to come near to.
        least: the narrowest that is tried.
        most: the widest.
    """
    below: Side | None = None
    above: Side | None = None
    width = least
    while above is None and width <= most:  # doubling, until a count reaches the budget
        found = _next(count, width, most)
        if found is None:
            break
        if found[1] < budget:
            below, width = found, max(2 * width, found[0] + 1)
        else:
            above = found
    # what can be built at `low` is below the budget, what can at `high` or beyond is above it
    low = below[0] if below else least - 1
    high = above[0] if above else min(width, most + 1)
    steps = 0
    while high - low > 1:
        guess = _between(below, above, budget) if steps < GUESSES else (low + high) // 2
        tried, steps = min(max(guess, low + 1), high - 1), steps + 1
        found = _next(count, tried, high - 1)
        if found is not None and found[1] < budget:
            below, low = found, found[0]
        else:
            above, high = found or above, tried
    return Nearest(below, above)


def _between(below: Side | None, above: Side | None, budget: float) -> int:
    """Where a power of the width that goes through both sides meets the budget; counts are nearly such."""
    if below is None or above is None or not 0 < below[1] < above[1]:
        return ((below or (0, 0.0))[0] + (above or below or (0, 0.0))[0]) // 2
    power = math.log(above[0] / below[0]) / math.log(above[1] / below[1])
    return int(below[0] * (budget / below[1]) ** power)


def _next(count: Count, width: int, most: int) -> Side | None:
    """The narrowest from this width on that can be built, with its count; None where there is none in reach."""
    for tried in range(width, min(width + GAP, most + 1)):
        found = count(tried)
        if found is not None:
            return tried, found
    return None
