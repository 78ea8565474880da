"""pydantic's errors in a reader's words, with file and line."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from symbench.base.document import Document, Path_
from symbench.base.errors import Problem, near_miss, one_of, quoted
from symbench.base.registry import Options
from symbench.measure.suite.compose import short_name
from symbench.measure.suite.controls import Controls
from symbench.measure.suite.entries import NAME, PATTERNS, Suite
from symbench.measure.suite.linear_probe import LinearProbe
from symbench.measure.suite.numerics import Numerics, Tolerance
from symbench.measure.suite.outputs import OutputOf
from symbench.measure.suite.recipe import NESTED
from symbench.measure.suite.rules import Rule
from symbench.measure.suite.select import Selector
from symbench.measure.suite.size import SizeBudget
from symbench.measure.suite.throughput import Throughput

EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "a number below {lt}",
    "less_than_equal": "{le} or less",
    "tuple_type": "a list",
    "too_short": "at least {min_length} of them",
}
"""pydantic's error types in a reader's words; any other type keeps pydantic's message."""
INSIDE = re.compile(r"\[key\]|str|constrained-\w+|(list|tuple|dict|union)\[.*\]")
"""What pydantic puts among keys: which of several types it was about to take a value for."""


def problems_of(error: ValidationError, source: Document, keys: Path_) -> list[Problem]:
    """Every error of a validation, under these keys of the file."""
    problems = [_problem(dict(details), source, keys) for details in error.errors()]
    return list(dict.fromkeys(problems))  # an entry that may be text or a mapping is wrong in two ways at once


def _problem(details: dict[str, Any], source: Document, keys: Path_) -> Problem:
    """One of pydantic's errors as a problem, with the line of the key that it is about."""
    steps = [step for step in details["loc"] if not (isinstance(step, str) and INSIDE.fullmatch(step))]
    path: Path_ = (*keys, *steps)
    kind, got, ctx = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        names = _siblings(path)
        return Problem(
            source.where(path),
            f"got unknown key {quoted(path[-1])}",
            f"one of {one_of(names)}" if names else None,
            near_miss(str(path[-1]), names),
        )
    if kind == "missing":
        return Problem(source.where(path[:-1]), f"{path[-1]} is missing", None, f"Add '{path[-1]}:'.")
    if kind == "literal_error":
        names = [str(n).strip("' ") for n in ctx["expected"].replace(" or ", ", ").split(", ")]
        miss = near_miss(got, names) if isinstance(got, str) else None
        return Problem(
            source.where(path),
            f"got {quoted(got)}",
            f"one of {one_of(names)}" if len(names) > 1 else names[0],
            miss,
        )
    if kind == "string_pattern_mismatch":
        return _unlike(source.where(path), str(got), ctx["pattern"])
    expected = EXPECTED[kind].format(**ctx) if kind in EXPECTED else details["msg"]
    return Problem(source.where(path), f"got {quoted(got)}", expected)


def _unlike(where: str, got: str, pattern: str) -> Problem:
    """Text that does not match, with what it could be instead."""
    expected = PATTERNS.get(pattern, f"a match of {pattern}")
    near = f"Did you mean {short_name(got)!r}?" if pattern == NAME else None
    return Problem(where, f"got {quoted(got)}", expected, near)


def _siblings(path: Path_) -> list[str]:
    """The keys that could stand where the last step of ``path`` does."""
    if len(path) == 1:
        return [name for name in Suite.model_fields if name not in {"folder", "source"}]
    if path[:2] == ("numerics", "tolerance") and len(path) > 2:
        return list(Tolerance.model_fields)
    sections: dict[str, type[Options]] = {"numerics": Numerics, "controls": Controls, "throughput": Throughput}
    if path[0] in sections:
        return list(sections[path[0]].model_fields)
    if path[0] == "gates":
        return list(Rule.model_fields)
    if path[-2] in {"only", "except"}:
        return list(Selector.model_fields)
    if len(path) > 2 and path[-3] == "outputs":
        return list(OutputOf.model_fields)
    nested: dict[str, type[Options]] = {**NESTED, "budget": SizeBudget, "linear_probe": LinearProbe}
    return list(nested[str(path[-2])].model_fields) if path[-2] in nested else []
