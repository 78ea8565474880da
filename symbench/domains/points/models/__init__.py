"""Reference models on points, from no symmetry built in to all of E(3); their rows and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.algebra.fields import ANY, Axis, Category, Field, Mask, Point, Scalar, Vector, mask_of
from symbench.base.registry import Options
from symbench.domains.common.models import ModelRow, Width

Readout = Literal["cloud", "vectors", "positions", "energy"]
Depth = Annotated[int, Limits(ge=1, le=20)]


class PointOptions(Options):
    """``point-mlp`` and ``pointnet``: what is returned, and the width of the hidden layers.

    ``readout: cloud`` returns numbers of all points together, such as class scores; ``vectors`` one vector of each
    point; ``positions`` the same added to where the points are, such as where they come to; ``energy`` one number,
    and minus its derivatives by the positions, which are called ``forces``.
    """

    readout: Readout = "cloud"
    width: Width = 128


class PointTransformerOptions(Options):
    """``point-transformer``: likewise; and how many blocks, with how many heads each."""

    readout: Readout = "cloud"
    width: Width = 64
    depth: Depth = 2
    heads: Annotated[int, Limits(ge=1, le=64)] = 4


class EgnnOptions(Options):
    """``egnn``: likewise; and how often points hear from one another."""

    readout: Readout = "cloud"
    width: Width = 32
    depth: Depth = 3


class DistanceNetOptions(Options):
    """``distance-net``: likewise, without vectors, which distances do not make.

    Within a ``cutoff``, which crystals have at 5 where nobody says, messages fade with the distance. Neighbours are
    looked for in so many ``images`` of a cell to either side, and an atom has so many ``neighbours`` at most.
    """

    readout: Literal["cloud", "energy"] = "cloud"
    width: Width = 32
    depth: Depth = 3
    cutoff: Annotated[float, Limits(gt=0, le=1000)] | None = None
    images: Annotated[int, Limits(ge=1, le=5)] = 2
    neighbours: Annotated[int, Limits(ge=1, le=1000)] = 64


class VectorNeuronsOptions(Options):
    """``vector-neurons``: likewise. ``chiral: true`` tells mirror images apart: exact under no reflection."""

    readout: Readout = "cloud"
    width: Width = 16
    depth: Depth = 3
    chiral: bool = False


class FrameAveragedOptions(PointOptions):
    """``frame-averaged``: likewise, and ``of`` which network, of that width.

    ``chiral: true`` takes the frames that are rotations alone, and tells mirror images apart.
    """

    of: Literal["point-mlp", "pointnet", "point-transformer"] = "point-mlp"
    chiral: bool = False


POSITIONS: Mapping[str, Field] = {"positions": Point().over(Axis(ANY))}
DYNAMICS: Mapping[str, Field] = {
    **POSITIONS,
    "velocities": Vector().over(Axis(ANY)),
    "charges": Scalar().over(Axis(ANY)),
}
ATOMS: Mapping[str, Field] = {
    "species": Category().over(Axis(ANY)),
    mask_of("atoms"): Mask().over(Axis("atoms")),
}
CELLS: Mapping[str, Field] = {"cell": Vector().over(Axis(ANY)), "periodic": Category().over(Axis(ANY))}
"""What is taken besides where a dataset has it: species, numbers of atoms that differ, and the cells of crystals."""
HOME = "symbench.domains.points.models"
MODELS = {
    "point-mlp": ModelRow(
        f"{HOME}.point_mlp:PointMlp",
        "fully connected on all coordinates end to end: no symmetry built in",
        PointOptions,
        POSITIONS,
    ),
    "point-mlp-dynamics": ModelRow(
        f"{HOME}.point_mlp:PointMlp",
        "the same on positions, velocities and charges",
        PointOptions,
        DYNAMICS,
    ),
    "point-transformer": ModelRow(
        f"{HOME}.point_transformer:PointTransformer",
        "attention over points by their raw coordinates: exact under permutations alone",
        PointTransformerOptions,
        POSITIONS,
    ),
    "point-transformer-dynamics": ModelRow(
        f"{HOME}.point_transformer:PointTransformer",
        "the same on positions, velocities and charges",
        PointTransformerOptions,
        DYNAMICS,
    ),
    "pointnet": ModelRow(
        f"{HOME}.pointnet:PointNet",
        "max pooling over the points (Qi et al. 2017): exact under permutations alone",
        PointOptions,
        POSITIONS,
    ),
    "distance-net": ModelRow(
        f"{HOME}.distance_net:DistanceNet",
        "messages made of distances alone: exact under E(3), with forces that follow from the energy",
        DistanceNetOptions,
        POSITIONS,
        optional={**ATOMS, **CELLS},
        aliases=("schnet",),
        group="E3",
    ),
    "vector-neurons": ModelRow(
        f"{HOME}.vector_neurons:VectorNeurons",
        "channels of vectors (Deng et al. 2021): exact under E(3), or, if chiral, SE(3) and not reflections",
        VectorNeuronsOptions,
        POSITIONS,
        aliases=("vnn", "vn-pointnet"),
    ),
    "frame-averaged": ModelRow(
        f"{HOME}.frame_averaged:FrameAveraged",
        "a network in the frames of principal axes (Puny et al. 2022): exact under E(3), or, if chiral, SE(3)",
        FrameAveragedOptions,
        POSITIONS,
        aliases=("frame-averaging", "fa"),
    ),
    "egnn": ModelRow(
        f"{HOME}.egnn:Egnn",
        "points that move along their differences (Satorras et al. 2021): exact under E(3)",
        EgnnOptions,
        POSITIONS,
        optional=ATOMS,
        group="E3",
    ),
    "egnn-dynamics": ModelRow(
        f"{HOME}.egnn:Egnn",
        "the same on positions, velocities and charges",
        EgnnOptions,
        DYNAMICS,
        group="E3",
    ),
}
