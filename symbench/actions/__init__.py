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
from symbench.groups import GROUPS, factors
from symbench.registry import Options, Row, Table

if TYPE_CHECKING:
    from symbench.actions.base import Action
    from symbench.groups.base import Group


@dataclass(frozen=True)
class ActionRow(Row):
    """An action in the table.

    Attributes:
        family: the group family that it serves (see ``GroupRow``).
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

    ``fourier`` is exact on band-limited images with room around them, and worse than ``bicubic`` on noise.
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
        ),
        "shift": ActionRow(
            "symbench.actions.shift:ShiftImage", "move by whole pixels", ShiftOptions, "translations", "Image"
        ),
        "slide": ActionRow(
            "symbench.actions.slide:SlideImage", "move by fractions of a pixel", ResampleOptions, "slides", "Image"
        ),
        "move": ActionRow(
            "symbench.actions.move:MoveImage",
            "rotate about the centre and move, in one interpolation",
            ResampleOptions,
            "rigid",
            "Image",
        ),
        "zoom": ActionRow(
            "symbench.actions.zoom:ZoomImage",
            "enlarge or reduce about the centre of the image",
            ZoomOptions,
            "scalings",
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

COMMUTING = {frozenset({"plane", "scalings"})}
"""Families whose actions on an image commute, so that a direct product acts: turning and zooming about one centre."""


def find(group: str, field: Field, name: str | None = None, *, where: str = "") -> tuple[str, ActionRow]:
    """The name and row of the action of one (non-product) group on a non-trivial field.

    Args:
        group: the group's name in the suite.
        field: what it is to act on.
        name: the suite's ``action:``; needed only where there are several.
        where: the suite's key, for messages.

    Raises:
        ImpossiblePair: there is no such action, or several and no name.
    """
    group_row, _ = GROUPS.find(group, where=where)
    table = dict(ACTIONS.rows)
    for path in group_row.actions:
        brought: ActionRow = Row(path, "").load()
        table[path.rpartition(":")[2]] = brought
    known = {n: r for n, r in table.items() if r.family == group_row.family and r.field == field.key}
    if not known:
        fields = sorted({r.field for r in table.values() if r.family == group_row.family})
        raise ImpossiblePair(
            Problem(
                where,
                f"{group} has no action on {field}",
                f"a field that it acts on: {one_of(fields) or 'none is known'}",
            )
        )
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


def find_all(group: str, field: Field, name: str | None = None, *, where: str = "") -> list[tuple[str, ActionRow]]:
    """:func:`find` for every factor of a product; one entry for a plain group.

    Raises:
        ImpossiblePair: a factor has no action there, or the factors' actions do not commute.
    """
    parts = factors(group)
    found = [find(part, field, name, where=where) for part in parts]
    families = [GROUPS.row(part).family for part in parts]
    for i, one in enumerate(families):
        for j, other in enumerate(families[:i]):
            if frozenset({one, other}) not in COMMUTING:
                raise ImpossiblePair(
                    Problem(
                        where,
                        f"{group} is no direct product on {field}: {parts[j]} and {parts[i]} do not make one there",
                        "factors that commute and differ, such as SO2 x scalings",
                        "Measure them as two symmetries.",
                    )
                )
    return found


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
    """
    from symbench.actions.base import ProductAction, TrivialAction

    if field.key in TRIVIAL:
        return TrivialAction()
    if isinstance(field, Nodes) and isinstance(on, Nodes) and field.axis != on.axis:
        return TrivialAction()
    built = []
    for part, (_, row) in zip(_parts(group), find_all(group_name, field, name), strict=True):
        wanted = {k: v for k, v in options.items() if k in row.options.model_fields}
        built.append(row.load()(part, row.options(**wanted)))
    return built[0] if len(built) == 1 else ProductAction(group, built)


def _parts(group: Group) -> tuple[Group, ...]:
    from symbench.groups.product import Product

    return group.parts if isinstance(group, Product) else (group,)
