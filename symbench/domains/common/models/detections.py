"""What detectors return, brought to boxes ``(n, most, 6)``: lists of what was found in an image, or tensors by name.

Detections have ``boxes`` (left, top, right and bottom edge, in pixels), ``scores`` and ``labels``, as those of
torchvision do, and as programs export them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from symbench.algebra.fields import Boxes, Field, Undeclared
from symbench.algebra.objects import CLASS, NONE
from symbench.base.errors import ModelError, Problem
from symbench.domains.common.models.unanswered import Unanswered

PARTS = ("boxes", "scores", "labels")
"""What detections are of an image, by name."""


def packed(returned: Any, declared: Mapping[str, Field], count: int, model: str) -> Any:
    """What a model returned, with detections as one tensor; anything else as it is.

    Args:
        returned: whatever the module returned.
        declared: the field of every output.
        count: samples that it was given.
        model: its name, for messages.

    Returns:
        What came back; detections as a mapping with the name of the output that is declared as boxes, or ``boxes``.

    Raises:
        ModelError: there are boxes without scores or labels, or not one list for each image.
        Unanswered: of one image more objects come back than there are rows, or a box whose edges are exchanged.
    """
    name = next((name for name, field in declared.items() if isinstance(field, Boxes)), None)
    field = Boxes() if name is None else declared[name]
    if _is_list(returned) and name is None and not all(isinstance(each, Undeclared) for each in declared.values()):
        got = f"returned detections of each image, and declares {', '.join(map(str, declared.values()))}"
        raise ModelError(Problem(model, got, "boxes", "Say outputs: {boxes: boxes} in the model's entry."))
    if not isinstance(field, Boxes):
        return returned
    if _is_list(returned):
        return {name or "boxes": rows_of(_each(returned, count, model), field, model)}
    if name is not None and isinstance(returned, Mapping) and set(PARTS) <= set(returned):
        whole = {part: returned[part] for part in PARTS}
        return {**returned, name: rows_of(_split(whole, count, model), field, model)}
    return returned


def _is_list(returned: Any) -> bool:
    lists = isinstance(returned, (list, tuple)) and len(returned) > 0
    return lists and all(isinstance(each, Mapping) and "boxes" in each for each in returned)


def _each(returned: Sequence[Mapping[str, Any]], count: int, model: str) -> Sequence[Mapping[str, Any]]:
    if len(returned) != count:
        raise ModelError(Problem(model, f"returned detections of {len(returned)} images for {count}", "one each"))
    return returned


def _split(whole: Mapping[str, Any], count: int, model: str) -> list[Mapping[str, Any]]:
    """Detections of each image from tensors of all; of a single image they may be without the axis of images."""
    alone = count == 1 and isinstance(whole["scores"], Tensor) and whole["scores"].ndim == 1
    there = {part: each[None] if alone and isinstance(each, Tensor) else each for part, each in whole.items()}
    for part, each in there.items():
        if not isinstance(each, (Tensor, list, tuple)) or len(each) != count:
            got = f"output {part!r} is {tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__}"
            raise ModelError(Problem(model, got, f"one for each of {count} images"))
    return [{part: each[i] for part, each in there.items()} for i in range(count)]


def rows_of(images: Sequence[Mapping[str, Any]], field: Boxes, model: str) -> Tensor:
    """Boxes ``(n, most, 6)`` of what was found in each image, in its order, and after that rows of no object.

    Raises:
        ModelError: something is missing, or is of another shape.
        Unanswered: of one image there are more than fit, or a box is inside out.
    """
    found = [_row(number, each, field, model) for number, each in enumerate(images)]
    rows = found[0].new_tensor(NONE).repeat(len(found), field.most, 1)
    for number, each in enumerate(found):
        rows[number, : len(each)] = each
    return rows


def _row(number: int, image: Mapping[str, Any], field: Boxes, model: str) -> Tensor:
    """What was found in one image, ``(objects, 6)``; what is labelled as the background is left out."""
    missing = [part for part in PARTS if not isinstance(image.get(part), Tensor)]
    if missing:
        there = ", ".join(map(repr, image)) or "nothing"
        got = f"returned detections of {there}, and no tensor {missing[0]!r}"
        raise ModelError(Problem(model, got, "boxes (objects, 4), scores (objects,) and labels (objects,)"))
    boxes, scores, labels = (image[part] for part in PARTS)
    shapes = [tuple(each.shape) for each in (boxes, scores, labels)]
    if shapes != [(len(boxes), 4), (len(boxes),), (len(boxes),)]:
        got = f"returned boxes, scores and labels of shapes {shapes[0]}, {shapes[1]} and {shapes[2]}"
        raise ModelError(Problem(model, got, "(objects, 4), (objects,) and (objects,)"))
    dtype = boxes.dtype if boxes.is_floating_point() else torch.get_default_dtype()
    classes = labels.to(dtype) - field.first
    rows = torch.cat([boxes.to(dtype), scores.to(dtype)[:, None], classes[:, None]], 1)
    rows = rows[rows[:, CLASS] >= 0]
    if len(rows) > field.most:
        remedy = f"{field.most} at most: say outputs: {{boxes: {{value: boxes, most: {len(rows)}}}}} in its entry"
        raise Unanswered(number, f"{len(rows)} objects come back", remedy)
    _refuse_inverted(number, rows)
    return rows


def _refuse_inverted(number: int, rows: Tensor) -> None:
    wrong = (rows[:, 2] < rows[:, 0]) | (rows[:, 3] < rows[:, 1])
    if bool(wrong.any()):
        box = ", ".join(f"{edge:.5g}" for edge in rows[wrong][0, :4].tolist())
        got = f"a box ({box}) has its right or bottom edge before its left or top one"
        raise Unanswered(number, got, "left, top, right, bottom; of left, top, width, height add left and top")
