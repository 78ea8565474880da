"""Small pictures on disk and a suite that runs on them, for the tests of folders, of the pixel cache and of bad input."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil

MODEL = (
    "import torch\nfrom symbench.testing import Brightness\n\n\n"
    "def build(classes=2, channels=3):\n    torch.manual_seed(0)\n"
    "    return Brightness(classes=classes, channels=channels)\n"
)
SUITE = """\
version: 1
name: photos
datasets:
  photos: {{{data}}}
models:
{models}
symmetries:
  turns: {{group: C4, on: image}}
controls: {{samples: 4}}
"""
MINE = '  mine: {use: "model.py:build", size: 9, outputs: {logits: logits}}'


def picture(seed: int = 0, *, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Pil.Image:
    """A picture of soft noise, ``size`` being width and height."""
    rng = np.random.default_rng(seed)
    coarse = Pil.fromarray(rng.integers(0, 256, size=(4, 5, 3), dtype=np.uint8))
    return coarse.resize(size, Pil.Resampling.BICUBIC).convert(mode)


def encoded(image: Pil.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file of it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def folders(root: Path, count: int, *, classes: tuple[str, ...] = ("cat", "dog"), kind: str = "png") -> list[Path]:
    """Pictures in a sub-folder for each class, by turns."""
    files = []
    for i in range(count):
        path = root / classes[i % len(classes)] / f"{i:06d}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(i), {"png": "PNG", "jpg": "JPEG"}[kind]))
        files.append(path)
    return files


def suite(folder: Path, data: str = "use: images, root: photos", models: str = MINE) -> Path:
    """A suite of tiny models on the folder's pictures."""
    (folder / "model.py").write_text(MODEL)
    path = folder / "photos.yaml"
    path.write_text(SUITE.format(data=data, models=models))
    return path
