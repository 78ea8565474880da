"""Every figure that suits, drawn and written with its data beside it. Matplotlib, no display."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from symbench.base.code import foreign, shortened
from symbench.base.errors import CellError
from symbench.base.escape import csv_safe
from symbench.base.registry import Table
from symbench.measure.store import write_text, written
from symbench.read.report import trainings
from symbench.read.report.figures import FIGURES, FigureRow, in_order
from symbench.read.report.material import Material
from symbench.read.report.scene import Scene
from symbench.read.report.style import STYLE, Sketch
from symbench.read.studies import Answer
from symbench.read.studies.draw import sketch as draw_study

STUDIES, TRAINING = "studies", "training"
"""The sections of the page that answers and curves of training stand in."""
KINDS = ("svg", "png", "pdf")
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None},
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A figure on disk.

    Attributes:
        section: of the page, by its id.
        name: of its files.
        title: its heading.
        alt: what it shows, for those who do not see it.
        svg: itself, for the page.
        image: the file to show, relative to the report; None without one.
        data: what it was drawn from.
        paths: all its files, its data as CSV among them.
    """

    section: str
    name: str
    title: str
    alt: str
    svg: str
    image: str | None
    data: pd.DataFrame
    paths: list[Path]


def draw(material: Material, folder: Path, formats: Sequence[str]) -> list[Drawn]:
    """Draw every figure that suits, and write it in every format with its data beside it.

    Args:
        material: what to draw from.
        folder: where to.
        formats: ``svg``, ``png``, ``pdf`` are written; ``html`` wants the SVG.
    """
    drawn = []
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # names may be in any script
        for section, name, sketch in _every(material):
            wanted = [kind for kind in KINDS if kind in formats or (kind == "svg" and "html" in formats)]
            sketch.figure.draw_without_rendering()
            sketch.figure.set_layout_engine("none")  # laid out once, the same in every format
            images = {kind: _drawn(sketch, kind) for kind in wanted}
            drawn.append(_write(section, name, sketch, images, folder, formats))
    return drawn


def _every(material: Material) -> Iterator[tuple[str, str, Sketch]]:
    """All figures, each with its section and the stem of its files."""
    learning = ((TRAINING, TRAINING, sketch) for sketch in trainings.sketches(material))
    return chain(_of_studies(material.answers), learning, sketches(material.scenes()))


def _of_studies(answers: Sequence[Answer]) -> Iterator[tuple[str, str, Sketch]]:
    """The figures of studies, under their numbers."""
    for number, answer in enumerate(answers):
        for sketch in draw_study(number, answer):
            yield STUDIES, _name("study", *sketch.more), sketch


def _write(
    section: str, name: str, sketch: Sketch, images: Mapping[str, bytes], folder: Path, formats: Sequence[str]
) -> Drawn:
    paths = [folder / f"{name}.{kind}" for kind in images if kind in formats]
    for path in paths:
        with written(path) as temporary:
            temporary.write_bytes(images[path.suffix[1:]])
    shown = [path.name for path in paths if path.suffix != ".pdf"]
    if paths:
        write_text(folder / f"{name}.csv", csv_safe(sketch.data).to_csv(index=False))
        paths.append(folder / f"{name}.csv")
    svg = images.get("svg", b"").decode()
    return Drawn(section, name, sketch.title, sketch.alt, svg, shown[-1] if shown else None, sketch.data, paths)


def _drawn(sketch: Sketch, kind: str) -> bytes:
    buffer = BytesIO()
    sketch.figure.savefig(buffer, format=kind, metadata=METADATA[kind], dpi=150)
    return buffer.getvalue()


def sketches(scenes: Iterable[Scene], table: Table[FigureRow] = FIGURES) -> Iterator[tuple[str, str, Sketch]]:
    """Every figure with its section and the stem of its files, one row of the table after the other.

    Args:
        scenes: what to draw from.
        table: of the figures that there are.
    """
    every = list(scenes)
    for name, row in in_order(table):
        for scene in every:
            if row.suits(scene.family, scene.tasks):
                for sketch in _guarded(name, row, scene):
                    yield row.section, _name(name, scene.symmetry, scene.dataset, *sketch.more), sketch


def _guarded(name: str, row: FigureRow, scene: Scene) -> list[Sketch]:
    """A figure that cannot break the report: where a plug-in's raises, the reason stands in its place."""
    try:
        with foreign(CellError, f"figure {name}", "drawing it"):
            return list(row.load()(replace(scene, over=row.over)))
    except CellError as error:
        reason = str(error)
        figure = Figure(figsize=(5.6, 0.6))
        figure.text(0.01, 0.5, shortened(error), fontsize=8, va="center")
        return [Sketch(f"{name}: {scene.name}", reason, figure, pd.DataFrame({"reason": [reason]}))]


def _name(*parts: object) -> str:
    """The stem of a figure's files, whatever names are made of."""
    return ".".join(re.sub(r"[^\w-]", "_", str(part)) for part in parts)
