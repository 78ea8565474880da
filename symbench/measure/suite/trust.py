"""Which entries of a suite run code of their own, and refusing them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symbench.algebra.groups import GROUPS
from symbench.base.errors import Problem, SuiteError, quoted
from symbench.base.registry import Table
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.models import MODELS
from symbench.measure.suite.entries import Suite


def uses_code(suite: Suite) -> Iterator[tuple[str, str]]:
    """The entries that would run code which is not part of symbench or a library, as (key with line, name)."""
    tables: tuple[tuple[str, str, Table[Any]], ...] = (
        ("datasets", "use", DATASETS),
        ("models", "use", MODELS),
        ("symmetries", "group", GROUPS),
    )
    for kind, key, table in tables:
        for name, entry in getattr(suite, kind).items():
            use = getattr(entry, key)
            known = table.built_in(use)
            if ":" in use or (known[0].runs_code if known else "/" in use):
                yield suite.where(kind, name, key), use
    for name, symmetry in suite.symmetries.items():
        if symmetry.action is not None and (":" in symmetry.action or "/" in symmetry.action):
            yield suite.where("symmetries", name, "action"), symmetry.action
    yield from ((suite.where("metrics"), name) for name in suite.metrics)
    for i, rule in enumerate(suite.gates):
        where = f"gates.{i}.metric" if suite.source is None else suite.source.where(("gates", i, "metric"))
        yield from ((where, name) for name in rule.metric if ":" in name or "/" in name)


def check_code(suite: Suite) -> None:
    """Refuse every entry that would run code beyond symbench's own (``--no-code``).

    Raises:
        SuiteError: with all such entries.
    """
    remedy = "Leave --no-code out if you trust the suite."
    problems = [
        Problem(where, f"got {quoted(use)}, which would run code of its own", "built-in names only", remedy)
        for where, use in uses_code(suite)
    ]
    if problems:
        raise SuiteError(problems)
