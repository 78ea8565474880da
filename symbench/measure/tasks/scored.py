"""What outputs that hold class scores have in common: the form of the scores, declared or noticed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from symbench.algebra.fields import Classes, Scalar
from symbench.measure.tasks.agreeing import orders
from symbench.measure.tasks.base import Form, Task, Unfit
from symbench.measure.tasks.scores import in_unit_interval, log_odds


@dataclass(frozen=True)
class Scored(Task):
    """An output of class scores: logits, or probabilities after softmax or a sigmoid.

    Unless the form is declared, it is noticed in the outputs of all samples as they are: so it depends on no batch,
    and on no view of a sample.
    """

    scores: ClassVar[bool] = True
    sign: ClassVar[str]
    """What probabilities are known by, in words."""
    early: ClassVar[bool] = False
    """Whether they are known by it before training too. Not in [0, 1], where logits that are still small lie too."""

    @abstractmethod
    def like_probabilities(self, outputs: Iterable[Tensor], eps: float) -> bool:
        """Whether all outputs ``(n, *output)`` look like probabilities, in numbers of this precision."""

    def settled(self, outputs: Iterable[Tensor], eps: float) -> Task:
        """As they look, unless declared; declared probabilities have to be some."""
        if self.trained and not self.early and self.said != "declared":
            return self
        like = self.like_probabilities(outputs, eps)
        if self.said != "declared":
            return replace(self, form="probabilities", said="noticed") if like else self
        if self.form == "probabilities" and not like:
            got = f"output {self.output!r} is declared as probabilities and holds none"
            raise Unfit(got, self.sign, f"Say {self.declaration('logits')} in the model's entry if they are logits.")
        return replace(self, doubted=self.form == "logits" and like)

    def at_first(self, output: Tensor) -> Task:
        """As it looks; what may be probabilities or logits that are still small has to be declared."""
        like = self.like_probabilities([output], torch.finfo(output.dtype).eps)
        if like and not self.early and self.said != "declared":
            got = (
                f"output {self.output!r} is in [0, 1] before training: probabilities, or logits that are still small"
            )
            remedy = f"Say {self.declaration('probabilities')} or {self.declaration('logits')} in the model's entry."
            raise Unfit(got, "a declaration", remedy)
        return self.settled([output], torch.finfo(output.dtype).eps)

    def check_order(self, classes: int) -> None:
        """Refuse scores of more or fewer classes than the order has that they are declared with.

        Raises:
            Unfit: with both numbers.
        """
        value = self.field.value
        if isinstance(value, Classes) and value.classes != classes:
            got = f"output {self.output!r} has scores of {classes} classes, and {orders(value)}"
            raise Unfit(got, f"an order of {classes} classes")

    def shown_target(self, target: Tensor, names: Mapping[int, str]) -> str | None:
        """The class."""
        return names.get(int(target), str(int(target)))

    @property
    def measured_on(self) -> str:
        """Probabilities or logits."""
        return self.scale

    @property
    def unit(self) -> str:
        """Probability or logit."""
        return "probability" if self.scale == "probabilities" else "logit"

    @property
    def noticed(self) -> str | None:
        """That it holds probabilities, or looks as if it did."""
        if self.said == "assumed" and isinstance(self.field, Scalar) and self.output != "logits":
            return (
                f"its output {self.output!r} is declared as numbers and taken for class scores, as labels are classes"
            )
        if self.said == "noticed":
            return f"its output is taken for probabilities, for it holds {self.sign}"
        return f"its output is declared as logits and holds {self.sign}" if self.doubted else None

    @property
    def word(self) -> str:
        """The form of its scores."""
        return self.form

    @property
    def certain(self) -> str:
        """How to make that certain, or to mend it."""
        if self.doubted:
            return f"say {self.declaration('probabilities')} in the model's entry if these are probabilities"
        return f"{self.declaration(self.word)} in the model's entry makes that certain"


@dataclass(frozen=True)
class YesOrNo(Scored):
    """Scores that each answer a question of their own: after a sigmoid they are probabilities."""

    sign: ClassVar[str] = "numbers in [0, 1] alone"

    def compared(self, output: Tensor) -> Tensor:
        """The probability of each yes, or its logit. A constant added to logits changes predictions here."""
        if self.scale == "logits":
            return log_odds(output, self.form)
        return output.double() if self.form == "probabilities" else output.double().sigmoid()

    def like_probabilities(self, outputs: Iterable[Tensor], eps: float) -> bool:
        """Numbers in [0, 1]."""
        del eps
        return in_unit_interval(outputs)


def yes_no_loss(output: Tensor, target: Tensor, form: Form) -> Tensor:
    """Binary cross-entropy, the mean over everything, of equal shapes."""
    wanted = target.to(output.dtype)
    if form == "logits":
        return binary_cross_entropy_with_logits(output, wanted)
    return binary_cross_entropy(output, wanted)


def count_of(outputs: int) -> str:
    """``has 1 output``."""
    return f"has {outputs} output{'' if outputs == 1 else 's'}"


def refuse_beyond(outputs: int, classes: int, target: Tensor, names: Mapping[int, str]) -> None:
    """Refuse labels that there is no output for.

    Raises:
        Unfit: with the first of them, by name where they have one.
    """
    beyond = target[target >= classes].unique().tolist()[:3]
    if beyond:
        shown = ", ".join(f"{label} ({names[label]})" if label in names else str(label) for label in beyond)
        expected = "as many outputs as classes" if classes == outputs else "as many outputs as classes, or 0 and 1"
        raise Unfit(f"{count_of(outputs)} and a label is {shown}", expected)
