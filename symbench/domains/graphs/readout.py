"""What a network for graphs returns: numbers of the whole graph, or one of each node."""

from __future__ import annotations

from collections.abc import Mapping

from symbench.algebra.fields import Field, Scalar
from symbench.base.errors import ModelError, Problem
from symbench.domains.graphs import NODES


def declared_output(readout: str) -> Mapping[str, Field]:
    """The output by its name, which is that of the readout: ``graph`` or ``nodes``."""
    return {readout: Scalar() if readout == "graph" else Scalar().over(NODES)}


def check_readout(readout: str, outputs: int, nodes: int) -> None:
    """Refuse to return one number of each node where the target is of something else.

    Args:
        readout: ``graph`` or ``nodes``.
        outputs: how many numbers the target of a sample has.
        nodes: what nodes are padded to.

    Raises:
        ModelError: the target is not one number for each node.
    """
    if readout == "nodes" and outputs != nodes:
        got = f"got nodes, and a graph's target is of size {outputs}"
        raise ModelError(Problem("readout", got, f"{nodes}, one number for each node", "Say readout: graph."))
