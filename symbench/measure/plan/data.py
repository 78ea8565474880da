"""A dataset, loaded, with what is found out about it once."""

from __future__ import annotations

import uuid
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from symbench.algebra.fields import Declared, Value
from symbench.base.errors import CellError, DataError, Problem
from symbench.base.events import Listener, Note
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.reading import change, change_under_seeds, seeded
from symbench.measure import assemble
from symbench.measure.plan.document import DataFacts

NOT_CACHEABLE = "not cacheable"
"""How the digest of data begins that cannot be read twice alike."""
ANEW = " anew"
"""How the digest of data ends that is another each time it is read, unless generators are seeded."""


COUNTS = frozenset({"classes", "labels"})
"""What is said of a value and changes no number: how many of something there are."""


def said_of(value: Value) -> dict[str, Any]:
    """What is said of a value beside its kind: pairs of joints, thresholds, units; nothing where all is as usual."""
    chosen = [each for each in fields(value) if each.name not in COUNTS and each.default is not MISSING]
    return {each.name: found for each in chosen if (found := getattr(value, each.name)) != each.default}


@dataclass
class Data:
    """A dataset, loaded, with what is found out about it once.

    Attributes:
        dataset: the dataset.
        name: the suite's key, for messages.
        digest: of its contents.
        count: how many samples it has; 0 where that cannot be known.
        told: remarks that people have heard.
        known: shapes and number of outputs, by canvas.
        broken: why it cannot be read; its cells fail with this reason.
        anew: whether samples are others each time they are read, which is right for training alone.
        notes: what people should be told beside the dataset's own remarks.
    """

    dataset: Dataset
    name: str
    digest: str = ""
    count: int = 0
    broken: CellError | None = None
    told: set[str] = field(default_factory=set)
    known: dict[Canvas | None, tuple[dict[str, tuple[int, ...]], int]] = field(default_factory=dict)
    anew: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def declared(self) -> dict[str, Any]:
        """How fields move that say so themselves: their names alone are alike whatever a generator does to them."""
        known = {**self.dataset.fields, **self.dataset.targets}.items()
        found = {name: field.value for name, field in known if isinstance(field.value, Declared)}
        documents = {name: {"generators": each.generators, "group": each.group} for name, each in found.items()}
        said = {name: said_of(field.value) for name, field in known if not isinstance(field.value, Declared)}
        said = {name: each for name, each in said.items() if each}
        return {**({"declared": documents} if documents else {}), **({"said": said} if said else {})}

    @classmethod
    def of(cls, dataset: Dataset, name: str) -> Data:
        """Take the digest, which reads every sample once, and see that some are the same when they are read again."""
        found = cls(dataset, name)
        try:
            found._take_digest()
            said = assemble.reading(lambda: change(dataset), name)
            if said is not None:
                remedy = "Take random transforms out of the test data, or seed them by the sample's index."
                raise DataError(Problem(name, said, "the same every time", remedy))
        except CellError as error:
            found.broken = error
        return found

    @classmethod
    def for_training(cls, dataset: Dataset, name: str) -> Data:
        """The same of data that may be another each time it is read.

        What a recipe says of it is then the digest of one reading under fixed seeds. Where not even that can be
        repeated, it is a digest that never comes again.
        """
        found = cls(dataset, name)
        try:
            found._take_digest()
            found.anew = assemble.reading(lambda: change(dataset), name) is not None
            unsteady = assemble.reading(lambda: change_under_seeds(dataset), name) if found.anew else None
        except CellError as error:
            found.broken = error
            return found
        if unsteady is not None:
            found.digest = f"{NOT_CACHEABLE} {uuid.uuid4()}"
            reason = "even with the generators of torch, NumPy and Python seeded"
            found.notes.append(f"{name}: {unsteady}, {reason}: what is trained on it is trained anew in every run")
        elif found.anew:
            found.digest = f"{found.digest}{ANEW}"
            found.notes.append(f"{name}: samples are others each time they are read, so every epoch reads them anew")
        return found

    @classmethod
    def reopened(cls, dataset: Dataset, name: str, facts: DataFacts) -> Data:
        """The same of data that was looked at when it was planned, and is loaded again in another process.

        Its contents are read once more: a result must not stand under the key of other data. Where they have
        changed, it is broken.
        """
        found = cls(dataset, name)
        try:
            found._take_digest()
            lasts = not facts.digest.startswith(NOT_CACHEABLE)
            if facts.broken is None and lasts and found.digest != facts.digest.removesuffix(ANEW):
                got, remedy = "the data has changed since the run was planned", "The same command plans it anew."
                raise DataError(Problem(name, got, None, remedy))
        except CellError as error:
            found.broken = error
        found.digest, found.anew, found.broken = facts.digest, facts.anew, facts.broken or found.broken
        return found

    def facts(self) -> DataFacts:
        """What a plan says of it."""
        return DataFacts(self.digest, self.count, self.anew, self.broken)

    def _take_digest(self) -> None:
        self.count = assemble.reading(lambda: len(self.dataset), self.name)
        if self.count < 1:
            raise DataError(Problem(self.name, "the dataset is empty", "at least one sample"))
        with seeded(0):
            self.digest = assemble.reading(self.dataset.digest, self.name)

    def tell(self, listen: Listener) -> None:
        """Say what there is to remark of the dataset, each sentence once."""
        for remark in (*self.notes, *self.dataset.remarks()):
            if remark not in self.told:
                self.told.add(remark)
                listen(Note(remark, warning=True))

    def shapes(self, canvas: Canvas | None) -> dict[str, tuple[int, ...]]:
        """The shape of every leaf; looked up once for each canvas."""
        if canvas not in self.known:
            self.known[canvas] = (assemble.reading(lambda: self.dataset.shapes(canvas=canvas), self.name), 0)
        return self.known[canvas][0]

    def outputs(self, canvas: Canvas | None) -> int:
        """How many numbers a model of it has to return; counted once."""
        shapes = self.shapes(canvas)
        if not self.known[canvas][1]:
            count = assemble.reading(lambda: assemble.output_count(self.dataset, canvas, self.name), self.name)
            self.known[canvas] = (shapes, count)
        return self.known[canvas][1]
