"""A figure for the plug-in's own group."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure

from symbench.read.report.scene import Scene
from symbench.read.report.style import Sketch


def spinning(scene: Scene) -> Iterator[Sketch]:
    """How many estimates there are of spins."""
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, f"{len(scene.at_elements)} estimates")
    yield Sketch(f"Spins of {scene.name}", "How many estimates there are.", figure, scene.at_elements)


def turning(scene: Scene) -> Iterator[Sketch]:
    """The same of rotors."""
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, f"{len(scene.at_elements)} estimates of rotors")
    yield Sketch(f"Rotors of {scene.name}", "How many estimates there are.", figure, scene.at_elements)
