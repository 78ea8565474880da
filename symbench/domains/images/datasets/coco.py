"""Objects as COCO's JSON files hold them: boxes, maps of their outlines, and joints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from symbench.algebra.fields import Keypoints
from symbench.base.errors import ConfigError, DataError, Problem, several
from symbench.base.events import Listener, ignore
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.images.datasets.annotated import Annotated
from symbench.domains.images.datasets.annotations import MOST_CLASSES, Annotation, Maps, Rows
from symbench.domains.images.datasets.decode import Unreadable
from symbench.domains.images.datasets.facts import Files, remembered_sha256
from symbench.domains.images.datasets.following import IGNORED
from symbench.domains.images.datasets.naming import short
from symbench.domains.images.datasets.objects import Thing, boxes_of, pairs_of
from symbench.domains.images.datasets.pictures import Pictures
from symbench.domains.images.datasets.polygons import mask_of

PARTS = ("images", "annotations", "categories")
BACKGROUND = "background"


class Document:
    """The contents of such a file, with images in their order and categories in that of their numbers.

    Attributes:
        images: ``id``, ``file_name`` and the rest of each.
        categories: likewise.
        objects: of each image, those that are no crowds.
        crowds: of each image, the others.
        flat: how many objects have no area, and are left out.
    """

    def __init__(self, file: Path, where: str) -> None:
        self.file, self.where = file, where
        found = self._read()
        self.images: list[dict[str, Any]] = found["images"]
        self.categories = sorted(found["categories"], key=lambda each: (isinstance(each["id"], str), each["id"]))
        place = {image["id"]: number for number, image in enumerate(self.images)}
        if len(place) < len(self.images):
            raise self.error("has two images of one id", "an id for each")
        if len(self.numbers) < len(self.categories):
            raise self.error("has two categories of one id", "an id for each")
        self.objects: list[list[dict[str, Any]]] = [[] for _ in self.images]
        self.crowds: list[list[dict[str, Any]]] = [[] for _ in self.images]
        self.flat = 0
        for each in found["annotations"]:
            self._check(each, place)
            box = each.get("bbox", [0, 0, 1, 1])
            if each.get("iscrowd"):
                self.crowds[place[each["image_id"]]].append(each)
            elif 0 in box[2:]:
                self.flat += 1
            else:
                self.objects[place[each["image_id"]]].append(each)

    @property
    def names(self) -> list[str]:
        """Of the files."""
        return [image["file_name"] for image in self.images]

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Which category stands where, by its id."""
        return {each["id"]: number for number, each in enumerate(self.categories)}

    def called(self, each: Mapping[str, Any]) -> str:
        """What messages call an annotation."""
        name = next(image["file_name"] for image in self.images if image["id"] == each["image_id"])
        return f"{self.file.name}, annotation {each.get('id', '(no id)')} of {short(name)}"

    def error(self, got: str, expected: str | None = None, remedy: str | None = None) -> ConfigError:
        """The error about the file."""
        return ConfigError(Problem(self.where, f"{self.file.name} {got}", expected, remedy))

    def check_sizes(self, sizes: np.ndarray) -> None:
        """Refuse images of another size than is said of them.

        Raises:
            ConfigError: with the first of them.
        """
        for image, (width, height) in zip(self.images, sizes.tolist(), strict=True):
            said = (image.get("width", width), image.get("height", height))
            if width and said != (width, height):
                got = f"says that {short(image['file_name'])} has {said[0]} x {said[1]} pixels"
                raise self.error(got, f"the {width} x {height} of the file", "Annotations are those of other images.")

    def _read(self) -> Any:
        """The file's JSON, checked to be such a file.

        Raises:
            ConfigError: it is not.
        """
        try:
            found = json.loads(self.file.read_bytes())
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one
            raise self.error(f"is no JSON: {error}", "a file of COCO's format") from error
        expected = "lists images (id, file_name), annotations (image_id, category_id) and categories (id, name)"
        for part, keys in zip(PARTS, (("id", "file_name"), ("image_id", "category_id"), ("id", "name")), strict=True):
            rows = found.get(part) if isinstance(found, dict) else None
            if not isinstance(rows, list):
                raise self.error(f"is no COCO file: it has no list {part!r}", expected)
            wrong = next((row for row in rows if not isinstance(row, dict) or not _named(row, keys)), None)
            if wrong is not None:
                raise self.error(f"is no COCO file: {part} holds {short(json.dumps(wrong))}", expected)
        if not found["images"] or not found["categories"]:
            raise self.error("has no images or no categories", "at least one of each")
        return found

    def _check(self, each: Mapping[str, Any], place: Mapping[int, int]) -> None:
        """Refuse an annotation of what is not listed."""
        if each["image_id"] not in place:
            raise self.error(
                f"has an annotation of image {each['image_id']}, which it does not list", "one that it does"
            )
        if each["category_id"] not in self.numbers:
            got = f"{self.called(each)} is of category {each['category_id']}, which is not listed"
            raise ConfigError(
                Problem(self.where, got, f"one of its {len(self.categories)} categories", "Add it there.")
            )
        if not isinstance(each.get("keypoints") or [], list):
            got = f"{self.called(each)} has keypoints {short(json.dumps(each['keypoints']))}"
            raise ConfigError(Problem(self.where, got, "a list of x, y and visibility"))
        if not isinstance(each.get("area") or 0, (int, float)):
            got = f"{self.called(each)} has area {short(str(each['area']))}"
            raise ConfigError(Problem(self.where, got, "a number"))
        box = each.get("bbox", [0, 0, 1, 1])
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(x, (int, float)) for x in box):
            raise ConfigError(
                Problem(self.where, f"{self.called(each)} has bbox {box}", "[left, top, width, height]")
            )


