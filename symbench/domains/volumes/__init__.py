"""Volumes: numbers over a grid of space, such as scans and simulations, and what only they have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from symbench.algebra.actions import ActionRow
from symbench.algebra.groups import GroupRow
from symbench.base.registry import Options
from symbench.domains.common.places import PlacesRow
from symbench.domains.volumes.axes import some_axes
from symbench.domains.volumes.datasets import DATASETS
from symbench.domains.volumes.fields import Volume
from symbench.domains.volumes.models import MODELS

__all__ = ["ACTIONS", "DATASETS", "GROUPS", "MODELS", "PLACES"]


class MirrorsOptions(Options):
    """``mirrors``: at the planes of which ``axes``; x is to the right, y upwards, z along the slices."""

    axes: Annotated[str, AfterValidator(some_axes)] = "xyz"


GROUPS = {
    "mirrors": GroupRow(
        "symbench.domains.volumes.mirrors:Mirrors",
        "mirrors of space at the planes of its axes",
        MirrorsOptions,
        "space",
        aliases=("axis-flips", "flips-3d", "mirrors-3d"),
        order=lambda options: 2 ** len(options.axes),
    ),
}

ACTIONS = {
    "turn-volumes": ActionRow(
        "symbench.domains.volumes.actions:TurnVolume",
        "turn volumes by quarters, and mirror them",
        Options,
        "space",
        "Grid",
    ),
}

PLACES = {
    "3-D Grid": PlacesRow(
        "symbench.domains.volumes.handling:Voxels", "voxels of a volume", unit="voxel", word="Volume", field=Volume()
    ),
}
