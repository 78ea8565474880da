"""What earlier runs took on hardware like this: what a forecast learns from, and how far it may be off.

A cell is expected to take what cells of the same model took, on the same kind of data: its passes and its controls
each in proportion. Where there are none, nothing is expected: the speed of another model says nothing of this one.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbench.base.errors import ConfigError
from symbench.base.paths import cache_folder
from symbench.base.records import CellRecord, Manifest
from symbench.measure.store import Store, content_key

MOST_CELLS = 400
"""So many of the newest cells are looked at."""
APART = 1.4
"""Times of the very same cell on one machine differ by this factor: others work on it too."""
OTHER_SYMMETRY = 1.5
"""Farther apart by this where only other symmetries were measured: their controls are not the same."""
OTHER_SIZE = 1.5
"""Farther apart by this where all took ``FAR`` times more or fewer images: not everything is in proportion."""
FAR = 4
BEGIN = 32
"""Samples that the controls of a cell seldom need more of, where they stop as soon as their answer is clear."""
UNITS = ((3600, "h"), (60, "min"), (1, "s"))
NOT_IN_SPEED = {"only", "except", "train", "weights", "labels", "mean", "std", "pretrained", "split", "elements"}
"""Keys of entries that change no speed, or are counted otherwise."""


@dataclass(frozen=True)
class Guess:
    """A time that something is expected to take.

    Attributes:
        seconds: the middle.
        low: at least.
        high: at most.
        learnt: the cells and trainings that it was learnt from.
    """

    seconds: float
    low: float
    high: float
    learnt: frozenset[str] = frozenset()

    def __add__(self, other: Guess) -> Guess:
        """Both after one another; a machine that is slow for one is slow for the other."""
        both = self.learnt | other.learnt
        return Guess(self.seconds + other.seconds, self.low + other.low, self.high + other.high, both)

    def times(self, count: float) -> Guess:
        """As many of them, one after the other."""
        return Guess(count * self.seconds, count * self.low, count * self.high, self.learnt)

    @classmethod
    def around(cls, found: Mapping[str, float], apart: float) -> Guess:
        """From what each of some earlier ones would mean for this one."""
        times = list(found.values())
        return cls(statistics.median(times), min(times) / apart, max(times) * apart, frozenset(found))

    def __str__(self) -> str:
        size, unit = next(((s, u) for s, u in UNITS if self.high >= 2 * s), UNITS[-1])
        return f"{_rounded(self.low / size)} to {_rounded(self.high / size)} {unit}"


@dataclass(frozen=True)
class Work:
    """What a cell takes, or took.

    Attributes:
        alike: what it has in common with others that its speed can be told from: model, data, numerics.
        symmetry: likewise, its symmetry but for how many elements.
        images: through the model, in the measurement itself.
        checked: samples that the controls begin with, or run on where none stops early.
    """

    alike: str
    symmetry: str
    images: int
    checked: int

    @classmethod
    def of(cls, suite: Mapping[str, Any], names: Mapping[str, str], samples: int, elements: int) -> Work:
        """Of a cell of a suite, resolved to plain data.

        Args:
            suite: the suite.
            names: the cell's model, dataset and symmetry.
            samples: of the dataset.
            elements: of the symmetry, the identity among them.
        """
        model = _kept(suite["models"][names["model"]])
        alike = [model, _kept(suite["datasets"][names["dataset"]]), suite["numerics"].get("dtype")]
        symmetry = content_key(_kept(suite["symmetries"][names["symmetry"]]))
        controls = suite["controls"]
        most = BEGIN if not controls.get("full", True) else samples  # older ones know nothing of budgets
        checked = min(samples, controls["samples"], most)
        return cls(content_key(alike), symmetry, samples * elements, checked)


@dataclass(frozen=True)
class Past:
    """A cell that was measured: its work, the seconds of its passes and of its controls, and its model's FLOPs."""

    key: str
    work: Work
    passes: float
    controls: float
    flops: float | None = None

    def expected(self, work: Work) -> float:
        """What this much work of the kind would have taken."""
        return self.passes * work.images / self.work.images + self.controls * work.checked / self.work.checked