def _named(row: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether a part has these keys: ids that are numbers or words, and names of files that are words."""
    kinds = {"file_name": str, "name": object}
    return all(key in row and isinstance(row[key], kinds.get(key, (int, str))) for key in keys)


def load(
    *,
    path: str,
    images: str,
    target: str,
    most: int | None,
    channels: int,
    split: str,
    folder: Path = Path(),
    where: str = "",
    listen: Listener = ignore,
) -> Annotated:
    """The images that a file of COCO's format lists, with what it says of them.

    Classes are the categories in the order of their ids, numbered from 0; where there are maps, from 1, and 0 is
    the background. Crowds are no objects, and places to ignore on maps, as is what two classes cover.

    Args:
        path: the file, relative to the suite's folder; ``{split}`` in it, and in ``images``, stands for the split.
        images: the folder of the images, likewise.
        target: ``boxes``, ``masks``, ``keypoints`` or ``all`` that there are.
        most: rows of boxes for each image; None for as many as are needed.
        channels: 1 for grey, 3 for RGB.
        split: ``train`` or ``test``.
        folder: what relative paths start from.
        where: the suite's key, for messages.
        listen: hears how far the looking through images has come.

    Raises:
        ConfigError: the file is none of that format, or says what cannot be.
    """
    where = where or "coco"
    file = checked_path(folder, path, split, key="path", where=where)
    top = checked_path(folder, images, split, key="images", where=where)
    document = Document(file, where)
    wanted = ["boxes", "masks", "keypoints"] if target == "all" else [target]
    if target == "all" and not any(each.get("keypoints") for each in document.categories):
        wanted.remove("keypoints")
    pictures = Pictures(Files(top, document.names), None, channels=channels, where=where, listen=listen)
    document.check_sizes(pictures.facts.sizes)
    first = int("masks" in wanted)
    key = hashlib.sha256(f"{remembered_sha256(file)} {most} {first}".encode()).hexdigest()
    made: dict[str, Annotation] = {}
    if "boxes" in wanted:
        made["boxes"] = _boxes(document, pictures.facts.sizes, first, most, key)
    if "masks" in wanted:
        made["masks"] = _maps(document, pictures.facts.sizes, key)
    remarks = _remarks(document, wanted)
    if "keypoints" in wanted:
        made["keypoints"], more = _points(document, pictures.facts.sizes, key)
        remarks += more
    names = [*[BACKGROUND] * first, *(str(each["name"]) for each in document.categories)]
    said = [f"{where}: {remark}." for remark in remarks]
    return Annotated(pictures, made, classes=None if wanted == ["keypoints"] else names, remarks=said)


def _remarks(document: Document, wanted: Sequence[str]) -> list[str]:
    """What is left out."""
    crowds, said = sum(map(len, document.crowds)), []
    if crowds:
        them = "are places to ignore" if wanted == ["masks"] else "are no objects"
        it = "is a place to ignore" if wanted == ["masks"] else "is no object"
        said.append(f"{several(crowds, 'annotation')} of {f'a crowd {it}' if crowds == 1 else f'crowds {them}'}")
    are = "is" if document.flat == 1 else "are"
    return [*said, *([f"{several(document.flat, 'object')} without area {are} left out"] if document.flat else [])]


def _boxes(document: Document, sizes: np.ndarray, first: int, most: int | None, key: str) -> Rows:
    """The box of every object; of COCO's, left, top, width and height are told."""
    things = []
    for some, name in zip(document.objects, document.names, strict=True):
        missing = next((each for each in some if "bbox" not in each), None)
        if missing is not None:
            raise ConfigError(Problem(document.where, f"{document.called(missing)} has no bbox", "one for each"))
        things.append([_thing(each, document, first, short(name)) for each in some])
    return boxes_of(things, sizes, first + len(document.categories), key, most=most, where=document.where)


def _thing(each: Mapping[str, Any], document: Document, first: int, name: str) -> Thing:
    left, top, width, height = each["bbox"]
    number = first + document.numbers[each["category_id"]]
    called = f"{document.file.name}, annotation {each.get('id', '(no id)')} of {name}"
    return Thing((left, top, left + width, top + height), number, called, name)


def _maps(document: Document, sizes: np.ndarray, key: str) -> Maps:
    """The classes of all pixels, by objects' outlines."""
    if len(document.categories) >= MOST_CLASSES:
        raise document.error(f"has {len(document.categories):,} categories", f"less than {MOST_CLASSES} for maps")

    _check_outlined(document)

    def outline(each: Mapping[str, Any], size: Sequence[int]) -> np.ndarray:
        try:
            return mask_of(each.get("segmentation"), *size)
        except ValueError as error:
            raise DataError(Problem(document.where, f"{document.called(each)}: {error}")) from error

    def draw(index: int) -> np.ndarray:
        size = sizes[index].tolist()[::-1]
        if not any(size):
            raise Unreadable("its size is not known")
        drawn = np.zeros(size, dtype=np.int64)
        for each in document.objects[index]:
            number, inside = 1 + document.numbers[each["category_id"]], outline(each, size)
            drawn[inside] = np.where((drawn == 0) | (drawn == number), number, IGNORED)[inside]
        for each in document.crowds[index]:
            drawn[outline(each, size) & (drawn == 0)] = IGNORED
        return drawn

    maps = Maps(1 + len(document.categories), draw, sizes, key, document.where)
    some = next((index for index, objects in enumerate(document.objects) if objects and sizes[index].any()), None)
    try:
        if some is not None:
            draw(some)
    except DataError as error:  # nothing has run yet: it is the file that is wrong
        raise ConfigError(error.problems) from error
    return maps


def _check_outlined(document: Document) -> None:
    """Refuse objects and crowds of which nothing says where they are beside their box, before any map is drawn."""
    every = [each for some in (*document.objects, *document.crowds) for each in some]
    bare = [each for each in every if not each.get("segmentation")]
    if bare:
        more = f", and {len(bare) - 1:,} more of {len(every):,} have none" if len(bare) > 1 else ""
        got = f"{document.called(bare[0])} has no segmentation{more}"
        expected, remedy = "polygons or runs, which maps are drawn from", "Say target: boxes where there is no more."
        raise ConfigError(Problem(document.where, got, expected, remedy))


def _points(document: Document, sizes: np.ndarray, key: str) -> tuple[Rows, list[str]]:
    """The joints of the largest object of each image that has some, and remarks."""
    category = next((each for each in document.categories if each.get("keypoints")), None)
    if category is None:
        raise document.error("has no keypoints", "a category with names of keypoints", "Take target: boxes or masks.")
    joints, crowded, rows = [str(name) for name in category["keypoints"]], 0, []
    for some in document.objects:
        jointed = [
            each for each in some if each["category_id"] == category["id"] and any(each.get("keypoints") or ())
        ]
        crowded += len(jointed) > 1
        largest = max(jointed, key=lambda each: each.get("area") or 0, default=None)
        rows.append([] if largest is None else _joints(largest, len(joints), document))
    field = Keypoints(pairs_of(joints), origin="centre")  # they are numbers of pixels
    whose = "1 image are those of its" if crowded == 1 else f"{crowded:,} images are those of their"
    remarks = [f"the points of {whose} largest object alone"] if crowded else []
    return Rows(field, rows, sizes, key, most=len(joints), none=(0.0, 0.0, 0.0)), remarks


def _joints(each: Mapping[str, Any], count: int, document: Document) -> list[list[float]]:
    """x, y and whether it is visible, of every joint of an object."""
    numbers = each["keypoints"]
    if len(numbers) != 3 * count or not all(isinstance(x, (int, float)) for x in numbers):
        got = f"{document.called(each)} has {len(numbers)} numbers of keypoints"
        raise ConfigError(Problem(document.where, got, f"3 for each of {count}"))
    return [[float(x), float(y), float(seen > 0)] for x, y, seen in zip(*[iter(numbers)] * 3, strict=True)]
