"""Figures as part of the page: its colours, light or dark, names that the script finds, and nothing from outside."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from symbench.read.report.style import GRID, INK, MUTED, PALETTE, PAPER

COLOURS = {
    **{colour: f"var(--c{i})" for i, colour in enumerate(PALETTE)},
    INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--rule)", PAPER: "var(--figure)",
}  # fmt: skip
_DROPPED = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_COLOUR = re.compile("|".join(COLOURS))


WIDE = 700
"""Figures of more CSS pixels take a whole row of the page."""


class Inliner:
    """Turns figures into elements of one page: no two share an id, and all share their styles."""

    def __init__(self) -> None:
        self.figures = 0
        self.styles: dict[str, str] = {}
        self.needed: set[str] = set()

    def __call__(self, svg: str, alt: str) -> Markup:
        """An SVG of Matplotlib's as an element of the page.

        Args:
            svg: the file's text.
            alt: what it shows.
        """
        prefix = f"f{self.figures}-"
        self.figures += 1
        body = _DROPPED.sub("", svg[svg.index("<svg") :])
        needed = set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", body))
        self.needed = {one or other for one, other in needed}
        body = _TAG.sub(lambda tag: self._tag(tag[0], prefix), body)
        start = body.index(">")
        box = re.search(r'viewBox="([^"]*)"', body[:start])
        corners = box[1] if box else "0 0 360 270"
        wide = float(corners.split()[2]) * 4 / 3  # points to CSS pixels
        kind = "plot wide" if wide > WIDE else "plot"
        opening = f'<svg class="{kind}" role="img" aria-label="{escape(alt)}" style="--wide:{wide:.0f}px"'
        opening += f' viewBox="{corners}"'
        return Markup(opening + re.sub(r">\s+<", ">\n<", body[start:]))

    @property
    def css(self) -> str:
        """The styles of all figures so far."""
        return "\n".join(f".{name}{{{style}}}" for style, name in self.styles.items())

    def _tag(self, tag: str, prefix: str) -> str:
        tag = re.sub(r' id="model:(\d+)"', r' data-model="\1"', tag)
        tag = re.sub(r' id="([^"]*)"', lambda found: self._id(found[1], prefix), tag)
        tag = re.sub(r'(url\(|href=")#', rf"\1#{prefix}", tag)
        tag = _COLOUR.sub(lambda found: COLOURS[found[0]], tag)
        tag = re.sub(r"(\d\.\d\d)\d+", r"\1", re.sub(r"\s*\n\s*", " ", tag))
        return re.sub(r' style="([^"]*)"', self._shared, tag)

    def _id(self, name: str, prefix: str) -> str:
        return f' id="{prefix}{name}"' if name in self.needed else ""

    def _shared(self, style: re.Match[str]) -> str:
        name = self.styles.setdefault(style[1].replace("&quot;", '"'), f"s{len(self.styles)}")
        return f' class="{name}"'
