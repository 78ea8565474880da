"""How groups of the plane move what is told in pixels of a frame: boxes, named points, flow."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Kind, Move, times
from symbench.algebra.fields import Boxes, Keypoints, Places, Value
from symbench.algebra.groups.base import Group
from symbench.algebra.groups.product import Product
from symbench.base.environment import sent
from symbench.base.registry import Options
from symbench.domains.images.actions.options import BorderOptions
from symbench.domains.images.actions.plane import exact
from symbench.domains.images.groups.plane import PlaneGroup, rotation_matrices
from symbench.domains.images.groups.rigid import SE2
from symbench.domains.images.groups.scaling import Scalings

DOWN = torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
"""From y up to y down, and back."""
SCORE, CLASS = 4, 5
NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
"""The row of no object."""


def affine(group: Group, g: Tensor) -> tuple[Tensor, Tensor]:
    """How elements move pixels, ``p -> A p + t`` from the middle of the frame, x to the right and y down.

    Args:
        group: of the plane.
        g: elements ``(*batch, ...)``.

    Returns:
        A ``(*batch, 2, 2)`` and t ``(*batch, 2)``, float64.
    """
    if isinstance(group, Product):
        matrix, shift = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
        for part, mine in zip(group.parts, group.split(g), strict=True):
            a, t = affine(part, mine)
            matrix, shift = a @ matrix, (a @ shift[..., None])[..., 0] + t
        return matrix, shift
    if isinstance(group, PlaneGroup):
        matrix = DOWN @ group.matrices(g) @ DOWN
        return matrix, matrix.new_zeros(*matrix.shape[:-2], 2)
    if isinstance(group, Scalings):
        matrix = group.factors(g)[..., None, None] * torch.eye(2, dtype=torch.float64)
        return matrix, matrix.new_zeros(*matrix.shape[:-2], 2)
    if isinstance(group, SE2):
        return DOWN @ rotation_matrices(g[..., 0]) @ DOWN, g[..., 1:].flip(-1)
    shift = g.double().flip(-1)  # (down, right) to (right, down)
    return torch.eye(2, dtype=torch.float64).expand(*shift.shape[:-1], 2, 2), shift


def turns_of(group: Group) -> list[Tensor | None]:
    """The matrices by which a group, or each factor of one, turns the plane; None for those of infinitely many."""
    parts = group.parts if isinstance(group, Product) else [group]
    turning = [part for part in parts if isinstance(part, (PlaneGroup, SE2))]
    return [None if part.count is None else affine(part, part.elements())[0] for part in turning]


class InFrame(Action):
    """Base of what moves values in pixels of a frame, about its middle.

    Args:
        group: of the plane.
        border: what lies beyond the edge; None where no element brings anything from there.
        part: the value.
        margin: pixels that a crop takes away on each side.
    """

    moves_values = True

    def __init__(self, group: Group, border: str | None, part: Any, margin: int = 0) -> None:
        self.group, self.border, self.value, self.margin = group, border, part, margin

    @classmethod
    def of(cls, group: Any, options: Options, part: Places | Value) -> Self:
        """With the border of the symmetry."""
        if not isinstance(options, BorderOptions):
            return cls(group, None, part)
        return cls(group, options.border, part, options.margin)

    def of_outputs(self) -> Self:
        """In the frame that is left of a crop."""
        if not self.margin:
            return self
        height, width = self.value.frame
        seen = replace(self.value, frame=(height - 2 * self.margin, width - 2 * self.margin))
        return type(self)(self.group, "zero", seen)

    @property
    def frame(self) -> Tensor:
        """Width and height."""
        height, width = self.value.frame
        return torch.tensor([width, height], dtype=torch.float64)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """There has to be a frame, and whole ones can be told of."""
        if self.value.frame is None:
            return f"{self.value} is in pixels of a frame that nobody knows: say frame=(height, width)"
        height, width = self.value.frame
        if height != width and self._is_oblique():
            return f"turning by other angles than quarters needs a square frame, got {height} x {width}"
        return self.value.misfit(shape[1:])

    def _is_oblique(self) -> bool:
        return any(turns is None or not bool(exact(turns).all()) for turns in turns_of(self.group))

    def kinds(self, g: Tensor) -> list[Kind]:
        """Bit for bit where axes are only exchanged and negated and nothing can leave the frame; what shifts and
        zooms may lose, unless it comes in again on the other side."""
        matrices, shifts = affine(self.group, g)
        found: list[Kind] = []
        for only, moved in zip(exact(matrices).tolist(), (shifts != 0).any(-1).tolist(), strict=True):
            stays = not moved or self.border == "circular"
            found.append(("permutation" if stays else "lossy") if only else self.oblique)
        return found

    oblique: Kind = "exact"

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One map for each element."""
        a, t = self._maps(g, like.device)
        return lambda x: self.moved(a, t, x)

    def _maps(self, g: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """The maps of elements ``(k, ...)`` or ``(k, n, ...)``: ``(k, n or 1, 2, 2)`` and ``(k, n or 1, 2)``."""
        maps = affine(self.group, g)
        wide = (each[:, None] for each in maps) if g.ndim == 1 + self.group.element_ndim else maps
        a, t = (sent(each, device) for each in wide)
        return a, t

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)

    @abstractmethod
    def moved(self, a: Tensor, t: Tensor, x: Tensor) -> Tensor:
        """Values ``(n, 1, rows, numbers)`` by maps ``(k, n or 1, 2, 2)`` and ``(k, n or 1, 2)``."""

    def points(self, a: Tensor, t: Tensor, points: Tensor, middle: Tensor) -> Tensor:
        """Points ``(n, ..., 2)`` moved, ``(k, n, ..., 2)`` float64."""
        between = (1,) * (points.ndim - 2)
        from_middle = (points.double() - middle)[None]
        turned = (a.view(*a.shape[:2], *between, 2, 2) @ from_middle[..., None])[..., 0]
        there = (t + framed(a, middle)).view(*t.shape[:2], *between, 2)
        return turned + there


