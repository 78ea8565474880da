"""Numbers and maps: whatever is compared as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import mse_loss

from symbench.algebra.comparison import flat
from symbench.algebra.fields import Embedding, Logits, Probabilities, word_of
from symbench.measure.tasks.base import NO_NAMES, Columns, Task, Unfit, Views, shaped


@dataclass(frozen=True)
class Regression(Task):
    """Numbers ``(n, ...)``; the target is of the same shape. One number a sample may be ``(n,)`` or ``(n, 1)``."""

    kind: ClassVar[str] = "regression"

    def compared(self, output: Tensor) -> Tensor:
        """The output itself."""
        return output.double()

    def columns(self, views: Views) -> Columns:
        """``loss`` (mean squared error over the output) and, for one number, ``score``; each ``(k, n)``."""
        numbers = flat(views.output.double())
        columns = {"score": numbers[..., 0]} if numbers.shape[-1] == 1 else {}
        if views.target is not None:
            wanted = views.target.double().reshape(views.output.shape)
            columns["loss"] = self.squares(views.output.double() - wanted, views.real)
        return columns

    def squares(self, values: Tensor, real: Tensor | None) -> Tensor:
        """The mean over the output; padding is zero, and counts neither way."""
        mean = flat(values.double()).square().mean(-1)
        return mean if real is None else mean / real

    def check(self, shape: tuple[int, ...]) -> None:
        """Maps have to be some; of anything else any shape will do."""
        if self.field.places and isinstance(self.field.value, (Logits, Probabilities, Embedding)):
            got = f"output {self.output!r} is declared as {self.field}"
            raise Unfit(got, "scores of whole samples: those of places cannot be measured yet")
        reason = self.field.value.misfit(self.field.value_shape(shape))
        if reason is not None:
            raise Unfit(f"output {self.output!r} is declared as {self.field} and has shape {shaped(shape)}", reason)
        if self.field.grid is not None and len(shape) != 3:
            got = f"output {self.output!r} is declared as maps and has shape {shaped(shape)}"
            remedy = f"Say {self.declaration('scalar')} in the model's entry if no group moves it."
            raise Unfit(got, "(n, c, h, w)", remedy)

    @property
    def word(self) -> str:
        """Maps or rows, or numbers."""
        return word_of(self.field, "scalar")

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """Shapes have to be equal, up to the axis of a single number."""
        del names
        wanted = tuple(target.shape[1:])
        if shape != wanted and {shape, wanted} != {(), (1,)}:
            raise Unfit(f"output {self.output!r} has shape {shaped(shape)}", f"the target's, {shaped(wanted)}")

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean squared error. Of (n, 1) and (n,) it would be that of all pairs, hence the shape."""
        return mse_loss(output, target.to(output.dtype).reshape(output.shape))
