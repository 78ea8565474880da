"""36 elements, 3 models of two sizes: what is decoded, and what memory 20,000 images take beside 2,000."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import photos

import symbench
from bench.table import Figure, say
from symbench.domains.images.datasets.decode import DECODED

FEW, MANY, GROWTH = 2_000, 20_000, 1.10
SUITE = """\
version: 1
name: photos
datasets: {photos: {use: images, root: photos}}
models:
  one:     {use: "model.py:build", size: 9}
  another: {use: "model.py:build", size: 9}
  smaller: {use: "model.py:build", size: 7}
symmetries: {turns: {group: SO2, on: image, elements: 35}}
controls: {samples: 4}
"""


class Peak:
    """The largest anonymous resident memory of this process in MiB, mapped files aside, looked at all the time."""

    def __enter__(self) -> Peak:
        self.mib = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.004):
            self.mib = max(self.mib, self._now())

    def _now(self) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def one(folder: Path) -> dict[str, float]:
    """In a process of its own: run the suite twice, then estimate; MiB and decoded images."""
    with Peak() as running:
        run = symbench.run(folder / "suite.yaml", results=folder / "one")
    assert all(cell.status == "done" for cell in run.manifest.cells), run.failed
    first = DECODED.total
    with Peak() as estimating:
        run.estimates()
    symbench.run(folder / "suite.yaml", results=folder / "two")
    return {"run": running.mib, "table": estimating.mib, "first": first, "second": DECODED.total - first}


def figures() -> Iterator[Figure]:
    """Ratios of the peaks, and the images that each run decodes."""
    found = {}
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory() as folder:
            photos.folders(Path(folder) / "photos", count, kind="jpg")
            photos.suite(Path(folder))
            (Path(folder) / "suite.yaml").write_text(SUITE)
            command = [sys.executable, "-m", "bench.memory", folder]
            environment = {**os.environ, "SYMBENCH_CACHE_DIR": str(Path(folder) / "cache")}
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            found[count] = json.loads(done.stdout)
            say(
                f"{count:,} images: {found[count]['run']:.0f} MiB in the run, {found[count]['table']:.0f} in the table"
            )
    what = f"{FEW:,} JPEGs x 36 elements x 3 models of two sizes"
    yield Figure(f"{what}: decoded by the first run", found[FEW]["first"], at_most=FEW, at_least=FEW)
    yield Figure(f"{what}: decoded by the second", found[FEW]["second"], at_most=0)
    for part, name in (("run", "peak memory of a run"), ("table", "peak memory up to the table of estimates")):
        yield Figure(f"{name}, {MANY:,} images over {FEW:,}", found[MANY][part] / found[FEW][part], at_most=GROWTH)


if __name__ == "__main__":
    print(json.dumps(one(Path(sys.argv[1]))))