def framed(a: Tensor, sides: Tensor) -> Tensor:
    """Width and height ``(2,)`` of the frame behind each map, ``(k, n, 2)``: quarter turns exchange them."""
    return torch.where(exact(a)[..., None], a.abs() @ sides, sides)


def leaving(a: Tensor, t: Tensor) -> Tensor:
    """Which maps, matrices ``(k, n, 2, 2)`` and shifts, can bring anything out of the frame, bool ``(k, n)``.

    Under others, what a model puts beyond the frame stays there.
    """
    return (t != 0).any(-1) | ~exact(a)


def without(boxes: Tensor, gone: Tensor) -> Tensor:
    """Boxes ``(..., most, 6)`` without some of them; what is gone stands last, as no object."""
    found = torch.where(gone[..., None], boxes.new_tensor(NOTHING), boxes)
    order = gone.to(torch.uint8).argsort(dim=-1, stable=True)
    return found.gather(-2, order[..., None].expand_as(found))


class MoveBoxes(InFrame):
    """Boxes move with the pixels in them; what leaves the frame is cut off, and what is gone is no object.

    A turn that leaves no box parallel to the axes is no action on boxes: it is refused, or gives the box about the
    turned one (``hull``), which is larger.
    """

    oblique: Kind = "lossy"
    value: Boxes

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Six numbers, and turns that keep boxes parallel to the axes."""
        reason = super().check(shape)
        if reason is not None:
            return reason
        if self.border == "circular":
            return "a box that comes in on the other side is two; use border: zero, or masks in its place"
        if not self.value.hull and self._is_oblique():
            return (
                "boxes parallel to the axes are turned by quarters only: measure C4 or D4, use masks or polygons, or "
                "say hull: true for the box about the turned one, which is larger"
            )
        return None

    @property
    def remark(self) -> str | None:
        """That boxes grow where they are turned obliquely."""
        if not (self.value.hull and self._is_oblique()):
            return None
        return "boxes under oblique turns are those about the turned ones, which are larger (hull: true)"

    def moved(self, a: Tensor, t: Tensor, x: Tensor) -> Tensor:
        """The box about its moved corners, within the frame."""
        rows, frame = x[:, 0], self.frame.to(x.device)  # (n, most, 6)
        left, top, right, bottom = rows[..., :4].unbind(-1)
        corners = torch.stack([torch.stack([u, v], -1) for u in (left, right) for v in (top, bottom)], dim=2)
        there = self.points(a, t, corners, frame / 2)  # (k, n, most, 4, 2)
        low, high = there.amin(-2), there.amax(-2)
        beside = rows[..., SCORE:].double().expand(len(a), *rows.shape[:2], 2)
        return self._cut(a, t, torch.cat([low, high, beside], dim=-1)).to(x.dtype)[:, :, None]

    def held(self, g: Tensor, moved: Tensor) -> Tensor:
        """Cut off at the frame as the unmoved ones are: a model may put edges beyond it."""
        return self._cut(*self._maps(g, moved.device), moved[:, :, 0].double()).to(moved.dtype)[:, :, None]

    def _cut(self, a: Tensor, t: Tensor, boxes: Tensor) -> Tensor:
        """Moved boxes ``(k, n, most, 6)``, float64, as far as they lie in the frame."""
        cut, beyond = leaving(a, t)[..., None, None], framed(a, self.frame.to(boxes.device))[:, :, None]
        edges = (torch.minimum(each.clamp(min=0), beyond) for each in (boxes[..., :2], boxes[..., 2:4]))
        low, high = (torch.where(cut, each, boxes[..., i : i + 2]) for i, each in zip((0, 2), edges, strict=True))
        gone = (boxes[..., CLASS] < 0) | (cut[..., 0] & ~(high > low).all(-1))
        return without(torch.cat([low, high, boxes[..., SCORE:]], dim=-1), gone)

    def cropped(self, x: Tensor) -> Tensor:
        """Cut off at the frame that is left."""
        if not self.margin:
            return x
        frame = self.of_outputs().frame.to(x.device)
        edges = x[..., :4].double() - self.margin
        low, high = (torch.minimum(each.clamp(min=0), frame) for each in (edges[..., :2], edges[..., 2:]))
        gone = (x[..., CLASS] < 0) | ~(high > low).all(-1)
        return without(torch.cat([low, high, x[..., SCORE:].double()], dim=-1), gone).to(x.dtype)


class MoveKeypoints(InFrame):
    """Named points move with the pixels, and a mirror exchanges left and right; what leaves the frame is not
    visible."""

    value: Keypoints

    def moved(self, a: Tensor, t: Tensor, x: Tensor) -> Tensor:
        """Each joint where its pixel goes, under the name that it then has."""
        rows, frame = x[:, 0], self.frame.to(x.device)  # (n, joints, 2 or 3)
        first = 0.0 if self.value.origin == "corner" else 0.5
        middle = frame / 2 - first
        there = self.points(a, t, rows[..., :2], middle)  # (k, n, joints, 2)
        if self.border == "circular":
            there = torch.where((t != 0)[..., None, :], torch.remainder(there + first, frame) - first, there)
        visible = rows[..., 2:].double().expand(len(a), *rows.shape[:2], rows.shape[-1] - 2)
        inside = ((there + first >= 0) & (there + first <= framed(a, frame)[:, :, None])).all(-1, keepdim=True)
        visible = torch.where(leaving(a, t)[..., None, None] & ~inside, torch.zeros_like(visible), visible)
        found = torch.cat([there, visible], dim=-1)
        swapped = found[..., self._partners(rows.shape[1], x.device), :]
        mirrored = (a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0] < 0)[..., None, None]
        return torch.where(mirrored, swapped, found).to(x.dtype)[:, :, None]

    def cropped(self, x: Tensor) -> Tensor:
        """From the corner of the frame that is left, outside of which nothing is visible."""
        if not self.margin:
            return x
        first = 0.0 if self.value.origin == "corner" else 0.5
        frame, there = self.of_outputs().frame.to(x.device), x[..., :2].double() - self.margin
        inside = ((there + first >= 0) & (there + first <= frame)).all(-1, keepdim=True)
        return torch.cat([there, torch.where(inside, x[..., 2:].double(), 0.0)], dim=-1).to(x.dtype)

    def lost(self, g: Tensor, x: Tensor) -> Tensor | None:
        """Points that are beyond the frame behind an element that can bring some there."""
        seen = torch.cat([x[..., :2], torch.ones_like(x[..., :1])], dim=-1)
        return self.act(g, seen)[:, :, 0, :, 2] == 0

    def _partners(self, joints: int, device: torch.device) -> Tensor:
        """The number of each joint's partner, its own where it has none."""
        found = list(range(joints))
        for left, right in self.value.pairs:
            found[left], found[right] = right, left
        return sent(torch.tensor(found), device)


class TurnFlow(Action):
    """Displacements in pixels, x to the right and y down, turned, mirrored and zoomed with the pixels."""

    moves_values = True

    def __init__(self, group: Group, options: Options) -> None:
        del options
        self.group = group

    def matrices(self, g: Tensor) -> Tensor:
        """Of the elements, ``(*batch, 2, 2)``, float64."""
        return affine(self.group, g)[0]

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Two components."""
        return None if shape and shape[-1] == 2 else f"a flow has 2 components, got shape {shape}"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Bit for bit where axes are only exchanged and negated."""
        return ["permutation" if only else "exact" for only in exact(self.matrices(g)).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One matrix for each element."""
        matrices = sent(self.matrices(g).to(like.dtype), like.device)
        return lambda x: times(matrices, x)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)
