"""Which elements change which labels: a 6 that is turned by 180 degrees is a 9, and leaves accuracy."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from symbench.base.code import foreign
from symbench.base.errors import DataError
from symbench.domains.common.datasets.targets import present
from symbench.measure.evaluate.job import Job


class Validity:
    """The dataset's own rule, asked once for every label and shared element."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.known: dict[int, np.ndarray] = {}

    def of(self, elements: Tensor, labels: Tensor | None, count: int) -> np.ndarray:
        """Whether each sample's label still holds under each element, ``(k, n)``.

        Args:
            elements: ``(k, ...)``, or ``(k, n, ...)`` where every sample has its own.
            labels: ``(n,)``, or 0 and 1 for each label ``(n, labels)``; None where there are none: then all is valid.
            count: n.

        Raises:
            DataError: the dataset's rule raised.
        """
        rule = self.job.dataset.valid
        if labels is None or rule is None:
            return np.ones((len(elements), count), dtype=bool)
        group, found = self.job.prepared.group, []
        per_sample = self.job.prepared.elements.shared is None
        shared = None if per_sample else group.parameters(elements)
        with foreign(DataError, self.job.cell.pair.dataset, "asking which elements keep a label (valid)"):
            for i, classes in enumerate(present(labels)):
                kept = np.ones(len(elements), dtype=bool)
                for label in classes:  # a sample of several labels has to keep them all
                    if shared is None:
                        kept &= [bool(rule(label, p)) for p in group.parameters(elements[:, i])]
                        continue
                    if label not in self.known:
                        self.known[label] = np.array([bool(rule(label, p)) for p in shared])
                    kept &= self.known[label]
                found.append(kept)
        return np.stack(found, axis=1)
