"""One of two classes, told by one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from symbench.measure.tasks.base import NO_NAMES, Columns, Unfit, Views, shaped
from symbench.measure.tasks.scored import YesOrNo, refuse_beyond, yes_no_loss
from symbench.measure.tasks.scores import class_columns, likelier, log_no_yes


@dataclass(frozen=True)
class Binary(YesOrNo):
    """One number a sample, ``(n,)`` or ``(n, 1)``, for the second of two classes; the target is 0 or 1."""

    kind: ClassVar[str] = "binary"

    def columns(self, views: Views) -> Columns:
        """As :func:`~symbench.measure.tasks.scores.class_columns`, of no and yes."""
        output = views.output.reshape(*views.output.shape[:2])
        logs = torch.stack(log_no_yes(output, self.form), -1)
        before = likelier(views.raw.reshape(-1), self.form)
        return class_columns(logs, likelier(output, self.form), before, views.target)

    def check(self, shape: tuple[int, ...]) -> None:
        """Anything but one number is refused."""
        if shape not in {(), (1,)}:
            raise Unfit(f"output {self.output!r} has shape {shaped(shape)}", "one number a sample, (n,) or (n, 1)")

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """One number tells two classes apart."""
        refuse_beyond(1, 2, target, names)

    def classes(self, shape: tuple[int, ...]) -> int | None:
        """Two."""
        del shape
        return 2

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy."""
        return yes_no_loss(output.reshape(-1), target, self.form)

    def read(self, values: Tensor, before: Tensor) -> Columns:
        """The prediction, and the probability of the reference's."""
        probability = values if self.scale == "probabilities" else values.sigmoid()
        yes, was = probability.reshape(-1), likelier(before.reshape(-1), self.scale)
        prediction = likelier(values.reshape(-1), self.scale)
        return {"prediction": prediction, "confidence": torch.where(was == 1, yes, 1 - yes)}

    def predicted(self, values: Tensor) -> Tensor | None:
        """Yes above one half."""
        return likelier(values, self.scale)

    def averaged(self, mean: Tensor) -> Tensor | None:
        """Yes above one half."""
        return likelier(mean.reshape(-1), self.scale)

    def shown(self, output: Tensor, names: Mapping[int, str]) -> tuple[str | None, float | None]:
        """The likelier of the two."""
        number = output.reshape(())
        top = int(likelier(number, self.form))
        return names.get(top, str(top)), float(log_no_yes(number, self.form)[top].exp())
