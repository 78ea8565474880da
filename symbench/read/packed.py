"""Records packed into the metadata of a Parquet file."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import TypeVar

from symbench.base.records import Record
from symbench.measure.store import canonical

Kind = TypeVar("Kind", bound=Record)


def packed(records: Iterable[Record]) -> bytes:
    """Records as compressed canonical JSON."""
    return zlib.compress(canonical([record.model_dump(mode="json") for record in records]).encode(), 9)


def unpacked(data: bytes, kind: type[Kind]) -> list[Kind]:
    """Records of one kind, as :func:`packed` wrote them.

    Raises:
        ValueError: they are damaged, or of another kind.
    """
    return [kind.model_validate(each) for each in json.loads(zlib.decompress(data))]
