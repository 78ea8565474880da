"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from symbench.base.escape import markdown as escape
from symbench.base.records import CompareRecord
from symbench.read.report import pairs
from symbench.read.report.material import Material, letter_of
from symbench.read.report.tables import Board
from symbench.read.studies.sheet import sheet

if TYPE_CHECKING:
    from symbench.read.report.drawing import Drawn


def render(
    material: Material,
    boards: Sequence[Board],
    faults: Sequence[Board],
    costs: Board,
    drawn: Sequence[Drawn],
    comparisons: Sequence[CompareRecord],
) -> str:
    """The page: a board for each symmetry with its figures, costs, and where the numbers come from."""
    environment = Environment(
        loader=PackageLoader("symbench.read", "report"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    environment.filters["md"] = escape
    environment.globals["sheet"] = sheet
    return environment.get_template("report.md.j2").render(
        parts=material.parts, answers=material.answers, boards=boards, faults=faults, costs=costs,
        drawn=[figure for figure in drawn if figure.image],
        comparisons=[pairs.markdown(record, letter_of(number)) for number, record in enumerate(comparisons, 1)],
    )  # fmt: skip
