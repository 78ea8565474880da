"""Records of schema version 1, said in the words of version 2, so that the two can be compared."""

from __future__ import annotations

import re
from typing import Any

from symbench.base.records import CellRecord
from symbench.base.registry import domains

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
    known = fields_of_version_1()
    return {name: (task, known.get(field, field)) for name, (task, field) in record.tasks.items()}


def fields_of_version_1() -> dict[str, str]:
    """The fields that domains had as types of their own before fields were values over places, as they are said
    now."""
    found: dict[str, str] = {}
    for domain in domains():
        found.update(getattr(domain, "FIELDS_OF_VERSION_1", {}))
    return found


def _leaf(text: str) -> str:
    rows = ROWS.fullmatch(text)
    return f"Scalar over {rows[1]}" if rows else fields_of_version_1().get(text, text)
