"""A whole run on photographs beside the loop that one would write by hand: the same pixels, the same predictions."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pil
from sklearn.datasets import load_sample_images
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

import symbench
from bench.table import Figure, say

COUNT, QUICK, SIDE, BATCH, CLASSES, ROUNDS = 512, 48, 224, 24, 10, 3
FASTER = 7.0
MARGIN = 1e-4
"""Between the two largest logits, below which rounding may decide."""
MODELS = {"one": 0, "other": 1}
SUITE = """\
version: 1
name: photographs
datasets: {{photographs: {{use: images, root: {root}}}}}
models:
  one:   {{use: "bench.loop:Tiny", args: {{seed: 0}}, size: 224}}
  other: {{use: "bench.loop:Tiny", args: {{seed: 1}}, size: 224}}
symmetries: {{turns: {{group: D4, on: image}}}}
numerics: {{device: cpu}}
{more}"""
FEWEST = "controls: {samples: 2}\n"


class Tiny(nn.Module):
    """A network that takes hardly any time beside the decoding of its images."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        first = nn.Conv2d(3, 16, 8, stride=8, bias=False)
        first.weight.data -= first.weight.data.mean((1, 2, 3), keepdim=True)  # brightness alone decides nothing
        self.body = nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(4))
        self.head = nn.Linear(16 * 16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        out: torch.Tensor = self.head(self.body(x).flatten(1))
        return out


class Moved(Dataset[tuple[torch.Tensor, int]]):
    """Photographs, each under one element of D4: turns by quarters after a flip from left to right."""

    def __init__(self, files: list[Path], element: int) -> None:
        self.files = files
        self.flipped, self.quarters = divmod(element, 4)
        self.transform = v2.Compose(
            [v2.Resize(SIDE), v2.CenterCrop(SIDE), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Pil.open(self.files[index]) as image:
            x = self.transform(image.convert("RGB"))
        return torch.rot90(x.flip(-1) if self.flipped else x, self.quarters, (-2, -1)), index


def photographs(root: Path, count: int = COUNT) -> list[Path]:
    """JPEGs of 400 x 300 pixels: parts of two photographs, at several sizes."""
    rng, whole = np.random.default_rng(0), [Pil.fromarray(image) for image in load_sample_images().images]
    files = []
    for i in range(count):
        image = whole[i % 2]
        width = int(rng.integers(200, 560))
        height = width * 3 // 4
        left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
        path = root / "ab"[i % 2] / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = image.crop((left, top, left + width, top + height)).resize((400, 300), Pil.Resampling.BICUBIC)
        part.save(path, quality=90)
        files.append(path)
    return sorted(files)


def figures(*, quick: bool = False) -> Iterator[Figure]:
    """How many times faster a first run is, with its controls and with as few as can be; predictions have to agree."""
    ratios: dict[str, list[float]] = {"": [], FEWEST: []}
    equal, count = [], QUICK if quick else COUNT
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), count)
        measured(Path(folder), FEWEST)  # warms up
        for _ in range(1 if quick else ROUNDS):
            start = time.perf_counter()
            logits = usual(files)
            by_hand = time.perf_counter() - start
            for more, found in ratios.items():
                seconds, predictions = measured(Path(folder), more)
                found.append(by_hand / seconds)
                say(f"usual loop {by_hand:.1f} s, symbench {seconds:.1f} s {'(fewest controls)' if more else ''}")
                equal.append(agreement(logits, predictions))
    what = f"first run on {count} JPEGs, 8 of D4, 2 models"
    yield Figure.over(f"{what}: times the usual loop's speed", ratios[""], at_least=FASTER)
    yield Figure.over(f"{what}: with 2 control samples", ratios[FEWEST], at_least=FASTER)
    yield Figure(f"{what}: share of equal predictions", min(equal), at_least=1.0)


def agreement(logits: dict[str, np.ndarray], predictions: dict[str, np.ndarray]) -> float:
    """The share of predictions that are equal, of those that rounding does not decide."""
    same = []
    for name, values in logits.items():
        ordered = np.sort(values, axis=-1)
        clear = ordered[..., -1] - ordered[..., -2] > MARGIN
        same.append((values.argmax(-1) == predictions[name])[clear])
    return float(np.concatenate(same).mean())


def usual(files: list[Path]) -> dict[str, np.ndarray]:
    """One pass over the files for each element and model; logits ``(elements, n, classes)``."""
    found = {}
    with torch.inference_mode():
        for name, seed in MODELS.items():
            net, passes = Tiny(seed).eval(), []
            for element in range(8):
                loader = DataLoader(Moved(files, element), batch_size=BATCH, num_workers=os.cpu_count() or 1)
                passes.append(torch.cat([net(x) for x, _ in loader]))
            found[name] = torch.stack(passes).numpy()
    return found


@contextmanager
def fresh_cache() -> Iterator[Path]:
    """An empty folder, with a pixel cache that holds nothing."""
    before = os.environ.get("SYMBENCH_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SYMBENCH_CACHE_DIR"] = str(Path(folder) / "cache")
        try:
            yield Path(folder)
        finally:
            os.environ.pop("SYMBENCH_CACHE_DIR")
            if before is not None:
                os.environ["SYMBENCH_CACHE_DIR"] = before


def measured(root: Path, more: str = "") -> tuple[float, dict[str, np.ndarray]]:
    """Seconds of a first run, and its predictions, ``(elements, n)``."""
    with fresh_cache() as folder:
        suite = folder / "suite.yaml"
        suite.write_text(SUITE.format(root=root, more=more))
        start = time.perf_counter()
        run = symbench.run(suite, choices=symbench.Choices(results=folder / "results", batch=BATCH))
        took = time.perf_counter() - start
        predictions = {}
        for cell in run.manifest.cells:
            assert cell.status == "done", cell.reason
            table = run.store.observations(cell.key).to_pandas().sort_values(["element", "sample"])
            predictions[cell.model] = table["prediction"].to_numpy().reshape(8, -1)
        return took, predictions
