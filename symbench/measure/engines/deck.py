"""What is left of a run, and which device does what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from symbench.measure.engines.messages import Errand
from symbench.measure.plan.document import Cell

MOST_LOSSES = 2
"""Devices that may be lost over one errand: what ends a second one would end them all."""


@dataclass(frozen=True)
class Loss:
    """An errand whose device was lost.

    Attributes:
        errand: it.
        goes_on: whether other devices take it.
    """

    errand: Errand
    goes_on: bool


@dataclass
class Deck:
    """What is left, and who does what.

    Attributes:
        untrained: the cells of every model that is to be trained first, by its name: all of a model's cells are of
            one and the same checkpoint.
        waiting: cells that can be measured now, in the plan's order.
        held: the errand of each device that has one, by the device's number.
        loaded: the model that each device had last.
        losses: how many devices were lost over an errand, by its words.
        parts: how many parts each cell can be dealt in, by its key.
        begun: keys of cells whose parts others can take over.
        assisted: keys of cells that each device has been sent to assist in, by its number.
        trainings: which training gives a model's weights, by its name: replicas may have one together.
    """

    untrained: dict[str, tuple[Cell, ...]] = field(default_factory=dict)
    waiting: list[Cell] = field(default_factory=list)
    held: dict[int, Errand] = field(default_factory=dict)
    loaded: dict[int, str] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    parts: Mapping[str, int] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    assisted: dict[int, set[str]] = field(default_factory=dict)
    trainings: dict[str, str] = field(default_factory=dict)

    @property
    def left(self) -> bool:
        """Whether anything is still to be done, or being done; who only assists has nothing that would be missed."""
        return bool(self.untrained or self.waiting or any(o.doing != "assist" for o in self.held.values()))

    def take(self, station: int) -> Errand | None:
        """The next errand for a device that has none; None where there is nothing that it could do now."""
        errand = self._training() or self._cell(station) or self._parts(station)
        if errand is not None:
            self.held[station], self.loaded[station] = errand, errand.model
        return errand

    def _training(self) -> Errand | None:
        """The first model whose training no other device is at, for which this one would wait; or else the first."""
        if not self.untrained:
            return None
        under_way = {self.trainings.get(errand.model) for errand in self.held.values() if errand.doing == "train"}
        chosen = min(self.untrained, key=lambda name: self.trainings.get(name, name) in under_way)
        return Errand("train", self.untrained.pop(chosen))

    def _cell(self, station: int) -> Errand | None:
        """A cell of the model that the device has loaded, or of one that no other has, or else the first."""
        if not self.waiting:
            return None
        elsewhere = {errand.model for errand in self.held.values()}
        mine = self.loaded.get(station)
        chosen = min(self.waiting, key=lambda cell: (cell.pair.model != mine, cell.pair.model in elsewhere))
        self.waiting.remove(chosen)
        return Errand("measure", (chosen,))

    def _parts(self, station: int) -> Errand | None:
        """Parts of a cell that another device measures: of the one that fewest work on, or else of the longest."""
        at_work = Counter(errand.cells[0].key for errand in self.held.values() if errand.doing != "train")
        shared = [
            cell
            for cell in (errand.cells[0] for errand in self.held.values() if errand.doing == "measure")
            if cell.key in self.begun - self.assisted.get(station, set()) and at_work[cell.key] < self.parts[cell.key]
        ]
        if not shared:
            return None
        chosen = min(shared, key=lambda cell: (at_work[cell.key], -self.parts[cell.key]))
        self.assisted.setdefault(station, set()).add(chosen.key)
        return Errand("assist", (chosen,))

    def lost(self, station: int) -> Loss | None:
        """A device is lost, and with it the errand that it had; None if it had none."""
        errand = self.held.pop(station, None)
        if errand is None or errand.doing == "assist":  # the device that is assisted does it all, if need be
            return None if errand is None else Loss(errand, True)
        self.losses[str(errand)] += 1
        again = self.losses[str(errand)] < MOST_LOSSES
        if again and errand.doing == "train":
            self.untrained[errand.model] = errand.cells
        elif again:
            self.waiting.insert(0, errand.cells[0])
        return Loss(errand, again)

    def rest(self) -> Sequence[Cell]:
        """Every cell that nobody holds; none is left after it."""
        cells = [*(cell for cells in self.untrained.values() for cell in cells), *self.waiting]
        self.untrained.clear()
        self.waiting.clear()
        return cells
