"""Reports: estimates in, tables and figures out. Files only: no data set, no model, no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from symbench.algebra.metrics import Metrics, shown_in
from symbench.algebra.metrics.brought import of_manifest
from symbench.base.errors import ConfigError, Problem, near_miss, one_of
from symbench.base.escape import csv_safe
from symbench.base.records import CompareRecord, GateRecord, Manifest
from symbench.measure.store import Store, write_text
from symbench.read.compare import compare
from symbench.read.pairing.runs import Recorded
from symbench.read.report import classes, faults, latex, markdown, pairs, tables
from symbench.read.report import material as materials
from symbench.read.report.material import Material
from symbench.read.report.pieces import with_parted
from symbench.read.studies import answers

if TYPE_CHECKING:
    from symbench.read.report.drawing import Drawn

FORMATS = ("html", "md", "csv", "json", "latex", "png", "svg", "pdf")
SCHEMA_VERSION = 1


def document(store: Store, manifest: Manifest, frame: pd.DataFrame) -> dict[str, Any]:
    """What ``report --json`` prints: strict JSON, null where there is no number."""
    rows = [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]
    cells = [cell.model_dump() for cell in manifest.cells]
    known = {"run": manifest.run, "estimates": rows, "cells": cells}
    from symbench.read.report import speed

    studies = [answer.document() for answer in answers(store, manifest, of_manifest(manifest, store.root))]
    known = {**known, "studies": studies} if studies else known
    passes = {"passes": speed.document(store, manifest)} if manifest.passes else {}
    return {"schema_version": SCHEMA_VERSION, **known, **passes}


def together(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One run's document as it is; those of several in one."""
    return documents[0] if len(documents) == 1 else {"schema_version": SCHEMA_VERSION, "runs": list(documents)}


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
    store: Store,
    manifest: Manifest,
    frame: pd.DataFrame,
    folder: Path,
    formats: Sequence[str] = FORMATS,
    gate: GateRecord | None = None,
) -> list[Path]:
    """Write a run's report into a folder.

    Args:
        store: holds the run's cells.
        manifest: the run.
        frame: its estimates.
        folder: made if need be.
        formats: of :data:`FORMATS`.
        gate: what a gate decided of the run, for the page to show.

    Returns:
        The files, the page to read first.

    Raises:
        ConfigError: an unknown format, or the folder cannot be written.
    """
    return write_several([(store, manifest, frame)], folder, formats, gate=gate)


def write_several(
    runs: Sequence[tuple[Store, Manifest, pd.DataFrame]],
    folder: Path,
    formats: Sequence[str] = FORMATS,
    *,
    gate: GateRecord | None = None,
    metrics: Metrics | None = None,
) -> list[Path]:
    """Write one report of one or several runs; several are compared with the first.

    Args:
        runs: each with its estimates.
        folder: made if need be.
        formats: of :data:`FORMATS`.
        gate: what a gate decided, for the page to show.
        metrics: that may be shown; by default all that there are, and those that the suites bring as code.

    Returns:
        The files, the page to read first.

    Raises:
        ConfigError: an unknown format, or the folder cannot be written.
    """
    check_formats(formats)
    material = materials.of(runs, metrics)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(material, folder, formats, gate)
    except OSError as error:
        raise ConfigError(
            Problem("--output", f"{folder} cannot be written: {error.strerror or error}", "a folder that can")
        ) from error


def compared(material: Material) -> list[CompareRecord]:
    """Every later run, compared with the first."""
    first, *later = [Recorded(part.store, part.manifest) for part in material.parts]
    return [compare(first, other, shown_in("comparison", material.metrics)) for other in later]


def _write(material: Material, folder: Path, formats: Sequence[str], gate: GateRecord | None) -> list[Path]:
    # Here, since the tables that a run prints need no Matplotlib, which takes a second to import.
    from symbench.read.report import drawing, page

    frame = material.frame
    texts: dict[str, str] = {}
    drawn: list[Drawn] = []
    if {"html", *drawing.KINDS} & set(formats):
        drawn = drawing.draw(material, folder, formats)
    comparisons = compared(material) if {"html", "md", "csv"} & set(formats) else []
    costs = tables.costs(frame, material.metrics)
    boards, split = tables.boards(frame, material.metrics), faults.boards(material.shown)
    by_class = classes.boards(material.shown, material.metrics, classes.MAPS)
    boards = with_parted(boards, material.parted)
    if "html" in formats:
        texts["report.html"] = page.render(material, drawn, gate, comparisons)
    if "md" in formats:
        texts["report.md"] = markdown.render(material, boards, [*by_class, *split], costs, drawn, comparisons)
    if "csv" in formats:
        texts["estimates.csv"] = csv_safe(frame).to_csv(index=False)
        for number, record in enumerate(comparisons):
            rows = pd.DataFrame([row.model_dump() for row in pairs.ordered(record)])
            texts[f"comparison-{number}.csv"] = csv_safe(rows).to_csv(index=False)
    if "json" in formats:
        documents = [document(part.store, part.manifest, part.frame) for part in material.parts]
        texts["estimates.json"] = json.dumps(together(documents), allow_nan=False, indent=1) + "\n"
    if "latex" in formats:
        own = {f"{latex.name(board)}.tex": latex.table(board) for board in [*boards, *by_class, *split, costs]}
        texts |= own | {"tables.tex": latex.whole(list(own))}
    for name, text in texts.items():
        write_text(folder / name, text)
    return [*(folder / name for name in texts), *(path for figure in drawn for path in figure.paths)]
