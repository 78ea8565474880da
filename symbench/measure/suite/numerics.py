"""Where and how a suite's numbers are computed, and how far a faster way of that may be from the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from symbench.base.document import Document
from symbench.base.errors import Problem
from symbench.base.registry import Options
from symbench.measure.suite.devices import Devices

Mode = Literal["exact", "fused", "fast"]


class Tolerance(Options):
    """How far a faster mode may be from exact: what is not said is the mode's own.

    ``changed`` is the share of predictions that may differ, ``deviation`` the largest distance of an output from the
    exact one, in units of the distance between outputs of different samples.
    """

    changed: Annotated[float, Field(ge=0, le=1)] | None = None
    deviation: Annotated[float, Field(gt=0)] | None = None


MODES: dict[Mode, tuple[float, float]] = {"exact": (0.0, 0.0), "fused": (0.01, 0.01), "fast": (0.02, 0.25)}
"""The modes, each slower than the next: the share of predictions that may differ from exact, and the largest
deviation."""


class Numerics(Options):
    """Where and how numbers are computed. Without ``dtype`` every model runs in the dtypes that it came in.

    ``mode: fused`` merges layers and lays images out with their channels last; ``fast`` computes in half precision
    besides. Both are checked against ``exact`` on every cell, which falls back to that beyond the ``tolerance``.
    """

    device: Devices = "auto"
    dtype: Literal["float32", "float64", "bfloat16", "float16"] | None = None
    tf32: bool = False
    deterministic: bool = True
    mode: Mode = "exact"
    tolerance: Tolerance | None = None

    def limits(self, mode: Mode) -> tuple[float, float]:
        """The share of predictions that may change under a mode, and the largest deviation."""
        changed, deviation = MODES[mode]
        own = self.tolerance or Tolerance()
        return (
            changed if own.changed is None else own.changed,
            deviation if own.deviation is None else own.deviation,
        )

    @property
    def modes(self) -> list[Mode]:
        """The mode that is asked for and those that it falls back to, as far as they are checked."""
        return [
            mode
            for mode in reversed(MODES)
            if mode != "exact" and list(MODES).index(mode) <= list(MODES).index(self.mode)
        ]

    def tolerances(self) -> dict[str, list[float]]:
        """The limits of each of these, as plain data."""
        return {mode: list(self.limits(mode)) for mode in self.modes}


def problems_of_numerics(numerics: Numerics, source: Document) -> Iterator[Problem]:
    """What of a suite's numerics cannot go together."""
    if numerics.mode == "fast" and numerics.dtype not in {None, "float32"}:
        yield Problem(
            source.where(("numerics", "mode")),
            f"got 'fast' with dtype {numerics.dtype}",
            "dtype float32, or none: fast computes in half precision",
            "Use mode: fused with this dtype.",
        )
    if numerics.mode == "exact" and numerics.tolerance is not None:
        yield Problem(
            source.where(("numerics", "tolerance")),
            "got a tolerance in mode exact",
            "mode fused or fast",
        )
