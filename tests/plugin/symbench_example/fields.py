"""What only this package knows: places round a ring, and arrows at them. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from symbench.fields import Places, Value


@dataclass(frozen=True)
class Ring(Places):
    """Places at equal angles round a circle: one axis, like any other."""

    kind: ClassVar[str] = "example.Ring"


@dataclass(frozen=True)
class Arrow(Value):
    """A direction and a length in the plane, ``(2,)``."""

    kind: ClassVar[str] = "example.Arrow"


RING = Ring("ring")
