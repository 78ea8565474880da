"""Throughput passes in a results folder: each a file of its own, beside others of the same key."""

from __future__ import annotations

import json
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from symbench.base.errors import ConfigError, Problem, quoted
from symbench.base.passes import PassRecord
from symbench.measure.store.files import content_key, is_sealed, sealed, write_text

FILE = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\.json"
"""What a pass's file is called: its second, and the microsecond with what tells apart those of one."""


def folder_of(root: Path, key: str) -> Path:
    """Where the passes of a key are: ``throughput/<key[:2]>/<key>``."""
    return root / "throughput" / key[:2] / key


def write_pass(root: Path, record: PassRecord) -> str:
    """Write a pass; the name of its file."""
    now = datetime.now(UTC)
    name = (
        f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond:05x}{secrets.token_hex(2)[:3]}.json"  # in order within a second too
    )
    write_text(folder_of(root, record.key) / name, sealed(record))
    return name


def files_of_passes(root: Path, key: str) -> list[str]:
    """The files of a key's passes, the oldest first."""
    folder = folder_of(root, key)
    return sorted(path.name for path in folder.glob("*.json") if re.fullmatch(FILE, path.name))


def read_pass(root: Path, key: str, file: str) -> PassRecord:
    """A pass, checked against its digest and its key.

    Raises:
        ConfigError: it is missing, altered, of another key, or of a later version.
    """
    remedy = "Run the suite with --passes to time its models again."
    if not (re.fullmatch(r"[0-9a-f]{64}", key) and re.fullmatch(FILE, file)):
        raise ConfigError(Problem(quoted(file), "is no name of a throughput pass", "TIME-ID.json", remedy))
    path = folder_of(root, key) / file
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error}", "a throughput pass", remedy)) from error
    try:
        record = PassRecord.model_validate(data)
    except ValidationError as error:
        got = f"is no throughput pass: {error.errors()[0]['msg']}"
        raise ConfigError(Problem(str(path), got, "schema_version 1", remedy)) from error
    if not is_sealed(data) or record.key != key or content_key(record.identity) != key:
        raise ConfigError(Problem(str(path), "is not what was written", "a throughput pass", remedy))
    return record
