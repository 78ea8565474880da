"""What can be done with values at places of one kind, such as the grid of an image: their domain knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from torch import Tensor

from symbench.algebra.fields import Field
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.places import PLACES


class Handling:
    """What can be done with values at places of one kind; of a kind that nobody knows, as little as here.

    Attributes:
        noun: what the places are called, for messages.
        normalised: whether leaves are normalised before a model sees them, channel by channel.
        resizable: whether samples can be brought to a canvas.
        pictured: whether there may be something to look at in samples.
        blank: whether nothing but zeros is a sample.
    """

    noun = "places"
    normalised = False
    resizable = False
    pictured = False
    blank = False

    def resized(self, values: Tensor, canvas: Canvas | None) -> Tensor:
        """Samples ``(n, ...)`` brought to a canvas; as they are where none is given."""
        del canvas
        return values

    def followed(self, field: Field, target: Tensor, shape: tuple[int, ...], canvas: Canvas | None) -> Tensor:
        """A target ``(n, ...)`` of samples whose leaf was brought to a canvas, brought along with it.

        Args:
            field: of the target. What is said of a sample as a whole stays as it is.
            target: as it belongs to the leaf as it was.
            shape: of one sample of the leaf as it was.
            canvas: what it was brought to; None where it stayed.

        Raises:
            DataError: the target does not belong to such a leaf.
        """
        del field, shape, canvas
        return target

    def nearby(self, side: int) -> Sequence[int]:
        """Other sides than this one that are worth a try, to see whether an error is that of the size."""
        del side
        return ()

    def rendered(self, sample: Tensor, beside: Mapping[str, Tensor] | None = None) -> bytes | None:
        """A sample as a PNG, with what other leaves it has ``beside``; None where it is nothing to see."""
        del sample, beside
        return None

    def drawn(self, sample: Tensor, value: Tensor, field: Field, other: Tensor | None = None) -> bytes | None:
        """A sample with what is said of it over it, or with where two such values differ, as a PNG.

        Args:
            sample: as in :meth:`rendered`.
            value: of classes at places, the index of each, -1 where nothing is known; of anything else, itself.
            field: of what is said.
            other: another such value.

        Returns:
            None where that cannot be drawn.
        """
        del sample, value, field, other
        return None

    def about_failure(self, error: str, shape: tuple[int, ...]) -> str | None:
        """What to do about a model that raised this on samples ``(n, ...)`` of this shape; None if nobody knows."""
        del error, shape
        return None

    def about_turning(self, name: str, shape: tuple[int, ...]) -> str | None:
        """What may be behind an output ``(n, ...)`` that fails where the plane is turned; None if nobody knows."""
        del name, shape
        return None


@cache
def _handling(kind: str) -> Handling | None:
    found = PLACES.built_in(kind)
    made: Handling | None = None if found is None else found[0].load()()
    return made


def handling_of(field: Field) -> Handling:
    """What can be done with the values of a field: as its kinds of value and places are handled together, where there
    is a row for those; else as its outermost places of a known kind."""
    kinds = (field.key, *(each.key for each in field.places)) if field.places else ()
    return next((known for kind in kinds if (known := _handling(kind)) is not None), Handling())


def brought(
    leaves: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    canvas: Canvas | None,
    *,
    fields: Mapping[str, Field],
    target_fields: Mapping[str, Field],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Leaves brought to a canvas, and targets along with them: each with the leaf at its places, or else the first
    that can be brought to one.

    Raises:
        DataError: a target does not belong to its leaf.
    """
    resizable = {name: handling for name in leaves if (handling := handling_of(fields[name])).resizable}
    resized = {name: resizable[name].resized(x, canvas) if name in resizable else x for name, x in leaves.items()}
    along = {}
    for name, target in targets.items():
        field = target_fields[name]
        leaf = next((leaf for leaf in resizable if fields[leaf].places == field.places), next(iter(resizable), None))
        shape = () if leaf is None else tuple(leaves[leaf].shape[1:])
        along[name] = target if leaf is None else resizable[leaf].followed(field, target, shape, canvas)
    return resized, along


def about_failure(error: str, shapes: Sequence[tuple[int, ...]]) -> str | None:
    """What any domain says of a model that raised this on samples of these shapes."""
    known = [handling for kind in PLACES.rows if (handling := _handling(kind)) is not None]
    said = (handling.about_failure(error, shape) for shape in shapes for handling in known)
    return next((text for text in said if text is not None), None)
