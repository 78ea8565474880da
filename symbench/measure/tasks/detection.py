"""Boxes about the objects of an image."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Boxes, word_of
from symbench.algebra.metrics.detection import NOTHING_FOUND
from symbench.algebra.objects import CLASS, EDGES, SCORE, are_objects, hits, objects_only
from symbench.measure.tasks.base import NO_NAMES, Columns, Task, Unfit, Views, shaped

BITS = 2.0 ** np.arange(10)
"""What each of COCO's overlaps counts in a column of hits."""


@dataclass(frozen=True)
class Detection(Task):
    """Boxes ``(n, most, 6)``; the target is of the same kind, with as many rows as the fullest image has objects.

    Attributes:
        highest: the largest score of all samples as they are; None without a detection, or before that is known.
        found: the classes of these detections; None before they are known.
    """

    kind: ClassVar[str] = "detection"
    highest: float | None = None
    found: frozenset[int] | None = None

    @property
    def threshold(self) -> float:
        """The score from which on a detection counts as one."""
        return self.field.threshold if isinstance(self.field, Boxes) else Boxes().threshold

    def compared(self, output: Tensor) -> Tensor:
        """The detections that are scored by the threshold or more, float64; other rows are no object."""
        rows = output.double()
        return objects_only(rows, are_objects(rows) & (rows[..., SCORE] >= self.threshold))

    def columns(self, views: Views) -> Columns:
        """All detections, whatever their score, in the order in which they came, ``(k, n, most)`` each.

        ``object_scores`` and ``object_classes``, of class -1 where there is none; with a target also
        ``object_targets``, the classes of the objects that are there, ``(k, n, most of them)``, and ``object_hits``,
        in which bit b is set where a detection is right at an overlap of 0.5 + 0.05 b.
        """
        rows = views.output.double()
        rows = objects_only(rows, are_objects(rows))
        columns = {"object_scores": rows[..., SCORE].float(), "object_classes": rows[..., CLASS].float()}
        if views.target is not None:
            wanted = views.target.double()
            wanted = objects_only(wanted, are_objects(wanted))
            columns["object_targets"] = wanted[..., CLASS].float()
            columns["object_hits"] = _hits(rows, wanted)
        return columns

    def check(self, shape: tuple[int, ...]) -> None:
        """Anything but ``(n, most, 6)`` is refused."""
        if self.field.places:
            got = f"output {self.output!r} is declared as {self.field}"
            raise Unfit(got, "boxes of whole images", f"Say {self.declaration('boxes')} in the model's entry.")
        reason = Boxes().misfit(shape)
        if reason is not None:
            raise Unfit(f"output {self.output!r} is taken for boxes and has shape {shaped(shape)}", reason)

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """Targets have to be boxes, and no edge may be beyond the opposite one."""
        del shape, names
        reason = Boxes().misfit(tuple(target.shape[1:]))
        if reason is not None:
            raise Unfit(f"target {self.target!r} has shape {shaped(target.shape[1:])}", reason)
        self._refuse_inverted(target.double(), f"target {self.target!r}")
        edges = target[target[..., CLASS] >= 0][..., EDGES]
        if len(edges) and float(edges.abs().max()) <= 1:
            got = f"target {self.target!r} has edges of boxes in [0, 1] alone, as parts of an image have"
            raise Unfit(
                got, "edges from 0 to the image's width and height", "Multiply x by its width and y by its height."
            )

    def settled(self, outputs: Iterable[Tensor], eps: float) -> Task:
        """As declared: corners in units of the frame, whatever the scores.

        Raises:
            Unfit: a right edge is left of a left one, or a bottom one above a top one; or all are in [0, 1].
        """
        del eps
        largest, seen = 0.0, False
        scores, found = [], set()
        for rows in outputs:
            self._refuse_inverted(rows, f"output {self.output!r}")
            edges = rows[rows[..., CLASS] >= 0][..., EDGES]
            seen, largest = seen or len(edges) > 0, max(largest, float(edges.abs().max()) if len(edges) else 0.0)
            objects = rows[are_objects(rows)]
            scores += [float(objects[:, SCORE].max())] if len(objects) else []
            found |= {int(label) for label in objects[:, CLASS].unique().tolist()}
        if seen and largest <= 1:
            got = f"output {self.output!r} has edges of boxes in [0, 1] alone, as parts of an image have"
            expected = "edges from 0 to the image's width and height"
            raise Unfit(got, expected, "Multiply x by its width and y by its height.")
        return replace(self, highest=max(scores, default=None), found=frozenset(found))

    def remark(self, taken: str | None = None) -> str | None:
        """Besides, that no detection counts."""
        said = [each for each in (super().remark(taken), self._silent()) if each is not None]
        return "; ".join(said) or None

    def _silent(self) -> str | None:
        if self.found is None or (self.highest is not None and self.highest >= self.threshold):
            return None
        if self.highest is None:
            return f"finds no objects in any sample as it is: {NOTHING_FOUND}"
        scored = f"finds nothing that is scored {self.threshold:g} or more, its threshold (the most is"
        return f"{scored} {self.highest:.2g}) in any sample as it is: {NOTHING_FOUND}"

    def strange(self, targets: Tensor, names: Collection[int]) -> str | None:
        """That its classes are not those of the data: none of them is, or some are beyond those that have names."""
        rows, mine = targets[are_objects(targets)], self.target_field
        names = names or range((mine.classes or 0) if isinstance(mine, Boxes) else 0)
        there = {*names, *(int(label) for label in rows[:, CLASS].unique().tolist())}
        beyond = sorted((self.found or frozenset()) - there)
        if not beyond or not there or not (names or len(beyond) == len(self.found or ())):
            return None
        known = f"the data's are {min(there)} to {max(there)}" if len(there) > 1 else f"the data's is {min(there)}"
        which = f"none of its classes ({_few(beyond)}) is one of the data's"
        if len(beyond) < len(self.found or ()):
            which = f"it finds objects of {_counted_classes(beyond)}, which the data has not"
        line = self.declaration("{value: boxes, first: 1}")
        return f"{which}: {known}; {line} says that its first class is numbered 1"

    def _refuse_inverted(self, rows: Tensor, what: str) -> None:
        left, top, right, bottom = rows[..., EDGES].unbind(-1)
        wrong = (rows[..., CLASS] >= 0) & ((right < left) | (bottom < top))
        if bool(wrong.any()):
            number, row = wrong.nonzero()[0].tolist()
            box = ", ".join(f"{edge:.5g}" for edge in rows[number, row, EDGES].tolist())
            got = f"{what} has a box ({box}) whose right or bottom edge comes before its left or top one"
            raise Unfit(got, "left, top, right, bottom", "Are these left, top, width, height? Add left and top.")

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """None: detectors come trained."""
        del output, target
        got = f"output {self.output!r} is of boxes, which have no loss here"
        remedy = "Leave train: out of its entry, and say pretrained: or weights: instead."
        raise Unfit(got, "a detector that comes trained", remedy)

    def loss_of(self, values: Tensor, target: Tensor, real: Tensor | None) -> Tensor | None:
        """None."""
        del values, target, real
        return None

    def shown(self, output: Tensor, names: Mapping[int, str]) -> tuple[str | None, float | None]:
        """How many objects of which class."""
        return _counted(self.compared(output), names), None

    def shown_target(self, target: Tensor, names: Mapping[int, str]) -> str | None:
        """The same of what is there."""
        return _counted(target, names)

    @property
    def measured_on(self) -> str:
        """In words."""
        return f"sets of objects scored {self.threshold:g} or more"

    @property
    def unit(self) -> str:
        """None: costs of matching are shares."""
        return "cost of matching"

    @property
    def word(self) -> str:
        """Boxes."""
        return word_of(self.field, "boxes")


