"""One of several classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss

from symbench.algebra.fields import Logits, Probabilities
from symbench.measure.tasks.base import NO_NAMES, Columns, Unfit, Views, shaped
from symbench.measure.tasks.scored import Scored, refuse_beyond
from symbench.measure.tasks.scores import class_columns, log_classes, log_of, sum_to_one


@dataclass(frozen=True)
class Classification(Scored):
    """A score for each class, ``(n, classes)``; the target is an index."""

    kind: ClassVar[str] = "classification"
    sign: ClassVar[str] = "rows that are 0 or more and sum to 1"
    early: ClassVar[bool] = True

    def compared(self, output: Tensor) -> Tensor:
        """Probabilities, or mean-centred logits: adding a constant to all of them changes no prediction."""
        if self.scale == "probabilities":
            return output.double() if self.form == "probabilities" else output.double().softmax(-1)
        logits = log_of(output) if self.form == "probabilities" else output.double()
        return logits - logits.mean(-1, keepdim=True)

    def columns(self, views: Views) -> Columns:
        """As :func:`~symbench.measure.tasks.scores.class_columns`."""
        logs = log_classes(views.output, self.form)
        return class_columns(logs, views.output.argmax(-1), views.raw.argmax(-1), views.target)

    def check(self, shape: tuple[int, ...]) -> None:
        """Anything but ``(n, classes)`` is refused."""
        if len(shape) != 1:
            word = "masks" if isinstance(self.field, (Logits, Probabilities)) else "image"
            remedy = f"If these are maps that move along, say {self.declaration(word)} in the model's entry."
            got = f"output {self.output!r} has shape {shaped(shape)}"
            raise Unfit(got, "class scores (n, classes)", remedy if len(shape) == 3 else None)
        self.check_order(shape[0])

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """A class without an output is refused."""
        refuse_beyond(shape[0], shape[0], target, names)

    def classes(self, shape: tuple[int, ...]) -> int | None:
        """One for each score."""
        return shape[0]

    def like_probabilities(self, outputs: Iterable[Tensor], eps: float) -> bool:
        """Rows that are 0 or more and sum to 1."""
        return sum_to_one(outputs, eps)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy."""
        if self.form == "logits":
            return cross_entropy(output, target)
        return nll_loss(output.clamp(min=torch.finfo(output.dtype).tiny).log(), target)

    def read(self, values: Tensor, before: Tensor) -> Columns:
        """The prediction, and the probability of the reference's."""
        probabilities = values if self.scale == "probabilities" else values.softmax(-1)
        confidence = probabilities.gather(-1, before.argmax(-1, keepdim=True))[..., 0]
        return {"prediction": values.argmax(-1), "confidence": confidence}

    def predicted(self, values: Tensor) -> Tensor | None:
        """The class of the largest."""
        return values.argmax(-1)

    def averaged(self, mean: Tensor) -> Tensor | None:
        """The class of the largest."""
        return self.predicted(mean)

    def shown(self, output: Tensor, names: Mapping[int, str]) -> tuple[str | None, float | None]:
        """The class of the largest score."""
        top = int(output.argmax())
        return names.get(top, str(top)), float(log_classes(output, self.form)[top].exp())

    @property
    def measured_on(self) -> str:
        """Probabilities or centred logits."""
        return "probabilities" if self.scale == "probabilities" else "centred logits"
