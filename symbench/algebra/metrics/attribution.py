"""Whose fault an equivariance error is: the split by the reference action, layers, and infinitely small elements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Context, Value
from symbench.algebra.statistics import Array, Mean, Ratio

DISAGREE = 0.1
"""Relative gap between forward mode and central differences above which the former is not believed."""
BESIDE = 10.0
"""Relative gap from which a percentage says no more than that they have nothing to do with one another."""
ROUNDING = "samples' outputs differ by rounding only"


def model_error(seen: Context) -> list[Value]:
    """The model's share of E: ``f(T_g x) - T_g f(x)`` with the reference action T, over its own null.

    The reason says where it is below the reference's own error, and so not resolved.
    """
    value = _part(seen, "reference")
    if value.estimate is not None and not value.estimate > seen.controls.get("reference", 0.0):
        return [replace(value, reason="not resolved: no more than the reference's own error")]
    return [value]


def split_error(seen: Context) -> list[Value]:
    """E on the samples and elements that are split, all of it: what the shares belong to."""
    return [_part(seen, "total")]


def remainder_error(seen: Context) -> list[Value]:
    """What resampling adds, on the input's and the output's side, in units of E.

    Squares do not add up: see the cross term.
    """
    return [_part(seen, "remainder")]


def cross_term(seen: Context) -> list[Value]:
    """``(total - model - remainder) / null`` of the squares: twice the product of the two shares; in units of E^2."""
    if "total" not in seen.split:
        return [_absent(seen, "reference split")]
    if not seen.split["unrelated"].mean() > seen.null_limit_sq:
        return [Value(None, reason=ROUNDING)]
    cross = seen.split["total"] - seen.split["reference"] - seen.split["remainder"]
    value = Value.of(Ratio(cross, seen.split["unrelated"]))
    return [seen.of_control("reference", value)]


def reference_error(seen: Context) -> list[Value]:
    """The reference action's own error: two equal steps against one, in units of E."""
    return [_part(seen, "two routes")]


def round_trip_consistency(seen: Context) -> list[Value]:
    """Share of predictions that survive being moved there and back. An intuition and no attribution."""
    if "survived" not in seen.split:
        ran = "round trip" in seen.measured
        return [Value(None, reason="no class predictions") if ran else _absent(seen, "reference split")]
    return [seen.of_control("round trip", Value.of(Mean(seen.split["survived"])))]


def _part(seen: Context, name: str) -> Value:
    if name not in seen.split:
        return _absent(seen, "reference split")
    return seen.of_control("reference", _root_of_ratio(seen, seen.split[name], seen.split["unrelated"]))


def _root_of_ratio(seen: Context, above: Array, below: Array) -> Value:
    if not below.mean() > seen.null_limit_sq:
        return Value(None, reason=ROUNDING)
    return Value.of(Ratio(above, below, root=True))


def _absent(seen: Context, control: str) -> Value:
    return Value(None, reason=seen.reasons.get(control, "the control did not run"))


def lie_derivative(seen: Context) -> list[Value]:
    """LEE: ``mean |L_X f|^2 / dim`` for each generator, by forward-mode differentiation.

    The reason holds the gap to central differences; where they disagree there is no value.
    """
    return [_lie(seen, name, rows) for name, rows in seen.lie.items()] or [_absent(seen, "Lie derivative")]


def _lie(seen: Context, name: str, rows: Mapping[str, Array]) -> Value:
    unit = f"per {seen.units[name]}^2"
    if "forward" not in rows:
        return Value(None, element=name, reason=_absent(seen, "Lie derivative").reason, unit=unit)
    gap = _gap(rows)
    if not gap <= DISAGREE:
        dead = not rows["forward"].any()
        off = f"{gap:.0%} off" if gap < BESIDE else "far off"
        why = "derivatives do not pass through the model" if dead else f"forward mode is {off}"
        return Value(None, element=name, reason=f"{why}: central differences stand", unit=unit)
    value = Value.of(Mean(rows["forward"] / rows["dimension"], bounded=False), element=name)
    return replace(value, reason=f"central differences are {gap:.1e} off", unit=unit)


def _gap(rows: Mapping[str, Array]) -> float:
    """Root mean square of the gap, relative to central differences; 0 where all is 0."""
    gap, size = float(rows["gap"].mean()), float(rows["central"].mean())
    return math.sqrt(gap / size) if size > 0 else 0.0 if gap == 0 else math.inf


def lie_derivative_central(seen: Context) -> list[Value]:
    """The same by central differences."""
    found = []
    for name, rows in seen.lie.items():
        value = Value.of(Mean(rows["central"] / rows["dimension"], bounded=False), element=name)
        found.append(replace(value, unit=f"per {seen.units[name]}^2"))
    return found or [_absent(seen, "Lie derivative")]


def lie_slope(seen: Context) -> list[Value]:
    """The root of ``mean |L_X f|^2`` over E's null: the slope of E at 0, per radian or pixel, for each generator."""
    found = []
    for name, rows in seen.lie.items():
        believed = "forward" in rows and _gap(rows) <= DISAGREE
        value = _root_of_ratio(seen, rows["forward" if believed else "central"], rows["unrelated"])
        reason = value.reason or (None if believed else "by central differences")
        found.append(replace(value, element=name, reason=reason, unit=f"E per {seen.units[name]}"))
    return found or [_absent(seen, "Lie derivative")]


def layer_error(seen: Context) -> list[Value]:
    """E of every layer that the suite names, on the control samples and some elements."""
    found = []
    for name, rows in seen.layers.items():
        null = float(np.mean(rows["unrelated"]))
        if not null > 0:
            found.append(Value(None, output=name, reason=ROUNDING))
            continue
        value = Value.of(Ratio(rows["deviation"].mean(axis=0), rows["unrelated"].mean(axis=0), root=True))
        found.append(seen.of_control("layer", replace(value, output=name)))
    return found or [_absent(seen, "layers")]
