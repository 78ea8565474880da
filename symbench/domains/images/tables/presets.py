"""Published protocols of how images are moved."""

from __future__ import annotations

from typing import Any

from symbench.domains.common.presets import PresetRow


def _pairs(**keys: Any) -> dict[str, Any]:
    """Two random views of every image, compared with one another."""
    return {"group": "translations", "draw": "per-sample", "reference": "drawn", "elements": 1, **keys}


PRESETS = {
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
}  # fmt: skip
