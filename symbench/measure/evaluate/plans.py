"""What every control may cost, size by size: the table that budgets are spent by, in its order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from symbench.algebra.controls import DECLARED, FIXED, LEAVES
from symbench.measure.evaluate.budget import FORWARD, Budget, Plan, Size
from symbench.measure.evaluate.extent import Extent

MOST_ELEMENTS, MOST_SAMPLES = 8, 64
"""Of exactness and layers: enough to tell 1e-7 from 1e-16, and maps of layers are large."""
SPLIT = 4
"""Resampled elements that are split; the model runs four times on a sample for each."""
GEOMETRY, FEW, CONFIRMED = 6, 1, 4
"""Samples on which other sizes are tried in float64 and beforehand; and how many are expected to come that far."""
FOLLOWED = 2
"""Samples that are followed through the model to see in which precision it computes."""
TRIALS = 8
"""Other ways to declare a leaf that are tried, at most."""


def planned(extent: Extent) -> list[Plan]:
    """All controls of a cell, in the order of what they tell."""
    brought = [Plan(name, [Size(n, 0, extent.wide * n)]) for name, n in extent.brought.items()]
    return [*(plan(extent) for plan in PLANS), *brought, *(plan(extent) for plan in EXPLAINING)]


def expected(budget: Budget, extent: Extent) -> int:
    """Samples that controls show the model at least, in whatever dtype: all of them where nothing stops early."""
    plain = {plan.name: plan for plan in planned(replace(extent, wide=1.0))}
    shares = [share for share in budget.shares(planned(extent)).values() if share.sizes and share.plan.certain]
    counts = [plain[s.plan.name].sizes[s.plan.sizes.index(s.sizes[0])].passes for s in shares]
    return round(sum(counts))


def doubled(least: int, begin: int, most: int, limit: int) -> tuple[list[int], int]:
    """Numbers of samples from ``least`` by doubling to ``most``, and the place of the one to begin with.

    Args:
        least: the smallest.
        begin: among them.
        most: the largest.
        limit: as many as there are.
    """
    found = {min(most, limit), min(begin, limit)}
    count = least
    while count < min(most, limit):
        found.add(count)
        count *= 2
    ordered = sorted(found)
    return ordered, ordered.index(min(begin, limit))


def _repeat(extent: Extent) -> Plan:
    """Once; a part of a larger batch is run again where the company that it was in makes a difference."""
    counts, begin = doubled(8, 16, extent.samples, extent.samples)
    return Plan("repeat", [Size(n, 1, n) for n in counts], begin, must=True)


def _rebatch(extent: Extent) -> Plan:
    return replace(_repeat(extent), name="re-batch")


def _precision(extent: Extent) -> Plan:
    counts, begin = doubled(2, 8, extent.samples, extent.samples)
    return Plan("precision", [Size(n, 1, n * extent.wide) for n in counts], begin)


def _exactness(extent: Extent) -> Plan:
    """Two samples under more and more elements, then more samples under all of them."""
    elements, most = min(extent.sharp, MOST_ELEMENTS), min(MOST_SAMPLES, extent.samples)
    if not elements or extent.samples < 2:
        return Plan("exactness", [])
    counts, begin = doubled(2, 4, MOST_SAMPLES, extent.samples)
    shapes = [(2, k) for k in range(1, elements)] + [(n, elements) for n in counts]
    known = min(8, most)  # precision has had these in float64

    def cost(n: int, k: int) -> float:
        return n * k * (1 + extent.wide) + (FOLLOWED + max(0, n - known)) * extent.wide

    return Plan("exactness", [Size(n, k, cost(n, k)) for n, k in shapes], begin + elements - 1)


def _split(extent: Extent) -> Plan:
    elements = min(extent.resampled, SPLIT)
    if not elements or extent.samples < 2:
        return Plan("reference split", [])
    counts, begin = doubled(8, 32, extent.samples, extent.samples)
    shapes = [(counts[0], k) for k in range(1, elements)] + [(n, elements) for n in counts]
    return Plan("reference split", [Size(n, k, 4 * n * k) for n, k in shapes], begin + elements - 1)


def _lie(extent: Extent) -> Plan:
    """By each generator and output the value, differences either way, and the derivative with the value again."""
    if not extent.generators or extent.samples < 2:
        return Plan("Lie derivative", [])
    counts, begin = doubled(2, 8, MOST_SAMPLES, extent.samples)
    each = extent.generators * extent.outputs * (4 + FORWARD) * extent.wide
    return Plan("Lie derivative", [Size(n, extent.generators, n * each) for n in counts], begin)


def _layers(extent: Extent) -> Plan:
    elements = min(extent.alike, MOST_ELEMENTS)
    if not extent.layers or not elements or extent.samples < 2:
        return Plan("layers", [])
    counts, begin = doubled(2, 16, MOST_SAMPLES, extent.samples)
    shapes = [(2, k) for k in range(1, elements)] + [(n, elements) for n in counts]
    return Plan("layers", [Size(n, k, n * (k + 1)) for n, k in shapes], begin + elements - 1)


def _geometry(extent: Extent) -> Plan:
    """Other sizes, the nearest first; those that may be exact in float64 as well."""
    tried, sizes = 0.0, []
    for count, scale in enumerate(extent.scales, start=1):
        tried += 2 * FEW * scale
        confirmed = min(count, CONFIRMED) * 2 * GEOMETRY * extent.wide * scale
        sizes.append(Size(min(GEOMETRY, extent.samples), count, tried + confirmed))
    return Plan("geometry", sizes if extent.samples > 1 and extent.sharp else [], max(len(sizes) - 1, 0))


def _declared(extent: Extent) -> Plan:
    """Some samples under some elements, of which exactness may have run a part; nothing where that has found none."""
    elements = min(extent.sharp or extent.moving, MOST_ELEMENTS)
    if not elements or extent.samples < 2:
        return Plan(DECLARED, [], certain=False)
    counts, begin = doubled(8, 16, MOST_SAMPLES, extent.samples)
    shapes = [(n, min(k, elements)) for n, k in zip(counts, (2, 4, 8, 8, 8), strict=False)]
    shapes += [(counts[-1], elements)] if shapes[-1][1] < elements else []
    return Plan(DECLARED, [Size(n, k, n * k) for n, k in shapes], begin, certain=False)


def _fixed(extent: Extent) -> Plan:
    """Once for each sample, however many elements leave it as it is; and their outputs as they are, for the null."""
    if not extent.subgroups or extent.samples < 2:
        return Plan(FIXED, [], certain=False)
    counts, begin = doubled(4, 8, MOST_SAMPLES, extent.samples)
    return Plan(FIXED, [Size(n, 1, 2 * n * extent.wide) for n in counts], begin, certain=False)


def _leaves(extent: Extent) -> Plan:
    """Every other way to declare a leaf on some samples under two elements, and elements that only permute."""
    elements = min(extent.sharp, 2)
    if not elements or extent.samples < 2:
        return Plan(LEAVES, [], certain=False)
    count = min(16, extent.samples)
    return Plan(LEAVES, [Size(count, elements, count * elements * (TRIALS + 2))], certain=False)


PLANS: Sequence[Callable[[Extent], Plan]] = (
    _repeat, _rebatch, _precision, _exactness, _split, _lie, _layers, _geometry,
)  # fmt: skip
"""The controls of every cell, in the order in which the budget is spent."""
EXPLAINING: Sequence[Callable[[Extent], Plan]] = (_declared, _fixed, _leaves)
"""What is run of what is left when all others have their share: they look where something is to be explained."""
