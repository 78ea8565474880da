"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from symbench.records import Manifest
from symbench.report.tables import Board

if TYPE_CHECKING:
    from symbench.report.figures import Drawn


def escape(text: object) -> str:
    """Text that Markdown and its tables show as it is."""
    flat = " ".join(str(text).split())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", flat)


def render(
    manifest: Manifest, boards: Sequence[Board], faults: Sequence[Board], costs: Board, drawn: Sequence[Drawn]
) -> str:
    """The page: a board for each symmetry with its figures, costs, and where the numbers come from."""
    environment = Environment(
        loader=PackageLoader("symbench", "report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    environment.filters["md"] = escape
    return environment.get_template("report.md.j2").render(
        manifest=manifest, boards=boards, faults=faults, costs=costs, drawn=drawn
    )
