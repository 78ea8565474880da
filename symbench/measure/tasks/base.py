"""What an output is for, and everything that depends on it: what is compared, which columns, which loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from torch import Tensor

from symbench.algebra.fields import ANY, Declared, Field, Undeclared
from symbench.base.errors import ModelError, Problem

Form = Literal["logits", "probabilities"]
Said = Literal["declared", "noticed", "assumed"]
Columns = dict[str, Tensor]
NAMES = {"embedding": "embedding", "image": "maps", "scalar": "value"}
"""What to call an output without a name of its own, by what it is; class scores keep theirs."""
ON_GRIDS = {"logits": "classes", "probabilities": "probabilities"}
"""What class scores of places are called where those of whole samples are called so."""
NO_NAMES: Mapping[int, str] = MappingProxyType({})


class Unfit(Exception):
    """An output is not what it is taken for: what was got, what was expected and what to do, without a place."""

    def __init__(self, got: str, expected: str | None = None, remedy: str | None = None) -> None:
        super().__init__(got)
        self.got, self.expected, self.remedy = got, expected, remedy


@contextmanager
def fitting(model: str) -> Iterator[None]:
    """Name the model that an output is wrong of.

    Raises:
        ModelError: for an :class:`Unfit` in the block.
    """
    try:
        yield
    except Unfit as error:
        raise ModelError(Problem(model, error.got, error.expected, error.remedy)) from error


@dataclass(frozen=True)
class Views:
    """Outputs of some views of some samples, and what they are measured against.

    Attributes:
        output: ``f(g.x)``, ``(k, n, *output)``.
        raw: ``f(x)``, ``(n, *output)``.
        target: what the output is to be, moved along, ``(k, n, *target)``; None without one.
        others: of an embedding, the directions of unmoved samples, ``(m, d)`` of length 1.
        own: which of these are the samples themselves, ``(n,)``; m or more where they are not among them.
        real: the share of the output's places that are no padding, ``(n,)``; None where there is none.
        kept: of maps of classes, what is predicted of the unmoved samples, moved along, ``(k, n, *grid)``; -1 where
            nothing is known.
        unmoved_target: what the output is to be for the samples as they are, ``(n, *target)``; None without one.
        unrenamed: the target with its places moved and its classes left as they were; None where no class is renamed.
    """

    output: Tensor
    raw: Tensor
    target: Tensor | None = None
    others: Tensor | None = None
    own: Tensor | None = None
    real: Tensor | None = None
    kept: Tensor | None = None
    unrenamed: Tensor | None = None
    unmoved_target: Tensor | None = None


@dataclass(frozen=True)
class Task(ABC):
    """One output, the target it is compared with, and how. One class for each kind, by name in ``TASKS``.

    Attributes:
        output: the output's name.
        field: its field, as declared.
        target: the target's name, or None where there are no labels.
        target_field: the target's field.
        scale: whether deviations of class scores are measured on probabilities or on logits.
        form: which of these the model returns, where it returns class scores.
        said: how it is known what the output is: ``declared``; ``noticed`` in its numbers; or ``assumed``.
        trained: the model was trained here, where what could be a sigmoid or small logits is refused.
        doubted: it was declared otherwise than it looks.
        key: what the model itself calls the output, where that is another name.
    """

    output: str
    field: Field
    target: str | None = None
    target_field: Field | None = None
    scale: Form = "probabilities"
    form: Form = "logits"
    said: Said = "declared"
    trained: bool = False
    doubted: bool = False
    key: str | None = None

    kind: ClassVar[str]
    """The word that records have for it."""
    scores: ClassVar[bool] = False
    """Whether the output holds class scores."""
    looks_around: ClassVar[bool] = False
    """Whether its columns need the outputs of other samples."""

    @abstractmethod
    def compared(self, output: Tensor) -> Tensor:
        """What deviations are measured on, float64, of ``(..., *output)``."""

    @abstractmethod
    def columns(self, views: Views) -> Columns:
        """The task's own columns of observations, each ``(k, n)`` or ``(k, n, labels)``."""

    @abstractmethod
    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse an output of this shape, without the sample axis.

        Raises:
            Unfit: it cannot be what it is taken for.
        """

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """What training lowers: the mean over a batch, differentiable.

        Args:
            output: ``(n, *output)``.
            target: ``(n, *target)``, on the same device.

        Raises:
            Unfit: the kind of task has no target to learn from.
        """
        del output, target
        raise Unfit(f"output {self.output!r} is taken for a task that has no loss: {self.kind}", "one with a target")

    def overlap_loss(self, output: Tensor, target: Tensor) -> Tensor | None:
        """The soft Dice loss of a batch of maps of classes, as :meth:`loss`; None of anything else."""
        del output, target
        return None

    def right_share(self, output: Tensor, target: Tensor) -> Tensor | None:
        """What share of the labelled places of each sample is right, ``(n,)``, of maps of classes; None of others.

        0 where no place is labelled.
        """
        del output, target
        return None

    def loss_of(self, values: Tensor, target: Tensor, real: Tensor | None) -> Tensor | None:
        """The column ``loss`` of outputs as :meth:`compared`, ``(k, n)``; None where there is no such column.

        Args:
            values: ``(k, n, *output)``.
            target: ``(k, n, *target)``.
            real: as in :class:`Views`.
        """
        as_given = replace(self, form=self.scale)  # class scores are compared as what the suite's scale says
        return as_given.columns(Views(values, values[0], target, real=real)).get("loss")

    def squares(self, values: Tensor, real: Tensor | None) -> Tensor | None:
        """Squared lengths of ``(k, n, *output)`` in the loss's unit, ``(k, n)``; None where it is none of squares."""
        del values, real
        return None

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """Refuse targets ``(n, ...)`` that an output of this shape cannot be held against; classes by their names.

        Raises:
            Unfit: there are more classes than outputs, or the shapes differ.
        """
        del shape, target, names

    def classes(self, shape: tuple[int, ...]) -> int | None:
        """How many classes an output of this shape can tell apart; None where it tells none."""
        del shape
        return None

    def settled(self, outputs: Iterable[Tensor], eps: float) -> Task:
        """The task once all outputs are known: whether class scores are probabilities is seen in all of them.

        Args:
            outputs: of every sample as it is, in pieces ``(n, *output)``.
            eps: of the precision that the model has.

        Raises:
            Unfit: they are not what they were declared to be.
        """
        del outputs, eps
        return self

    def at_first(self, output: Tensor) -> Task:
        """The task as training takes it, by the first batch of a model that has learnt nothing.

        Raises:
            Unfit: the form of its scores cannot be told so early.
        """
        del output
        return self

    def read(self, values: Tensor, before: Tensor) -> Columns:
        """What outputs as :meth:`compared`, ``(n, *output)``, predict; ``before`` is the reference's likewise."""
        del values, before
        return {}

    @property
    def renames(self) -> bool:
        """Whether it holds maps of classes that the group may permute."""
        return False

    def predicted(self, values: Tensor) -> Tensor | None:
        """The class of each of ``(..., *output)`` as :meth:`compared`, one for each place that has one; else None."""
        del values
        return None

    def averaged(self, mean: Tensor) -> Tensor | None:
        """The prediction ``(n,)`` of orbits' mean outputs as :meth:`compared`; None where there is none."""
        del mean
        return None

    def shown(self, output: Tensor, names: Mapping[int, str]) -> tuple[str | None, float | None]:
        """One sample's prediction ``(*output)`` in words, and how probable it is; None where it predicts no class."""
        del output, names
        return None, None

    def shown_target(self, target: Tensor, names: Mapping[int, str]) -> str | None:
        """One sample's label in words; None where that is no class."""
        del target, names
        return None

    @property
    def measured_on(self) -> str:
        """What :meth:`compared` gives, in words."""
        return "output"

    @property
    def unit(self) -> str:
        """The unit of deviations: the output's own, or its target's, where one of them has one."""
        declared = (field.value.unit for field in (self.field, self.target_field) if field is not None)
        return next((unit for unit in declared if unit is not None), "output")

    @property
    def per(self) -> str | None:
        """The axis with whose number of places the output grows, as it or its target declares; None of places."""
        declared = (field.value.per for field in (self.field, self.target_field) if field and not field.places)
        return next((axis for axis in declared if axis is not None), None)

    @property
    def noticed(self) -> str | None:
        """What it was taken for without a declaration, or against one; None where there is nothing to say."""
        return None

    @property
    @abstractmethod
    def word(self) -> str:
        """What a suite calls the output as it was taken."""

    @property
    def certain(self) -> str:
        """How to make that certain."""
        return f"{self.declaration(self.word)} in the model's entry makes that certain"

    def remark(self, taken: str | None = None) -> str | None:
        """What people should be told of what was not declared, with the line that declares it.

        Args:
            taken: how the output was found in what the model returned, where that was not declared.
        """
        said = [each for each in (taken, self.noticed) if each is not None]
        return "; ".join([*said, self.certain]) if said else None

    def strange(self, targets: Tensor, names: Collection[int]) -> str | None:
        """What people should be told of an output that no target can be like; None where that cannot be said.

        Args:
            targets: of some samples, ``(n, ...)``.
            names: the numbers of the classes that have names in the data; empty where none have.
        """
        del targets, names
        return None

    def describe(self) -> dict[str, Any]:
        """What a reader of the observations has to know of the output."""
        moved = not self.field.is_invariant
        return {
            "field": str(self.field) if moved else "Scalar",
            "task": self.kind,
            "labelled": self.target is not None,
            "measured_on": self.measured_on,
            "unit": self.unit,
            "said": self.said,
            **({"form": self.form} if self.scores else {}),
        }

    def declaration(self, word: str) -> str:
        """The line that makes it certain what the output is; one that has no name of its own gets one."""
        unnamed = self.key is None and isinstance(self.field, Undeclared)
        name = NAMES.get(word, self.output) if unnamed else self.key or self.output
        grid = self.field.grid or (None if self.target_field is None else self.target_field.grid)
        if grid is not None and word in ON_GRIDS:  # the words alone are of whole samples
            over = "" if grid.name == ANY else f", over: {grid.name}"
            word = f"{{value: {ON_GRIDS[word]}{over}}}" if over else "masks"
        return f"outputs: {{{name}: {word}}}"

    @property
    def unmoved(self) -> str | None:
        """What to do if no group moves it; None of what is declared so that every group has to."""
        value = self.field.value
        if isinstance(value, Declared) or value.in_units_of_a_frame:
            return None
        return f"Say {self.declaration('scalar')} in the model's entry if no group moves it."

    def taken(self, kind: type[Task], **changes: Any) -> Task:
        """The same output under another kind of task."""
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        return kind(**{**mine, **changes})


def shaped(shape: Iterable[int]) -> str:
    """A shape with its sample axis: ``(n, 8, 15, 15)``."""
    sizes = tuple(shape)
    return f"(n, {', '.join(map(str, sizes))})" if sizes else "(n,)"
