"""Named points of an image: how far from where they are, and how many are near enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from symbench.measure.tasks.base import NO_NAMES, Columns, Task, Unfit, Views, shaped

NEAR = 0.1
"""Of the longer side of the box about the unmoved sample's visible points: as near, a point is right (PCK at 0.1)."""


@dataclass(frozen=True)
class Points(Task):
    """Points ``(n, joints, 2 or 3)`` in pixels; targets likewise, of which the visible ones count."""

    kind: ClassVar[str] = "keypoints"

    def compared(self, output: Tensor) -> Tensor:
        """Where they are, without what the model says of being visible."""
        return output[..., :2].double()

    def columns(self, views: Views) -> Columns:
        """``loss``, the mean squared distance of visible points, and ``place_right``, the share of them that is near
        enough; NaN where none is visible. Each ``(k, n)``."""
        if views.target is None:
            return {}
        target = views.target.double()
        visible = visible_of(target)
        off = (views.output[..., :2].double() - target[..., :2]).square().sum(-1)
        some = visible.sum(-1)
        size = sizes(target, target[:1] if views.unmoved_target is None else views.unmoved_target[None].double())
        near = off.sqrt() <= NEAR * size[..., None]
        right = (near & visible).sum(-1).double() / some
        return {
            "loss": (off * visible).sum(-1) / some.clamp(min=1),
            "place_right": torch.where(size > 0, right, torch.nan),  # a single point has no size to be near by
        }

    def check(self, shape: tuple[int, ...]) -> None:
        """Two or three numbers for each joint."""
        reason = self.field.value.misfit(shape)
        if reason is not None:
            raise Unfit(f"output {self.output!r} is declared as {self.field} and has shape {shaped(shape)}", reason)

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """As many joints as there are."""
        del names
        if target.shape[1] != shape[0]:
            raise Unfit(f"output {self.output!r} has {shape[0]} joints", f"the target's, {target.shape[1]}")

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean squared distance over visible points."""
        visible = visible_of(target)
        off = (output[..., :2] - target[..., :2].to(output.dtype)).square().sum(-1)
        return (off * visible).sum() / visible.sum().clamp(min=1)

    @property
    def unit(self) -> str:
        """Pixels, unless the field says otherwise."""
        found = super().unit
        return "px" if found == "output" else found

    @property
    def word(self) -> str:
        """What suites call them."""
        return "keypoints"


def visible_of(points: Tensor) -> Tensor:
    """Which of ``(..., joints, 2 or 3)`` are visible, bool; all where nothing is said of it."""
    return points[..., 2] > 0 if points.shape[-1] > 2 else torch.ones_like(points[..., 0], dtype=torch.bool)


def sizes(target: Tensor, unmoved: Tensor) -> Tensor:
    """The extent of what a moved target ``(k, n, joints, 2 or 3)`` shows, ``(k, n)``: that of the unmoved
    ``(1, n, ...)``, whose box no turn makes narrower and no edge cuts off, times what elements zoom by."""
    spread, before = (_spread(points[..., :2]) for points in (target, unmoved))
    return extent(unmoved[..., :2], visible_of(unmoved)) * torch.where(before > 0, spread / before, 1.0)


def _spread(points: Tensor) -> Tensor:
    """The root mean square distance of ``(..., joints, 2)`` from their middle."""
    return (points - points.mean(-2, keepdim=True)).square().sum((-2, -1)).sqrt()


def extent(points: Tensor, visible: Tensor) -> Tensor:
    """The longer side of the box about the visible of ``(..., joints, 2)``, ``(...)``."""
    beyond = torch.finfo(points.dtype).max
    low = torch.where(visible[..., None], points, beyond).amin(-2)
    high = torch.where(visible[..., None], points, -beyond).amax(-2)
    return (high - low).amax(-1).clamp(min=0)
