"""The samples that break worst, as pictures that the page can carry."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image as Pil

from symbench.base.records import Manifest
from symbench.measure.store import Store
from symbench.read.numbers import percent, scientific

SIDE, SMALL_SIDE = 112, 72
"""Pictures are made no larger than this, in pixels; the smaller one where there are many."""
IN_ALL, EACH = 240, 5
"""Samples on one page, if every cell is to have one, and of one cell; of those that are drawn, half as many."""
VIEWS = {"before": "as it was", "moved": "as moved", "after": "as predicted", "apart": "where they differ"}
"""What the page calls the pictures with outputs over them."""


@dataclass(frozen=True)
class Picture:
    """An image for the page: a data URL, its size in pixels, and whether its pixels are to be seen."""

    url: str
    width: int
    height: int
    coarse: bool


@dataclass(frozen=True)
class Broken:
    """One sample before and after, with what the model said."""

    sample: int
    element: str
    target: str | None
    before: str | None
    after: str | None
    deviation: str
    sure_before: str
    sure_after: str
    right_before: bool | None
    right_after: bool | None
    image_before: Picture | None
    image_after: Picture | None
    shares: list[tuple[str, str]]
    drawn: list[tuple[str, Picture | None]]


@dataclass(frozen=True)
class Wall:
    """The samples of one cell that break worst, the worst first, and how many there were to choose from."""

    model: str
    dataset: str
    symmetry: str
    samples: list[Broken]
    kept: int


def walls(sources: Sequence[tuple[Store, Manifest, dict[str, str]]]) -> list[Wall]:
    """The pictures of every cell that has some.

    Args:
        sources: runs, each with what its models are called on the page.
    """
    tables: dict[tuple[str, str, str], Any] = {}
    for store, manifest, names in sources:
        for cell in (cell for cell in manifest.cells if cell.model in names):
            place = (names[cell.model], cell.dataset, cell.symmetry)
            if cell.status != "failed" and place not in tables and store.cell(cell.key) is not None:
                table = store.gallery(cell.key)
                if table is not None and len(table):
                    tables[place] = table
    four = any(_is_drawn(table) for table in tables.values())
    each = min(EACH, max(1, IN_ALL // (2 if four else 1) // max(len(tables), 1)))
    side = SIDE if each > 1 else SMALL_SIDE
    found = []
    for (model, dataset, symmetry), table in tables.items():
        rows = sorted(table.to_pylist(), key=lambda row: row["rank"])
        found.append(Wall(model, dataset, symmetry, [_broken(row, side) for row in rows[:each]], len(rows)))
    return found


def _broken(row: dict[str, Any], side: int) -> Broken:
    known = row["target"] is not None and row.get("drawn_after") is None  # words alone say little of what is drawn
    return Broken(
        sample=row["sample"],
        element=row["element"],
        target=row["target"],
        before=row["before"],
        after=row["after"],
        deviation=scientific(row["deviation"]),
        sure_before=_sure(row["confidence_before"]),
        sure_after=_sure(row["confidence_after"]),
        right_before=row["before"] == row["target"] if known and row["before"] is not None else None,
        right_after=row["after"] == row["target"] if known and row["after"] is not None else None,
        image_before=picture(row["image_before"], side),
        image_after=picture(row["image_after"], side),
        shares=_shares(row),
        drawn=[
            (said, picture(row[f"drawn_{which}"], side))
            for which, said in VIEWS.items()
            if row.get(f"drawn_{which}") is not None
        ],
    )


def _shares(row: dict[str, Any]) -> list[tuple[str, str]]:
    """How much of a map or a set is right as it is and moved, and how much is as the prediction that moved along."""
    right = [row.get(f"right_{when}") for when in ("before", "after")]
    known = {
        "right": " → ".join(_sure(share) for share in right) if None not in right else "",
        "as moved": _sure(row.get("kept")),
    }
    return [(said, text) for said, text in known.items() if text]


def _is_drawn(table: Any) -> bool:
    """Whether there are pictures with outputs over them; files of older runs have no such columns."""
    name = f"drawn_{next(iter(VIEWS))}"
    return name in table.column_names and table[name].null_count < len(table)


def _sure(confidence: float | None) -> str:
    return "" if confidence is None else f"{percent(confidence)} %"


def picture(data: bytes, side: int = SIDE) -> Picture | None:
    """An image as small as the page needs it; None where it cannot be read."""
    try:
        with Pil.open(BytesIO(data), formats=["PNG"]) as image:
            width, height = image.size
            if max(width, height) <= side:
                image.verify()
                return Picture(_url("png", data), width, height, max(width, height) <= 48)
            small = image.convert("RGBA" if "A" in image.getbands() else "RGB")
            small.thumbnail((side, side))
            buffer = BytesIO()
            small.save(buffer, "WEBP", quality=75)
            return Picture(_url("webp", buffer.getvalue()), *small.size, False)
    except (OSError, ValueError, SyntaxError, Pil.DecompressionBombError):
        return None


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
