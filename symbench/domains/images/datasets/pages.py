"""Pages of text, drawn: which way up a page lies is a class that turns with it, and documents are filed by it."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont
from torch import Tensor

from symbench.algebra.fields import classes
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.fields import Image

CLOCKWISE = classes({"turn": [3, 0, 1, 2]}, group="C4")
"""How often a page was turned by 90 degrees clockwise: once less after another turn, which is counter-clockwise."""
TEXT = (
    "the of and to in that it with as for was on are by this be at from his or had not have which one were all their "
    "there been many some time these may then more each other about such only new over made after also must through "
    "before being well where much should because long very under between both life never same another while last "
    "might great year since against right place during without again around however small found thought house part "
    "general high upon school every number water course light system group order letter paper table figure method"
)
FONTS = ("DejaVuSans.ttf", "DejaVuSerif.ttf")
"""Those that come with matplotlib, so that pages are the same wherever it is installed."""


def load(*, split: str, samples: int, size: int) -> Arrays:
    """Square grey pages of one heading and paragraphs of common words, dark on light, ``(n, 1, size, size)``.

    Font, size of letters, margins and shades differ from page to page, and every page was turned by quarter turns,
    drawn once and for all. The label says how often clockwise, as tools for documents have it.

    Args:
        split: ``train`` or ``test``; other pages.
        samples: how many.
        size: pixels a side.
    """
    rng = np.random.default_rng([0 if split == "test" else 1])
    pages = np.stack([page(rng, size) for _ in range(samples)])
    label = torch.from_numpy(rng.integers(4, size=samples))
    return Arrays(
        {"image": _turned(torch.from_numpy(pages)[:, None], label)},
        {"label": label},
        fields={"image": Image()},
        target_fields={"label": CLOCKWISE},
        classes=["0°", "90°", "180°", "270°"],
    )


def page(rng: np.random.Generator, size: int) -> np.ndarray:
    """One upright page, ``(size, size)`` float32 in [0, 1]."""
    paper, ink = int(rng.integers(215, 256)), int(rng.integers(0, 70))
    sheet = Pil.new("L", (size, size), paper)
    draw, letters = ImageDraw.Draw(sheet), size * float(rng.uniform(0.05, 0.075))
    family = FONTS[int(rng.integers(len(FONTS)))]
    left, bottom = size * float(rng.uniform(0.05, 0.12)), size * float(rng.uniform(0.88, 0.97))
    head, body = _font(family, 1.5 * letters), _font(family, letters)
    top = size * float(rng.uniform(0.04, 0.1))
    draw.text((left, top), " ".join(_words(rng, 2)).title(), fill=ink, font=head)
    top += 2.4 * letters
    while top + letters < bottom:
        if rng.random() < 0.15:
            top += 0.8 * letters  # the end of a paragraph
        draw.text((left, top), _line(rng, body, size - 2 * left), fill=ink, font=body)
        top += 1.35 * letters
    return np.asarray(sheet, dtype=np.float32) / 255


def _line(rng: np.random.Generator, font: ImageFont.FreeTypeFont, width: float) -> str:
    """As many words as fit into a width."""
    words = _words(rng, 1)
    while True:
        further = [*words, *_words(rng, 1)]
        if font.getlength(" ".join(further)) > width:
            return " ".join(words)
        words = further


def _words(rng: np.random.Generator, count: int) -> list[str]:
    words = TEXT.split()
    return [words[int(number)] for number in rng.integers(len(words), size=count)]


def _font(family: str, letters: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / family), round(letters))


def _turned(pages: Tensor, label: Tensor) -> Tensor:
    """Each page turned clockwise as often as its label says."""
    return torch.stack([page.rot90(-k, (-2, -1)) for page, k in zip(pages, label.tolist(), strict=True)])
