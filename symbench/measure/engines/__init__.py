"""Engines: where the cells of a plan are measured. They differ in no result.

To add one: write a class with the one method of :class:`~symbench.measure.engines.base.Engine`, and add a row to
``ENGINES``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbench.base.registry import Row, Table

if TYPE_CHECKING:
    from symbench.measure.engines.base import Engine

ENGINES: Table[Row] = Table(
    "engine",
    Row,
    {
        "local": Row("symbench.measure.engines.local:LocalEngine", "this process, one device, cell after cell"),
        "devices": Row("symbench.measure.engines.devices:DevicesEngine", "a process for each device, side by side"),
    },
    entry_points=False,
)


def usual(devices: int) -> str:
    """The engine for so many devices, where none was named."""
    return "devices" if devices > 1 else "local"


def load(name: str, where: str = "engine") -> Engine:
    """The engine called ``name``.

    Raises:
        UnknownName: there is none, with the near miss.
    """
    row, _ = ENGINES.find(name, where=where)
    engine: Engine = row.load()()
    return engine
