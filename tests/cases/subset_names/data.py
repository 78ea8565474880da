"""Squares of three shades, whole and behind the wrappers that splits are made with."""

from __future__ import annotations

import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset, random_split

Pair = tuple[Image.Image, int]


class Shades(Dataset[Pair]):
    """Twelve squares of each shade, in the order of the sorted names, as in folders of images."""

    classes = ("bright", "dark", "mid")
    levels = (230, 25, 128)

    def __len__(self) -> int:
        return 36

    def __getitem__(self, index: int) -> Pair:
        label = index // 12
        return Image.new("L", (15, 15), self.levels[label] + index % 5), label


class Dimmed(Dataset[Pair]):
    """A wrapper of a user's own, which keeps what it wraps in ``dataset`` as torch's do."""

    def __init__(self, dataset: Shades) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Pair:
        image, label = self.dataset[index]
        return image.point(lambda level: level - 5), label


def whole() -> Shades:
    return Shades()


def half() -> Subset[Pair]:
    return Subset(Shades(), range(0, 36, 2))


def drawn() -> Subset[Pair]:
    return random_split(Shades(), [24, 12], torch.Generator().manual_seed(0))[0]


def joined() -> ConcatDataset[Pair]:
    return ConcatDataset([half(), Subset(Shades(), range(1, 36, 2))])


def dimmed() -> Dimmed:
    return Dimmed(Shades())
