"""Reports: estimates in, tables and figures out. Files only: no data set, no model, no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from symbench.errors import ConfigError, Problem, near_miss, one_of
from symbench.records import Manifest
from symbench.report import faults, figures, tables
from symbench.report.markdown import render
from symbench.store import Store, write_text

FORMATS = ("md", "csv", "json", "png", "svg")
SCHEMA_VERSION = 1


def document(manifest: Manifest, frame: pd.DataFrame) -> dict[str, Any]:
    """What ``report --json`` prints: strict JSON, null where there is no number."""
    rows = [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]
    cells = [cell.model_dump() for cell in manifest.cells]
    return {"schema_version": SCHEMA_VERSION, "run": manifest.run, "estimates": rows, "cells": cells}


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that there is none of.

    Raises:
        ConfigError: with those there are.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(
                Problem("--format", f"got {name!r}", f"one of {one_of(FORMATS)}", near_miss(name, FORMATS))
            )


def write(
    store: Store, manifest: Manifest, frame: pd.DataFrame, folder: Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write a run's report into a folder.

    Args:
        store: holds the run's cells.
        manifest: the run.
        frame: its estimates.
        folder: made if need be.
        formats: of :data:`FORMATS`.

    Returns:
        The files, the page to read first.

    Raises:
        ConfigError: an unknown format, or the folder cannot be written.
    """
    check_formats(formats)
    written: list[Path] = []
    try:
        drawn = []
        images = [name for name in ("svg", "png") if name in formats]
        if images:
            folder.mkdir(parents=True, exist_ok=True)
            drawn = figures.draw(frame, elements(store, manifest), folder, images)
            written += [path for figure in drawn for path in figure.paths]
        if "csv" in formats:
            write_text(folder / "estimates.csv", frame.to_csv(index=False))
            written.append(folder / "estimates.csv")
        if "json" in formats:
            text = json.dumps(document(manifest, frame), allow_nan=False, indent=1)
            write_text(folder / "estimates.json", text + "\n")
            written.append(folder / "estimates.json")
        if "md" in formats:
            page = render(manifest, tables.boards(frame), faults.boards(frame), tables.costs(frame), drawn)
            write_text(folder / "report.md", page)
            written.insert(0, folder / "report.md")
    except OSError as error:
        raise ConfigError(
            Problem("--output", f"{folder} cannot be written: {error.strerror or error}", "a folder that can")
        ) from error
    return written


def elements(store: Store, manifest: Manifest) -> dict[tuple[str, str], pd.DataFrame]:
    """The elements of every symmetry on every dataset, with their parameters as columns."""
    found: dict[tuple[str, str], pd.DataFrame] = {}
    for cell in manifest.cells:
        record = store.cell(cell.key) if cell.status != "failed" else None
        if record is not None and (cell.symmetry, cell.dataset) not in found:
            rows = [{"element": e.label, "kind": e.kind, "size": e.size, **e.parameters} for e in record.elements]
            found[cell.symmetry, cell.dataset] = pd.DataFrame(rows)
    return found
