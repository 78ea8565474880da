"""Folders of pairs: an image, and a mask of the same name whose pixels are classes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from symbench.base.errors import ConfigError, DataError, Problem, near_miss
from symbench.base.events import Listener, ignore
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.images.datasets import decode
from symbench.domains.images.datasets.annotated import Annotated
from symbench.domains.images.datasets.annotations import MOST_CLASSES, Maps
from symbench.domains.images.datasets.facts import Files, gather
from symbench.domains.images.datasets.following import IGNORED
from symbench.domains.images.datasets.images import Walk
from symbench.domains.images.datasets.naming import first_few, short
from symbench.domains.images.datasets.pictures import Pictures

Colour = tuple[int, int, int]


class MaskFiles:
    """Masks in files: numbers of classes, or colours that stand for them.

    Attributes:
        facts: digests and sizes of the files.
    """

    def __init__(
        self,
        files: Files,
        classes: int,
        *,
        ignored: int | Colour | None = None,
        colours: Sequence[Colour] | None = None,
        where: str = "masks",
        listen: Listener = ignore,
    ) -> None:
        """Look at every file, without decoding any.

        Args:
            files: the masks.
            classes: how many there are.
            ignored: the number or the colour of places that count nowhere.
            colours: of the classes, in their order; None where masks hold their numbers.
            where: the suite's key, for messages.
            listen: hears how far the looking has come.
        """
        self.files, self.classes, self.where = files, classes, where
        self.ignored, self.colours = ignored, colours
        self.facts = gather(files, f"looking through masks of {where.rpartition('.')[2]}", listen)

    def maps(self, sizes: np.ndarray) -> Maps:
        """The maps of pictures of these sizes, width and height ``(n, 2)``.

        Raises:
            ConfigError: a mask is of another size than its picture, or the first is no mask.
        """
        said = f"{self.facts.digest()} {self.classes} {self.ignored} {self.colours} {decode.VERSION}"
        key = hashlib.sha256(said.encode()).hexdigest()
        reasons = {index: f"its mask cannot be read: {reason}" for index, reason in self.facts.reasons.items()}
        maps = Maps(self.classes, self.draw, sizes, key, self.where, reasons)
        readable = [index for index in range(len(sizes)) if index not in reasons]
        for index in readable:
            if sizes[index].any() and (self.facts.sizes[index] != sizes[index]).any():
                (w, h), (width, height) = self.facts.sizes[index].tolist(), sizes[index].tolist()
                got = f"mask {short(self.files.name(index))} has {w} x {h} pixels, and its image {width} x {height}"
                raise ConfigError(Problem(self.where, got, "one size", "Draw it anew, or take the pair out."))
        try:
            for index in readable[:1]:
                self.draw(index)
        except decode.Unreadable as error:
            reasons[readable[0]] = str(error)
        except DataError as error:  # nothing has run yet: it is the suite that is wrong
            raise ConfigError(error.problems) from error
        return maps

    def draw(self, index: int) -> np.ndarray:
        """The classes of one mask ``(h, w)``, int64, -1 for places to ignore.

        Raises:
            Unreadable: it cannot be decoded.
            DataError: it is no mask, has other classes, or is not what it was when it was looked at.
        """
        name = short(self.files.name(index))
        try:
            data = self.files.read(index)
        except OSError as error:
            got = f"mask {name} cannot be read any more: {error.strerror or error}"
            raise DataError(Problem(self.where, got)) from error
        if hashlib.sha256(data).digest() != self.facts.sha256[index].tobytes():
            raise DataError(Problem(self.where, f"mask {name} changed while it was in use", None, "Run it again."))
        try:
            stored = decode.stored(data)
        except decode.Unreadable as error:
            raise decode.Unreadable(f"its mask cannot be read: {error}") from error
        return self._coloured(stored, name) if self.colours else self._numbered(stored, name)

    def _numbered(self, stored: np.ndarray, name: str) -> np.ndarray:
        """Classes of a mask of numbers."""
        if stored.ndim == 3:
            got, expected = f"mask {name} has colours", "a number for each pixel, grey or in a palette"
            remedy = "Say which colour is which class, as colours: {road: [128, 64, 128]}."
            raise DataError(Problem(self.where, got, expected, remedy))
        ignored = stored == self.ignored if isinstance(self.ignored, int) else np.zeros(stored.shape, dtype=np.bool_)
        beyond = ~ignored & ((stored < 0) | (stored >= self.classes))
        if beyond.any():
            value, count = int(stored[beyond][0]), int(beyond.sum())
            got = f"mask {name} has class {value}, which is none, among {count:,} pixels of such"
            lossy = name.lower().endswith((".jpg", ".jpeg"))
            remedy = "JPEG changes numbers: keep masks as PNG." if lossy else "Name all classes, or say ignore:."
            raise DataError(Problem(self.where, got, f"0 to {self.classes - 1}", remedy))
        return np.where(ignored, IGNORED, stored)

    def _coloured(self, stored: np.ndarray, name: str) -> np.ndarray:
        """Classes of a mask of colours."""
        rgb = stored if stored.ndim == 3 else np.repeat(stored[..., None], 3, -1)
        one = rgb.astype(np.int64) @ np.array([65536, 256, 1])  # a number for each colour
        classes, known = np.full(one.shape, IGNORED), np.zeros(one.shape, dtype=np.bool_)
        for number, colour in enumerate([*(self.colours or ()), self.ignored]):
            here = one == _number(colour) if isinstance(colour, tuple) else np.zeros(one.shape, dtype=np.bool_)
            classes[here] = number if number < self.classes else IGNORED
            known |= here
        if not known.all():
            got = f"mask {name} has colour {rgb[~known][0].tolist()}, in {int((~known).sum()):,} pixels"
            expected, remedy = "one of colours:", "Add it there, or say ignore: with this colour."
            raise DataError(Problem(self.where, got, expected, remedy))
        return classes


def _number(colour: Colour) -> int:
    red, green, blue = colour
    return 65536 * red + 256 * green + blue


def load(
    *,
    root: str,
    images: str,
    masks: str | None,
    classes: Sequence[str] | int | None,
    colours: Mapping[str, Colour] | None,
    ignore: int | Colour | None,
    ending: str,
    channels: int,
    split: str,
    folder: Path = Path(),
    where: str = "",
    listen: Listener = ignore,
) -> Annotated | Pictures:
    """Pairs of an image and a mask below ``root``, met by their paths without suffixes.

    Args:
        root: the folder, relative to the suite's; ``{split}`` in it stands for the split.
        images: the folder of images below it.
        masks: that of masks; None takes the images as unlabelled.
        classes: the names of the classes, or their number.
        colours: the colour of each class by its name, where masks are in colour.
        ignore: the number, or the colour, of places that count nowhere.
        ending: what stands behind an image's name in that of its mask, such as ``_labels``.
        channels: 1 for grey, 3 for RGB.
        split: ``train`` or ``test``.
        folder: what a relative ``root`` starts from.
        where: the suite's key, for messages.
        listen: hears how far the looking through them has come.

    Raises:
        ConfigError: there are no pairs, one is of two sizes, or classes are missing or too many.
    """
    where = where or "masks"
    top = checked_path(folder, root, split, key="root", where=where)
    pictures, said = _below(top, images, "images", where)
    if masks is None:
        return Pictures(
            Files(top, list(pictures.values())), None, channels=channels, where=where, remarks=said, listen=listen
        )
    names, count = _classes(classes, colours, where)
    drawn, more = _below(top, masks, "masks", where)
    both = [key for key in pictures if key + ending in drawn]
    if not both:
        key, path = next(iter(pictures.items()))
        got = f"no mask has the name of an image: {short(path)} wants {short(f'{masks}/{key}{ending}.png')}"
        raise ConfigError(Problem(where, got, None, near_miss(key + ending, drawn)))
    used = {key + ending for key in both}
    said += [*more, *_single([pictures[key] for key in pictures if key not in both], "image", where)]
    said += _single([path for key, path in drawn.items() if key not in used], "mask", where)
    photos = Pictures(
        Files(top, [pictures[key] for key in both]), None, channels=channels, where=where, remarks=said, listen=listen
    )
    files = MaskFiles(
        Files(top, [drawn[key + ending] for key in both]),
        count,
        ignored=ignore,
        colours=None if colours is None else list(colours.values()),
        where=where,
        listen=listen,
    )
    return Annotated(photos, {"masks": files.maps(photos.facts.sizes)}, classes=names)


def _classes(
    classes: Sequence[str] | int | None, colours: Mapping[str, Colour] | None, where: str
) -> tuple[list[str] | None, int]:
    """The names of the classes, where they have some, and how many there are."""
    given = list(colours) if colours is not None else classes
    if given is None or (colours is not None and classes is not None):
        got = "got neither classes nor colours" if given is None else "got classes and colours"
        raise ConfigError(Problem(where, got, "one of them", "classes: [background, cat], or how many there are."))
    count = given if isinstance(given, int) else len(given)
    if count > MOST_CLASSES:
        raise ConfigError(Problem(where, f"got {count:,} classes", f"at most {MOST_CLASSES}"))
    return None if isinstance(given, int) else list(given), count


def _below(top: Path, name: str, key: str, where: str) -> tuple[dict[str, str], list[str]]:
    """Paths of images in a folder, below the top, by what they are without folder and suffix; and remarks."""
    if not (top / name).is_dir():
        near = [entry.name for entry in top.iterdir() if entry.is_dir()] if top.is_dir() else []
        raise ConfigError(
            Problem(where, f"{top / name} is no folder", f"one, named by {key}:", near_miss(name, near))
        )
    walk = Walk(top / name)
    found: dict[str, str] = {}
    for path in walk.images():
        key_of = str(Path(path).with_suffix(""))
        if key_of in found:
            got = f"{found[key_of]} and {name}/{path} have one name"
            raise ConfigError(Problem(where, got, "one file for each", "Take one of them out."))
        found[key_of] = f"{name}/{path}"
    if not found:
        expected = f"files that end in {', '.join(decode.SUFFIXES)}"
        raise ConfigError(Problem(where, f"no images below {top / name}", expected))
    return found, walk.remarks(where)


def _single(paths: Sequence[str], noun: str, where: str) -> list[str]:
    """A remark about files that have no partner."""
    if not paths:
        return []
    other = "mask" if noun == "image" else "image"
    count = (
        f"1 {noun} has no {other} and is" if len(paths) == 1 else f"{len(paths):,} {noun}s have no {other} and are"
    )
    return [f"{where}: {count} left out: {first_few(dict.fromkeys(paths, ''))}."]