def _hits(found: Tensor, wanted: Tensor) -> Tensor:
    """:func:`hits` of ``(k, n, most, 6)`` against ``(k, n, objects, 6)``, as whole numbers ``(k, n, most)``."""
    pairs = zip(found.cpu().flatten(0, 1).numpy(), wanted.cpu().flatten(0, 1).numpy(), strict=True)
    numbers = np.stack([BITS @ hits(some, others) for some, others in pairs])
    return torch.from_numpy(numbers).float().view(found.shape[:3]).to(found.device)


def _few(classes: Sequence[int], most: int = 5) -> str:
    """``4, 5 and 2 more``."""
    rest = f" and {len(classes) - most} more" if len(classes) > most else ""
    return ", ".join(map(str, classes[:most])) + rest


def _counted_classes(classes: Sequence[int]) -> str:
    return f"class{'' if len(classes) == 1 else 'es'} {_few(classes)}"


def _counted(rows: Tensor, names: Mapping[int, str]) -> str:
    """``3 objects``, or those of each class where classes have names: ``2 cats, 1 dog``."""
    classes = rows[are_objects(rows)][..., CLASS].long()
    if not len(classes) or not names:
        return f"{len(classes) or 'no'} object{'' if len(classes) == 1 else 's'}"
    counts = zip(*(each.tolist() for each in classes.unique(return_counts=True)), strict=True)
    return ", ".join(f"{count} {names.get(label, f'of class {label}')}" for label, count in counts)
