"""How numbers are written in tables, one function for each scale of a metric."""

from __future__ import annotations

from collections.abc import Callable

from symbench.algebra.metrics.rows import Scale


def percent(value: float) -> str:
    """``98.4`` for 0.984; more digits close to 100, so that 99.96 is not shown as 100."""
    shown = f"{100 * value:.1f}"
    return f"{min(100 * value, 99.99):.2f}" if shown == "100.0" and value < 1 else shown


def scientific(value: float) -> str:
    """Three digits: ``0.402``, ``7.1e-08``."""
    if value == 0:
        return "0"
    return f"{value:.3f}" if 1e-3 <= abs(value) < 1000 else f"{value:.1e}"


def count(value: float) -> str:
    """``23,394``, ``23.2 M``, ``1.1 G``."""
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= limit:
            return f"{value / limit:.3g} {letter}"
    return f"{value:,.0f}"


def seconds(value: float) -> str:
    """``435 µs``, ``1.2 ms``, ``15.7 s``."""
    for limit, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def rate(value: float) -> str:
    """Three digits of a number of any size: ``0.412``, ``57.3``, ``12,300``, ``1.23 M``."""
    if value >= 1e6 or value <= 0:
        return count(value)
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def memory(value: float) -> str:
    """MiB: ``0.25 MiB``, ``57.3 MiB``, ``1.24 GiB``."""
    return f"{value / 1024:.3g} GiB" if value >= 1024 else f"{value:.3g} MiB"


def fraction(value: float) -> str:
    """Three decimals: ``0.914``."""
    return f"{value:.3f}"


WRITTEN: dict[Scale, Callable[[float], str]] = {
    "percent": percent,
    "fraction": fraction,
    "scientific": scientific,
    "count": count,
    "seconds": seconds,
    "rate": rate,
    "memory": memory,
}
"""A number of a scale as text, without its unit."""
