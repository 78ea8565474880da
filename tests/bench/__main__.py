"""What symbench costs, side by side with doing without it, in one run: ``make bench``. Ratios, not seconds, count."""

from __future__ import annotations

from bench import evaluation, gates, loop, memory, modes, report
from bench.table import show


def main() -> None:
    """Print every figure that README or an issue speaks of, with its limit."""
    for part in (evaluation, modes, loop, memory, gates, report):
        show(part.figures())


if __name__ == "__main__":
    main()
