"""Published protocols by name: ``preset: consistency-crops`` stands for a whole symmetry of a suite.

To add one: a row in ``PRESETS``, and in ``tests/test_presets.py`` the protocol again in a few independent lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from symbench.errors import Problem, UnknownName, near_miss, one_of, quoted
from symbench.registry import Row, Table


@dataclass(frozen=True)
class PresetRow(Row):
    """A protocol in the table.

    Attributes:
        source: who published it, and what is read off.
        keys: the symmetry's keys; called with the numbers in the preset's name.
        open: keys that a suite may set otherwise; all others are the protocol.
    """

    source: str = ""
    keys: Callable[..., Mapping[str, Any]] = dict
    open: tuple[str, ...] = ()


def _pairs(**keys: Any) -> dict[str, Any]:
    """Two random views of every image, compared with one another."""
    return {"group": "translations", "draw": "per-sample", "reference": "drawn", "elements": 1, **keys}


PRESETS = Table(
    "preset",
    PresetRow,
    {
        "c4": PresetRow("", "quarter turns, bit for bit", keys=lambda: {"group": "C4"}),
        "d4": PresetRow("", "quarter turns and mirrors, bit for bit", keys=lambda: {"group": "D4"}),
        "so2-<k>": PresetRow(
            "",
            "k rotations besides 0, evenly spaced, bilinear, seen through a soft disc",
            keys=lambda k: {"group": "SO2", "elements": k, "interpolation": "bilinear", "border": "disc"},
            open=("interpolation",),
        ),
        "roll-<k>": PresetRow(
            "",
            "two random circular shifts of at most k px: consistency",
            source="Chaman & Dokmanic 2021, Truly shift-invariant convolutional neural networks",
            keys=lambda k: _pairs(reach=k, border="circular"),
            aliases=("chaman", "circular-shifts"),
        ),
        "consistency-crops": PresetRow(
            "",
            "two random crops with offsets 0 to 31 px of a canvas 32 px larger: consistency",
            source="Zhang 2019, Making convolutional networks shift-invariant again; a model's size is 224 there",
            keys=lambda: _pairs(reach=16, back=15, border="crop", margin=16),
            aliases=("zhang", "crops", "shift-consistency"),
        ),
        "shift-diagonal": PresetRow(
            "",
            "two crops one pixel apart along the diagonal, at one of 8 x 8 places: flip_rate and confidence_change",
            source="Azulay & Weiss 2018, Why do deep convolutional networks generalize so poorly to small image ...",
            keys=lambda: _pairs(reach=4, border="crop", margin=4, reference="neighbour"),
            aliases=("azulay", "diagonal"),
        ),
        "spatial-grid": PresetRow(
            "",
            "5 x 5 shifts x 31 angles, the identity among them: worst_case_accuracy",
            source="Engstrom et al. 2019, Exploring the landscape of spatial robustness; reach 24 on 224 px",
            keys=lambda: {"group": "SE2", "reach": 3.0, "angle": 30.0, "shifts": 5, "angles": 31},
            aliases=("engstrom", "grid", "spatial"),
            open=("reach", "angle"),
        ),
        "spatial-worst10": PresetRow(
            "",
            "10 random shifts and turns of every image, the identity not among them: worst_case_accuracy",
            source="Engstrom et al. 2019, worst of 10",
            keys=lambda: {"group": "SE2", "reach": 3.0, "angle": 30.0, "draw": "per-sample", "elements": 10},
            aliases=("worst-of-10", "worst10"),
            open=("reach", "angle"),
        ),
        "fractional-shift": PresetRow(
            "",
            "circular shifts by half pixels up to 1 px, by Fourier interpolation: consistency, worst_case_accuracy",
            source="Michaeli, Michaeli & Soudry 2023, Alias-free convnets",
            keys=lambda: {
                "group": "R2", "reach": 1.0, "step": 0.5, "interpolation": "fourier", "border": "circular",
            },
            open=("reach", "step"),
        ),
        "patches-<k>": PresetRow(
            "",
            "random permutations of k = m x m patches",
            source="Naseer et al. 2021, Intriguing properties of vision transformers",
            keys=lambda k: {"group": f"S{k}", "action": "patches"},
            open=("elements",),
        ),
    },
    entry_points=False,
)  # fmt: skip

OWN = ("preset", "on", "only", "except")
"""Keys that a suite may set beside any preset."""


def expanded(entry: Mapping[str, Any], where: Callable[[str], str]) -> tuple[dict[str, Any], list[Problem]]:
    """A symmetry with its preset's keys filled in.

    Args:
        entry: the symmetry as it stands in the suite, with a ``preset``.
        where: a key of the entry, with file and line.

    Returns:
        The entry, and what is wrong with it.
    """
    name = entry["preset"]
    if not isinstance(name, str):
        return dict(entry), [Problem(where("preset"), f"got {quoted(name)}", f"one of {one_of(PRESETS.names())}")]
    try:
        row, numbers = PRESETS.find(name, where=where("preset"))
    except UnknownName as error:
        return dict(entry), list(error.problems)
    protocol = row.keys(**numbers)
    allowed = (*OWN, *row.open)
    problems = [
        Problem(
            where(key),
            f"preset {name} says what {key} is" if key in protocol else f"got {quoted(key)} beside preset {name}",
            f"one of {one_of(allowed)}",
            near_miss(key, allowed) or "Write the symmetry out to change it.",
        )
        for key in entry
        if key not in allowed
    ]
    return {"on": "image", **protocol, **entry}, problems
