"""Published protocols by name: ``preset: consistency-crops`` stands for a whole symmetry of a suite.

To add one: a row in ``PRESETS``, and in ``tests/test_presets.py`` the protocol again in a few independent lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from symbench.base.errors import Problem, UnknownName, near_miss, one_of, quoted
from symbench.base.registry import Row, Table


@dataclass(frozen=True)
class PresetRow(Row):
    """A protocol in the table.

    Attributes:
        source: who published it, and what is read off.
        keys: the symmetry's keys; called with the numbers in the preset's name.
        open: keys that a suite may set otherwise; all others are the protocol.
    """

    source: str = ""
    keys: Callable[..., Mapping[str, Any]] = dict
    open: tuple[str, ...] = ()


PRESETS = Table("preset", PresetRow, {}, entry_points=False)


OWN = ("preset", "on", "only", "except")
"""Keys that a suite may set beside any preset."""


def expanded(entry: Mapping[str, Any], where: Callable[[str], str]) -> tuple[dict[str, Any], list[Problem]]:
    """A symmetry with its preset's keys filled in.

    Args:
        entry: the symmetry as it stands in the suite, with a ``preset``.
        where: a key of the entry, with file and line.

    Returns:
        The entry, and what is wrong with it.
    """
    name = entry["preset"]
    if not isinstance(name, str):
        return dict(entry), [Problem(where("preset"), f"got {quoted(name)}", f"one of {one_of(PRESETS.names())}")]
    try:
        row, numbers = PRESETS.find(name, where=where("preset"))
    except UnknownName as error:
        return dict(entry), list(error.problems)
    protocol = row.keys(**numbers)
    allowed = (*OWN, *row.open)
    problems = [
        Problem(
            where(key),
            f"preset {name} says what {key} is" if key in protocol else f"got {quoted(key)} beside preset {name}",
            f"one of {one_of(allowed)}",
            near_miss(key, allowed) or "Write the symmetry out to change it.",
        )
        for key in entry
        if key not in allowed
    ]
    return {"on": "image", **protocol, **entry}, problems
