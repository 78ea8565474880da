"""How far a mode that is faster than exact was from it, on what was run both ways."""

from __future__ import annotations

from symbench.algebra.metrics.base import Context, Value


def changed_predictions(seen: Context) -> list[Value]:
    """Share of predictions that differ from mode exact's; nothing of cells that no faster mode was tried on."""
    return _fact(seen, "changed_predictions")


def largest_deviation(seen: Context) -> list[Value]:
    """Largest distance of an output from that of mode exact, over the root mean square distance between samples."""
    return _fact(seen, "largest_deviation")


def _fact(seen: Context, name: str) -> list[Value]:
    said, passes = seen.remarks.get("mode"), seen.facts.get("checked_passes")
    if said is None:
        return []
    return [Value(seen.facts.get(name), n=None if passes is None else int(passes), reason=said)]