class History:
    """The cells of a results folder and the trainings of the cache that ran on hardware like this."""

    def __init__(self, store: Store, here: Mapping[str, Any]) -> None:
        self.here = hardware_of(here)
        self.cells = list(self._cells(store))
        self.trainings = list(self._trainings())

    def cell(self, work: Work) -> Guess | None:
        """What a cell is expected to take; None where nothing like it was measured."""
        alike = [past for past in self.cells if past.work.alike == work.alike]
        same = [past for past in alike if past.work.symmetry == work.symmetry]
        apart = APART if same else APART * OTHER_SYMMETRY
        near = [past for past in same or alike if 1 / FAR <= past.work.images / work.images <= FAR]
        apart = apart if near else apart * OTHER_SIZE
        found = {past.key: past.expected(work) for past in near or same or alike}
        return Guess.around(found, apart) if found else None

    def flops(self, work: Work) -> float | None:
        """Of one sample's forward pass, as a cell of the same model and data counted it; None where there is none."""
        return next((past.flops for past in self.cells if past.work.alike == work.alike), None)

    def training(self, recipe: Mapping[str, Any], shown: float) -> Guess | None:
        """What a training that shows so many samples is expected to take; None where nothing like it was trained."""
        kind = kind_of(recipe)
        found = {key: seconds * shown / past for key, alike, seconds, past in self.trainings if alike == kind}
        return Guess.around(found, APART) if found else None

    def _cells(self, store: Store) -> Iterator[Past]:
        seen: set[str] = set()
        for manifest in _newest_first(store):
            if hardware_of(manifest.environment) != self.here:
                continue
            for status in manifest.cells:
                if status.key in seen or len(seen) >= MOST_CELLS:
                    continue
                seen.add(status.key)
                record = store.cell(status.key) if status.status == "done" else None
                past = None if record is None else self._past(manifest, record, status.model_dump())
                if past is not None:
                    yield past

    def _past(self, manifest: Manifest, record: CellRecord, names: Mapping[str, str]) -> Past | None:
        whole, controls = record.facts.get("cell_seconds"), record.facts.get("control_seconds")
        if whole is None or controls is None or hardware_of(record.environment) != self.here:
            return None
        try:
            work = Work.of(manifest.suite, names, record.samples, len(record.elements))
        except KeyError:  # a manifest of another version
            return None
        return Past(record.key, work, whole - controls, controls, record.facts.get("flops"))

    def _trainings(self) -> Iterator[tuple[str, str, float, int]]:
        """Name, kind, seconds and samples shown of every training in the cache."""
        for path in (cache_folder() / "checkpoints").glob("??/*.json"):
            try:
                note = json.loads(path.read_bytes())
                if note["hardware"] == self.here and note["shown"]:  # one of no epochs took time and showed nothing
                    yield path.stem, kind_of(note["recipe"]), float(note["seconds"]), int(note["shown"])
            except (OSError, ValueError, KeyError, TypeError):  # of another version, or broken
                continue


def hardware_of(environment: Mapping[str, Any]) -> list[Any]:
    """What of an environment times depend on."""
    return [environment.get(key) for key in ("device", "processor", "threads")]


def kind_of(recipe: Mapping[str, Any]) -> str:
    """What two recipes have in common whose trainings take the same time for each sample that is shown."""
    augment = recipe["augment"]
    kind = [recipe[key] for key in ("use", "options", "args", "size")] + [recipe["recipe"]["batch"]]
    others = [recipe[key] for key in ("soften", "self_supervised") if recipe.get(key)]
    moving = [[each["group"], each["options"]] for each in others]
    together = [recipe["recipe"]["together"]] if "together" in recipe["recipe"] else []
    return content_key([*kind, augment and [augment["group"], augment["options"]], *moving, *together])


def shown_by(recipe: Mapping[str, Any], samples: int) -> float:
    """How many samples a training shows, each as often as it does, unless it stops early."""
    if "steps" in recipe:
        return float(recipe["steps"] * recipe["batch"])
    learnt = min(samples, recipe.get("samples", samples)) * (1 - recipe.get("validation", 0))
    return float(learnt * recipe.get("epochs", 1))  # least squares has none


def _kept(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in NOT_IN_SPEED}


def _newest_first(store: Store) -> Iterator[Manifest]:
    def age(path: Path) -> float:
        return -path.stat().st_mtime

    for path in sorted((store.root / "runs").glob("*.json"), key=age):
        try:
            yield store.manifest(path.stem)
        except ConfigError:  # broken, or of a later version
            continue


def _rounded(seconds: float) -> str:
    """Two digits: ``0.31``, ``4.5``, ``130``."""
    return f"{float(f'{seconds:.2g}'):,g}"
