"""Metrics of graphs alone. Where the data are no graphs there is nothing at all."""

from __future__ import annotations

from symbench.algebra.metrics.base import Context, Value


def separated_pairs(seen: Context) -> list[Value]:
    """The share of pairs of non-isomorphic graphs that the model tells apart, over a fixed list of small graphs."""
    return _found(seen, "separated_pairs", "graph_pairs", "pairs of graphs", "expressiveness")


def merged_orbits(seen: Context) -> list[Value]:
    """The share of those graphs of which all drawings are one to the model: what it tells apart counts beside this.

    A constant merges all orbits and separates none, a model that depends on the order of the nodes merges none.
    """
    return _found(seen, "merged_orbits", "graphs", "graphs", "expressiveness")


def separated_regular_pairs(seen: Context) -> list[Value]:
    """The share of pairs of regular graphs that the model tells apart, of which no passing of messages tells any."""
    return _found(seen, "separated_regular_pairs", "regular_pairs", "pairs of regular graphs", "regular graphs")


def _found(seen: Context, share: str, count: str, of: str, control: str) -> list[Value]:
    value, number = seen.facts.get(share), seen.facts.get(count)
    if value is not None and number is not None:
        return [Value(value, reason=f"of {number:.0f} {of}")]
    reason = seen.reasons.get(control)
    return [] if reason is None else [Value(None, reason=reason)]
