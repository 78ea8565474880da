"""What a cell takes, its controls apart: forecasts learn from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds of one cell, in this process and, as far as they were kept, in those that began it.

    Attributes:
        began: when this process took it up.
        earlier: of parts that an earlier run finished.
        controls: of the controls.
    """

    began: float = field(default_factory=time.perf_counter)
    earlier: float = 0.0
    controls: float = 0.0

    @contextmanager
    def controlling(self) -> Iterator[None]:
        """While controls run."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.controls += time.perf_counter() - start

    def facts(self) -> dict[str, float | None]:
        """As a cell's facts, up to now."""
        whole = time.perf_counter() - self.began + self.earlier
        return {"cell_seconds": whole, "control_seconds": self.controls}
