"""Records of schema version 1, said in the words of version 2, so that the two can be compared."""

from __future__ import annotations

import re
from typing import Any

from symbench.base.records import CellRecord

GRID = "Scalar over the 2-D grid 'image'"
"""What an image's field was called ``Image`` before fields were values over places."""
ROWS = re.compile(r"Nodes\('([^']*)', Scalar\)")


def identity_of(record: CellRecord) -> dict[str, Any]:
    """Everything that a cell's result depends on, as version 2 says it."""
    if record.schema_version > 1:
        return record.identity
    found = dict(record.identity)
    data = dict(found.get("dataset", {}))
    for part in ("fields", "targets"):
        data[part] = {name: _leaf(text) for name, text in data.get(part, {}).items()}
    symmetry = dict(found.get("symmetry", {}))
    symmetry["actions"] = {leaf: [used] for leaf, used in symmetry.get("actions", {}).items()}
    return {**found, "dataset": data, "symmetry": symmetry}


def tasks_of(record: CellRecord) -> dict[str, tuple[str, str]]:
    """The task and field of every output, as version 2 says it.

    Outputs along an axis were compared with those of other samples as wholes, and are now place by place: their E is
    another number, and so theirs is another field here.
    """
    if record.schema_version > 1:
        return record.tasks
    return {name: (task, GRID if field == "Image" else field) for name, (task, field) in record.tasks.items()}


def _leaf(text: str) -> str:
    if text == "Image":
        return GRID
    rows = ROWS.fullmatch(text)
    return f"Scalar over {rows[1]}" if rows else text
