"""Folders as PASCAL VOC has them: pictures, lists of them, boxes in XML, and masks in a palette."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.base.events import Listener, ignore
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.images.datasets.annotated import Annotated
from symbench.domains.images.datasets.annotations import Annotation, Rows
from symbench.domains.images.datasets.facts import Files
from symbench.domains.images.datasets.masks import MaskFiles
from symbench.domains.images.datasets.objects import Thing, boxes_of
from symbench.domains.images.datasets.pictures import Pictures

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
IGNORED = 255
"""In masks, what lies between objects."""
LISTS = {"boxes": "Main", "masks": "Segmentation", "all": "Segmentation"}
"""Where the lists of pictures with such targets are."""


def load(
    *,
    root: str,
    target: str,
    list: str | None,
    classes: Sequence[str] | None,
    most: int | None,
    channels: int,
    split: str,
    folder: Path = Path(),
    where: str = "",
    listen: Listener = ignore,
) -> Annotated:
    """The pictures of such a folder, with boxes, masks or both.

    Classes are numbered from 0; where there are masks, from 1, and 0 is the background. Objects that are difficult
    are left out, as VOC's own measures leave them out.

    Args:
        root: the folder with ``JPEGImages``, relative to the suite's.
        target: ``boxes``, ``masks`` or ``all``, both.
        list: which list of pictures; None for ``val``, and ``train`` for training. ``{split}`` stands for the split.
        classes: the names of the classes, in the order of their numbers in masks; None for VOC's own 20.
        most: rows of boxes for each picture; None for as many as are needed.
        channels: 1 for grey, 3 for RGB.
        split: ``train`` or ``test``.
        folder: what a relative ``root`` starts from.
        where: the suite's key, for messages.
        listen: hears how far the looking through pictures has come.

    Raises:
        ConfigError: there is no such folder or list, or an annotation says what cannot be.
    """
    where = where or "voc"
    top = checked_path(folder, root, "test", key="root", where=where)
    stems = _listed(top, LISTS[target], list, split, where)
    photos = Files(top, [_picture(top, stem) for stem in stems])
    pictures = Pictures(photos, None, channels=channels, where=where, listen=listen)
    names, sizes, first = [*(classes or CLASSES)], pictures.facts.sizes, int(target != "boxes")
    made: dict[str, Annotation] = {}
    remarks: Sequence[str] = []
    if target != "masks":
        made["boxes"], remarks = _boxes(top, stems, sizes, names, first, most, where)
    if target != "boxes":
        files = Files(top, [f"SegmentationClass/{stem}.png" for stem in stems])
        masks = MaskFiles(files, 1 + len(names), ignored=IGNORED, where=where, listen=listen)
        made["masks"] = masks.maps(sizes)
    return Annotated(pictures, made, classes=["background", *names] if first else names, remarks=remarks)


def _listed(top: Path, kind: str, name: str | None, split: str, where: str) -> list[str]:
    """The names of the pictures of a list, without their suffixes.

    Raises:
        ConfigError: there is none, or it is empty.
    """
    if split == "train" and name is not None and "{split}" not in name:
        got, expected = f"list: {name} has no training split", "{split} in list, which stands for train or test"
        raise ConfigError(Problem(where, got, expected, "Without list: it is train and val."))
    chosen = {"train": "train", "test": "val"}[split] if name is None else name.replace("{split}", split)
    lists = top / "ImageSets" / kind
    try:
        lines = (lists / f"{chosen}.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        known = sorted(path.stem for path in lists.glob("*.txt"))
        got, expected = f"{lists / chosen}.txt cannot be read", f"one of {one_of(known) or 'none'} in {lists}"
        raise ConfigError(Problem(where, got, expected, near_miss(chosen, known))) from error
    stems = [line.split()[0] for line in lines if line.strip()]
    if not stems:
        raise ConfigError(Problem(where, f"{lists / chosen}.txt is empty", "a name in each line"))
    return stems


def _picture(top: Path, stem: str) -> str:
    """The path of a picture below the top; JPEG, where there is none of another kind."""
    others = (f"JPEGImages/{stem}{suffix}" for suffix in (".jpeg", ".png"))
    usual = f"JPEGImages/{stem}.jpg"
    return usual if (top / usual).exists() else next((path for path in others if (top / path).exists()), usual)


def _boxes(
    top: Path, stems: Sequence[str], sizes: np.ndarray, names: Sequence[str], first: int, most: int | None, where: str
) -> tuple[Rows, list[str]]:
    """The boxes of every picture, and remarks; pictures whose XML cannot be read are left out."""
    numbers = {name: first + number for number, name in enumerate(names)}
    digest, reasons, difficult = hashlib.sha256(f"{names} {first} {most}".encode()), {}, 0
    things: list[list[Thing]] = []
    for index, stem in enumerate(stems):
        path = top / "Annotations" / f"{stem}.xml"
        things.append([])
        try:
            data = path.read_bytes()
            root = parsed(data)
        except OSError as error:
            reasons[index] = f"{path.name} cannot be read: {error.strerror or error}"
            continue
        except ValueError as error:
            reasons[index] = f"{path.name} is no XML that can be used: {error}"
            continue
        digest.update(hashlib.sha256(data).digest())
        _check_size(root, sizes[index].tolist(), path.name, where)
        for each in root.iter("object"):
            if (each.findtext("difficult") or "0").strip() == "1":
                difficult += 1
            else:
                things[-1].append(_thing(each, numbers, path.name, where))
    found = boxes_of(things, sizes, first + len(names), digest.hexdigest(), most=most, where=where)
    found.reasons = reasons
    said = "1 difficult object is" if difficult == 1 else f"{difficult:,} difficult objects are"
    return found, [f"{where}: {said} left out."] if difficult else []


def _check_size(root: Element, size: Sequence[int], name: str, where: str) -> None:
    """Refuse annotations of a picture of another size."""
    said = [(root.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    if all(text.isdigit() and int(text) for text in said) and any(size) and [int(text) for text in said] != [*size]:
        got = f"{name} is of a picture of {said[0]} x {said[1]} pixels"
        remedy = "Its boxes are those of another picture."
        raise ConfigError(Problem(where, got, f"the {size[0]} x {size[1]} of the file", remedy))


def _thing(each: Element, numbers: Mapping[str, int], name: str, where: str) -> Thing:
    """An object: VOC counts pixels from 1, and the last one is part of the box."""
    called = (each.findtext("name") or "").strip()
    if called not in numbers:
        got, known = f"{name} has an object of class {quoted(called)}", [*numbers]
        remedy = near_miss(called, known) or "Say which there are, as classes: [car, cat]."
        raise ConfigError(Problem(where, got, f"one of {one_of(known)}", remedy))
    texts = [each.findtext(f"bndbox/{edge}") or "" for edge in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = (float(text) for text in texts)
    except ValueError as error:
        got = f"{name} has a {called} whose bndbox holds {', '.join(map(quoted, texts))}"
        raise ConfigError(Problem(where, got, "numbers for xmin, ymin, xmax and ymax")) from error
    return Thing((left - 1, top - 1, right, bottom), numbers[called], f"{name}, a {called},", name)


def parsed(data: bytes) -> Element:
    """The elements of an XML file, which may declare no entities: some kilobytes of these stand for gigabytes.

    Raises:
        ValueError: it is none.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*declared: object) -> None:
        raise ValueError("it declares a document type")

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        builder.end(tag)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    return builder.close()
