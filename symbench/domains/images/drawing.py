"""Outputs drawn over their image: classes as colours, boxes as outlines, points as marks, and where two differ."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import torch
from PIL import Image as Pil
from PIL import ImageDraw
from torch import Tensor

from symbench.algebra.fields import Boxes, Field, Keypoints

SIDE = 112
"""Pixels a side of a picture, about: small images are drawn larger by a whole number, so that lines are thin."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of classes from 1 on; class 0 is usually the ground, and keeps the image's own."""
OTHER, UNKNOWN, ONE, TWO = "#e0144c", "#20242b", "#56b4e9", "#e69f00"
"""Places where maps differ; those of which nothing is known; and of what is compared, the one and the other."""
INK = 0.6
"""How much of a class's colour there is over the image."""


def drawn(image: Tensor, value: Tensor, field: Field, other: Tensor | None = None) -> bytes | None:
    """An image with an output over it, or with where two outputs differ, as PNG; None of what cannot be drawn.

    Args:
        image: ``(c, h, w)`` in [0, 1], of 1 or 3 channels.
        value: a map of class indices ``(h, w)``, -1 where nothing is known; boxes ``(most, 6)``; or points
            ``(joints, 2 or 3)``.
        field: of the output.
        other: another such value.
    """
    ground = _ground(image)
    if ground is None:
        return None
    value, other = value.detach().cpu(), None if other is None else other.detach().cpu()
    if other is not None:
        ground = ground.convert("L").convert("RGB")  # over grey no colour of the image can be taken for a mark
    if isinstance(field.value, Boxes):
        return _png(_with_boxes(ground, image.shape[-1], value, other))
    if isinstance(field.value, Keypoints):
        return _png(_with_points(ground, image.shape[-1], value, other, field.value))
    if value.is_floating_point() or value.ndim != 2 or value.shape != image.shape[1:]:
        return None
    return _png(_with_classes(ground, value, other))


def colour(label: int) -> str:
    """Of a class from 1 on: some that are told apart by everybody, and then all round the circle of hues."""
    if label <= len(COLOURS):
        return COLOURS[label - 1]
    red, green, blue = colorsys.hsv_to_rgb((label * 0.618034) % 1, 0.65, 0.9)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _ground(image: Tensor) -> Pil.Image | None:
    """The image in colour, enlarged if it is small."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        return None
    levels = (image.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    picture = Pil.fromarray(levels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())
    times = max(1, SIDE // max(picture.size))
    return picture.resize((times * picture.width, times * picture.height), Pil.Resampling.NEAREST)


def _with_classes(ground: Pil.Image, value: Tensor, other: Tensor | None) -> Pil.Image:
    labels = value.numpy()
    table = {-1: UNKNOWN, **{label: colour(label) for label in range(1, max(1, int(labels.max()) + 1))}}
    shown = labels
    if other is not None:
        unknown = (labels < 0) | (other.numpy() < 0)
        shown = np.where(unknown, -1, labels != other.numpy())
        table = {-1: UNKNOWN, 1: OTHER}
    over = np.zeros((*labels.shape, 4), dtype=np.uint8)
    for label, code in table.items():
        over[shown == label] = (*_rgb(code), round(255 * INK))
    layer = Pil.fromarray(over).resize(ground.size, Pil.Resampling.NEAREST)
    return Pil.alpha_composite(ground.convert("RGBA"), layer).convert("RGB")


def _with_boxes(ground: Pil.Image, width: int, value: Tensor, other: Tensor | None) -> Pil.Image:
    """Outlines in the colours of their classes; of two sets, each in one colour."""
    scale, draw = ground.width / width, ImageDraw.Draw(ground)
    for rows, of in ((value, None if other is None else ONE), (other, TWO)):
        for left, top, right, bottom, _, label in [] if rows is None else rows.double().tolist():
            edges = [left, top, max(left, right - 1 / scale), max(top, bottom - 1 / scale)]
            if label >= 0 and np.isfinite(edges).all():
                draw.rectangle([round(scale * edge) for edge in edges], outline=of or colour(int(label) + 1))
    return ground


def _with_points(ground: Pil.Image, width: int, value: Tensor, other: Tensor | None, field: Keypoints) -> Pil.Image:
    """Marks in a colour for each point; of two sets, a line from each point to where the other has it."""
    scale, draw = ground.width / width, ImageDraw.Draw(ground)
    shift = 0.5 if field.origin == "centre" else 0.0
    sets = [(scale * (points[:, :2].double() + shift)).tolist() for points in (value, other) if points is not None]
    radius = max(1.5, ground.width / 48)
    for number, ends in enumerate(zip(*sets, strict=True)):
        if not np.isfinite(ends).all():
            continue
        if len(ends) == 2:
            draw.line([tuple(end) for end in ends], fill=OTHER)
        for (x, y), of in zip(ends, (ONE, TWO) if len(ends) == 2 else (colour(number + 1),), strict=True):
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=of)
    return ground


def _rgb(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _png(picture: Pil.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
