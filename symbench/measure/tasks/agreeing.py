"""What an output and its target both say of how they move: what one of them leaves open is as the other has it."""

from __future__ import annotations

from dataclasses import replace

from symbench.algebra.fields import Boxes, Classes, Field, Keypoints
from symbench.measure.tasks.base import Unfit


def agreed(output: Field, target: Field) -> tuple[Field, Field]:
    """Both fields, each with what the other alone says: joints that a mirror exchanges, boxes about turned ones.

    An output's origin is that of its target where it says no other than the usual one.
    """
    if isinstance(output, Keypoints) and isinstance(target, Keypoints):
        origin = target.origin if output.origin == Keypoints().origin else output.origin
        own = replace(output, pairs=output.pairs or target.pairs, origin=origin)
        return own, replace(target, pairs=target.pairs or output.pairs)
    if isinstance(output, Boxes) and isinstance(target, Boxes):
        hull = output.hull or target.hull
        return replace(output, hull=hull), replace(target, hull=hull)
    return output, target


def refuse_contradiction(name: str, output: Field, target_name: str, target: Field) -> None:
    """Refuse an output that is said to move otherwise than what it is held against.

    Labels of whole samples are looked at where they are, and an order for the output alone moves nothing of them.

    Raises:
        Unfit: with what both say.
    """
    mine, its = output.value, target.value
    if isinstance(mine, Classes) and isinstance(its, Classes) and output.places and mine.generators != its.generators:
        said, wanted = orders(mine), orders(its)
        remedy = "Say one order, in the order in which the model has the classes."
    elif isinstance(mine, Keypoints) and isinstance(its, Keypoints) and _unlike(mine, its):
        said, wanted = _points(mine), _points(its)
        remedy = "Say pairs and origin of one of them alone, or the same of both."
    else:
        return
    raise Unfit(f"output {name!r} is declared with {said}", f"that of its target {target_name!r}, {wanted}", remedy)


def orders(value: Classes) -> str:
    """Where each generator sends every class: ``order: {flip: [0, 2, 1]}``."""
    sent = ((name, [column.index(1.0) for column in zip(*rows, strict=True)]) for name, rows in value.generators)
    return f"order: {{{', '.join(f'{name}: {images}' for name, images in sent)}}}"


def _unlike(mine: Keypoints, its: Keypoints) -> bool:
    pairs = [{frozenset(pair) for pair in each.pairs} for each in (mine, its)]
    return mine.origin != its.origin or pairs[0] != pairs[1]


def _points(value: Keypoints) -> str:
    return f"pairs: {[list(pair) for pair in value.pairs]} and origin: {value.origin}"
