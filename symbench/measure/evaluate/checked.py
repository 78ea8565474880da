"""What came of a suite's mode for a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from symbench.measure.faster.runner import Way
from symbench.measure.suite.numerics import Mode


@dataclass(frozen=True)
class Checked:
    """What came of the suite's mode for a cell.

    Attributes:
        mode: that it is measured in.
        way: how its runner works; None where the model itself is run.
        remark: how that came, in words.
        facts: of the check.
    """

    mode: Mode = "exact"
    way: Way | None = None
    remark: str | None = None
    facts: Mapping[str, float | None] = field(default_factory=dict)
