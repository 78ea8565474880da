"""What can be done with points of space: they can be looked at."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from symbench.algebra.fields import mask_of
from symbench.domains.common.handling import Handling

INCHES, DOTS = 1.0, 224
"""The side of a picture, and its pixels."""
MOST_BONDS, NEAR = 40, 1.25
"""Lines are drawn among so few points, where they are nearer than so many times the median nearest distance."""
VIEW = np.array([[0.866, -0.5, 0.0], [0.211, 0.365, 0.907], [0.453, 0.785, -0.422]])
"""To the right, up and away from who looks: from above, beside the x axis."""
COLOURS = {
    1: "#c9ced6",
    6: "#6b7280",
    7: "#3b6fd4",
    8: "#d6453d",
    9: "#4fb36a",
    15: "#e08a2e",
    16: "#d9b92c",
    17: "#3fa34d",
}
"""Of chemical elements, as they are usually drawn."""
OTHERS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LINE = "#737980"


class Structure(Handling):
    """Points ``(m, 3)``, drawn in an orthographic projection about their centroid; the nearer ones are larger.

    Moved points are seen by the same eye, at the same scale: that of the farthest point from the centroid.
    """

    noun = "points"
    pictured = True

    def rendered(self, sample: Tensor, beside: Mapping[str, Tensor] | None = None) -> bytes | None:
        """A picture on no ground; None unless there are points of space. ``species`` beside them colour them."""
        if sample.ndim != 2 or sample.shape[1] != 3:
            return None
        known = {name: leaf.detach().cpu().numpy() for name, leaf in (beside or {}).items()}
        points = sample.detach().double().cpu().numpy()
        real = next((leaf.astype(bool) for name, leaf in known.items() if _is_mask(name, leaf, len(points))), None)
        real = np.ones(len(points), dtype=bool) if real is None else real
        species = known.get("species")
        if not real.any() or not np.isfinite(points[real]).all():
            return None
        colours = coloured(len(points), None if species is None or species.shape != real.shape else species)
        return drawn(points[real], [c for c, keep in zip(colours, real, strict=True) if keep], known.get("cell"))


def _is_mask(name: str, leaf: np.ndarray, count: int) -> bool:
    return name.endswith(mask_of("")) and leaf.shape == (count,)


def coloured(count: int, species: np.ndarray | None) -> list[Any]:
    """A colour for each point: by its species; else by its number, so that moved points are found again."""
    if species is not None:
        return [COLOURS.get(int(z), OTHERS[int(z) % len(OTHERS)]) for z in species]
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.1, 0.95, count)))


def drawn(points: np.ndarray, colours: list[Any], cell: np.ndarray | None = None) -> bytes:
    """Points ``(m, 3)``, and the edges of their cell where it has three vectors, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    edges = _edges(cell) if cell is not None and cell.shape == (3, 3) and cell.any() else np.zeros((0, 2, 3))
    centre = points.mean(0)
    flat, lines = (points - centre) @ VIEW.T, (edges - centre) @ VIEW.T
    reach = max(float(np.linalg.norm(points - centre, axis=1).max()), float(np.abs(lines).max(initial=0.0)), 1e-9)
    figure = Figure(figsize=(INCHES, INCHES), dpi=DOTS / INCHES)
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-1.15 * reach, 1.15 * reach)
    axes.set_ylim(-1.15 * reach, 1.15 * reach)
    for start, end in [*lines[:, :, :2], *(flat[list(pair), :2] for pair in bonds(points))]:
        axes.plot(*zip(start, end, strict=True), color=LINE, linewidth=0.6, zorder=1)
    order = np.argsort(-flat[:, 2])  # the farthest first
    nearness = 1 - 0.3 * flat[order, 2] / reach
    size = min(60.0, 400.0 / len(points)) * nearness**2
    axes.scatter(
        flat[order, 0],
        flat[order, 1],
        s=size,
        c=[colours[i] for i in order],
        edgecolors=LINE,
        linewidths=0.35,
        zorder=2,
    )
    file = io.BytesIO()
    figure.savefig(file, format="png", transparent=True, metadata={"Software": None})
    return file.getvalue()


def bonds(points: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of neighbours among few points; none among many."""
    if not 2 <= len(points) <= MOST_BONDS:
        return []
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    near = NEAR * np.median(apart.min(axis=1))
    return [(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(apart <= near)), strict=True)]


def _edges(cell: np.ndarray) -> np.ndarray:
    """The 12 edges of a cell whose rows are its vectors, ``(12, 2, 3)``."""
    found = []
    for along in range(3):
        one, two = (each for each in range(3) if each != along)
        for a in (0, 1):
            for b in (0, 1):
                start = a * cell[one] + b * cell[two]
                found.append((start, start + cell[along]))
    return np.array(found, dtype=np.float64)
