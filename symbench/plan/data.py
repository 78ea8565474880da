"""A dataset, loaded, with what is found out about it once."""

from __future__ import annotations

from dataclasses import dataclass, field

from symbench import assemble
from symbench.datasets.base import Canvas, Dataset
from symbench.errors import CellError, DataError, Problem
from symbench.events import Listener, Note


@dataclass
class Data:
    """A dataset, loaded, with what is found out about it once.

    Attributes:
        dataset: the dataset.
        name: the suite's key, for messages.
        digest: of its contents.
        told: remarks that people have heard.
        known: shapes and number of outputs, by canvas.
        broken: why it cannot be read; its cells fail with this reason.
    """

    dataset: Dataset
    name: str
    digest: str = ""
    broken: CellError | None = None
    told: set[str] = field(default_factory=set)
    known: dict[Canvas | None, tuple[dict[str, tuple[int, ...]], int]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, name: str) -> Data:
        """Take the digest, which reads every sample once."""
        found = cls(dataset, name)
        try:
            if assemble.reading(lambda: len(dataset), name) < 1:
                raise DataError(Problem(name, "the dataset is empty", "at least one sample"))
            found.digest = assemble.reading(dataset.digest, name)
        except CellError as error:
            found.broken = error
        return found

    def tell(self, listen: Listener) -> None:
        """Say what there is to remark of the dataset, each sentence once."""
        for remark in self.dataset.remarks():
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
