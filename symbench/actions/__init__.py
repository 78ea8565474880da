"""Actions: how a group moves a field. Looked up by (group family, field), for inputs, targets and outputs alike.

To add one: write its file here, and add a row to ``ACTIONS``. A field that a group has no row for is an error,
never left alone in silence; ``Scalar`` and ``Category`` are what every group leaves alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field as Limits
from pydantic import model_validator

from symbench.errors import ImpossiblePair, Problem, near_miss, one_of
from symbench.fields import TRIVIAL, Field, Nodes
from symbench.groups import GROUPS, PRODUCT, factors
from symbench.registry import Options, Row, Table, checked_options

if TYPE_CHECKING:
    from symbench.actions.base import Action
    from symbench.groups.base import Group


@dataclass(frozen=True)
class ActionRow(Row):
    """An action in the table.

    Attributes:
        family: the group family that it serves (see ``GroupRow``); for a product, see :func:`family`.
        field: the field's key (``Image``, ``Nodes[Scalar]``).
        version: raised when its numbers change; part of every cell's key.
    """

    family: str = ""
    field: str = ""
    version: int = 1


Fill = Annotated[float, Limits(ge=0, le=1)]


class BorderOptions(Options):
    """What lies beyond the edge of the frame. An option that no border uses is a mistake, and is refused.

    ``crop`` looks at the middle of a larger canvas, ``margin`` pixels in from each side, so that nothing is filled
    in: a model's ``size`` is what it sees, and images are brought to ``size + 2 margin``. ``disc`` fades every image,
    the unmoved one too, to ``fill`` outside an inscribed disc with an edge of ``taper`` pixels.
    """

    border: str
    fill: Fill = 0.0
    margin: Annotated[int, Limits(ge=0, le=4096)] = 0

    @model_validator(mode="after")
    def _nothing_is_idle(self) -> BorderOptions:
        if self.fill and self.border not in {"fill", "disc"}:
            raise ValueError(f"fill: {self.fill} needs border: fill or disc, and border is {self.border}")
        if bool(self.margin) != (self.border == "crop"):
            raise ValueError("margin: N and border: crop need each other")
        return self


Border = Literal["zero", "fill", "circular", "reflect", "crop", "disc"]


class ResampleOptions(BorderOptions):
    """How pixels between pixels are found.

    ``bicubic`` is Keys' kernel with a = -1/2, as resizing has it. ``fourier`` is exact on band-limited
    images with room around them, and worse than ``bicubic`` on noise.
    """

    interpolation: Literal["bilinear", "bicubic", "fourier"] = "bilinear"
    border: Border = "zero"
    taper: Annotated[float, Limits(ge=4)] = 4.0


class TurnOptions(ResampleOptions):
    """How turns resample.

    With ``oversample: N`` every image, the unmoved one too, is moved on a canvas N times as fine and averaged back:
    all are low-passed alike, and resampling blurs little where pixels are small. It is done to inputs only, for
    outputs have the model's own pixels.
    """

    oversample: Annotated[int, Limits(ge=1, le=8)] = 1

    @model_validator(mode="after")
    def _fourier_needs_none(self) -> TurnOptions:
        if self.oversample > 1 and self.interpolation == "fourier":
            raise ValueError(
                f"oversample: {self.oversample} needs interpolation: bilinear or bicubic; fourier is exact on what "
                "oversampling would help"
            )
        return self


class ZoomOptions(TurnOptions):
    """How scalings resample: a filter widened when reducing (antialiased)."""

    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


class ShiftOptions(BorderOptions):
    """Circular, zero, reflected and cropped shifts are different questions: the suite has to say which it asks."""

    border: Literal["circular", "zero", "fill", "reflect", "crop"]


ACTIONS = Table(
    "action",
    ActionRow,
    {
        "turn": ActionRow(
            "symbench.actions.plane:TurnImage",
            "rotate and mirror about the centre of the image",
            TurnOptions,
            "plane",
            "Image",
            version=2,
        ),
        "shift": ActionRow(
            "symbench.actions.shift:ShiftImage", "move by whole pixels", ShiftOptions, "translations", "Image"
        ),
        "slide": ActionRow(
            "symbench.actions.slide:SlideImage",
            "move by fractions of a pixel",
            ResampleOptions,
            "slides",
            "Image",
            version=2,
        ),
        "move": ActionRow(
            "symbench.actions.move:MoveImage",
            "rotate about the centre and move, in one interpolation",
            ResampleOptions,
            "rigid",
            "Image",
            version=2,
        ),
        "zoom": ActionRow(
            "symbench.actions.zoom:ZoomImage",
            "enlarge or reduce about the centre of the image",
            ZoomOptions,
            "scalings",
            "Image",
        ),
        "turn-and-zoom": ActionRow(
            "symbench.actions.similarity:TurnAndZoomImage",
            "rotate or mirror and zoom about the centre of the image, in one interpolation",
            ZoomOptions,
            "plane x scalings",
            "Image",
        ),
        "patches": ActionRow(
            "symbench.actions.permute:PermutePatches",
            "S<n> moves the n = m x m equal patches of the image",
            Options,
            "symmetric",
            "Image",
        ),
        "pixels": ActionRow(
            "symbench.actions.permute:PermutePixels",
            "S<n> moves the n = h x w pixels of the image",
            Options,
            "symmetric",
            "Image",
        ),
        "rows": ActionRow(
            "symbench.actions.permute:PermuteRows",
            "S<n> moves the rows along the axis of the leaf it is on",
            Options,
            "symmetric",
            "Nodes[Scalar]",
        ),
    },
    entry_points=False,
)


def family(group: str, *, where: str = "") -> str:
    """The family of a group; that of a product joins its factors': ``plane x scalings``.

    Raises:
        UnknownName: there is no such group, or no such factor.
    """
    return PRODUCT.join(sorted(GROUPS.find(part, where=where)[0].family for part in factors(group)))


def rows(group: str, *, where: str = "") -> dict[str, ActionRow]:
    """Every action that a group has, on whatever field; a plug-in's groups may bring some along.

    A product has one only where its factors are done at once. One after the other, the first would lose at the edge
    of a frame what the second brings back, and the order of the factors would make a difference.

    Raises:
        UnknownName: there is no such group.
        ImpossiblePair: a product that nothing acts by.
    """
    table = dict(ACTIONS.rows)
    for part in factors(group):
        for path in GROUPS.find(part, where=where)[0].actions:
            table[path.rpartition(":")[2]] = Row(path, "").load()
    wanted = family(group, where=where)
    known = {name: row for name, row in table.items() if row.family == wanted}
    if not known and len(factors(group)) > 1:
        remedy = "Measure the factors as symmetries of their own."
        expected = "factors that commute and are done at once, such as SO2 x scalings"
        raise ImpossiblePair(Problem(where, f"{group} is no direct product that acts", expected, remedy))
    return known


def find(group: str, field: Field, name: str | None = None, *, where: str = "") -> tuple[str, ActionRow]:
    """The name and row of the action of a group on a non-trivial field.

    Args:
        group: the group's name in the suite.
        field: what it is to act on.
        name: the suite's ``action:``; needed only where there are several.
        where: the suite's key, for messages.

    Raises:
        ImpossiblePair: there is no such action, or several and no name.
    """
    table = rows(group, where=where)
    known = {n: r for n, r in table.items() if r.field == field.key}
    if not known:
        fields = one_of(sorted({row.field for row in table.values()}))
        expected = f"a field that it acts on: {fields or 'none is known'}"
        raise ImpossiblePair(Problem(where, f"{group} has no action on {field}", expected))
    if name is None and len(known) == 1:
        return next(iter(known.items()))
    if name is None or name not in known:
        got = f"got action {name!r}" if name else f"{group} acts on {field} in several ways"
        raise ImpossiblePair(
            Problem(
                f"{where}.action" if where and name else where,
                got,
                f"action: one of {one_of(known)}",
                near_miss(name, known) if name else None,
            )
        )
    return name, known[name]


def load(
    group: Group,
    group_name: str,
    field: Field,
    options: dict[str, Any],
    *,
    on: Field,
    name: str | None = None,
) -> Action:
    """The action of ``group`` on ``field``; trivial fields, and nodes along another axis, are left alone.

    Args:
        group: the group, built.
        group_name: its name in the suite.
        field: the field of the leaf, target or output that is to be moved.
        options: the symmetry's options; each action takes those that it knows.
        on: the field of the leaf that the symmetry is on; its axis is what permutations move.
        name: the suite's ``action:``.

    Raises:
        ConfigError: there is no such action, or an option of it is missing or out of range.
    """
    from symbench.actions.base import TrivialAction

    if field.key in TRIVIAL:
        return TrivialAction()
    if isinstance(field, Nodes) and isinstance(on, Nodes) and field.axis != on.axis:
        return TrivialAction()
    found, row = find(group_name, field, name)
    built: Action = row.load()(group, checked_options(row.options, options, f"action {found!r}"))
    return built
