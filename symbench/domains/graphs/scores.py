"""Metrics of graphs alone."""

from __future__ import annotations

from symbench.algebra.metrics.base import Context, Value


def separated_pairs(seen: Context) -> list[Value]:
    """The share of pairs of non-isomorphic graphs that the model tells apart, over a fixed list of small graphs.

    Nothing at all where the data are no graphs.
    """
    share, pairs = (seen.facts.get(name) for name in ("separated_pairs", "graph_pairs"))
    if share is not None and pairs is not None:
        return [Value(share, reason=f"of {pairs:.0f} pairs of graphs")]
    reason = seen.reasons.get("expressiveness")
    return [] if reason is None else [Value(None, reason=reason)]
