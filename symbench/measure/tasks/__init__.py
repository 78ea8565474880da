"""Tasks: one for each output, by what it and its target are. Measuring, training and validation all ask here.

To add a kind of task: write its class in a file of its own, give it a row in ``TASKS``, and say in ``_kind`` which
fields it is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symbench.algebra.fields import (
    ANY,
    Boxes,
    Category,
    Classes,
    Embedding,
    Field,
    Keypoints,
    Logits,
    MultiLabel,
    Over,
    Probabilities,
    Scalar,
    Undeclared,
    Value,
)
from symbench.measure.tasks.agreeing import agreed, refuse_contradiction
from symbench.measure.tasks.base import Columns, Form, Task, Unfit, Views, fitting, shaped
from symbench.measure.tasks.binary import Binary
from symbench.measure.tasks.classification import Classification
from symbench.measure.tasks.detection import Detection
from symbench.measure.tasks.embedding import Embedding as EmbeddingTask
from symbench.measure.tasks.embedding import directions
from symbench.measure.tasks.keypoints import Points
from symbench.measure.tasks.multi_label import MultiLabelling
from symbench.measure.tasks.regression import Regression
from symbench.measure.tasks.segmentation import Segmentation

__all__ = ["TASKS", "Columns", "Open", "Task", "Unfit", "Views", "directions", "fitting", "pair", "shaped"]

TASKS: dict[str, type[Task]] = {
    task.kind: task
    for task in (
        Classification,
        Binary,
        MultiLabelling,
        EmbeddingTask,
        Regression,
        Detection,
        Segmentation,
        Points,
    )
}
"""The kinds of tasks, by the word that records have for them."""
SCORES = (Logits, Probabilities)
CLASSES = (Category, Classes, MultiLabel)


@dataclass(frozen=True)
class Open:
    """An output with its target, before it is known how many numbers it has.

    Attributes:
        output: the output's name.
        field: its field, as declared.
        target: the name of its target, or None.
        target_field: the target's field.
        meant: the field of the targets that the model was made for, where it is known and there are none.
        scale: whether deviations of class scores are measured on probabilities or on logits.
        trained: the model was trained here.
    """

    output: str
    field: Field
    target: str | None = None
    target_field: Field | None = None
    meant: Field | None = None
    scale: Form = "probabilities"
    trained: bool = False

    def of(self, shape: tuple[int, ...]) -> Task:
        """The task, of outputs of this shape without the sample axis.

        Raises:
            Unfit: they cannot be what they are taken for, or are said to move otherwise than their target.
        """
        self.refuse_contradiction()
        kind, undeclared = self._kind(shape), isinstance(self.field.value, Undeclared)
        assumed = undeclared or (isinstance(self.field.value, Scalar) and kind.scores)
        found = kind(
            self.output,
            self._field(kind),
            self.target,
            self._target_field(kind),
            self.scale,
            "probabilities" if isinstance(self.field.value, Probabilities) else "logits",
            "assumed" if assumed else "declared",
            self.trained,
        )
        found.check(shape)
        return found

    def refuse_contradiction(self) -> None:
        """Refuse an output that is said to move otherwise than its target.

        Raises:
            Unfit: with what both say.
        """
        if self.target is not None and self.target_field is not None:
            refuse_contradiction(self.output, self.field, self.target, self.target_field)

    def _field(self, kind: type[Task]) -> Field:
        """The output's: as declared, or that of its target where that moves and nothing is, or classes permute."""
        wanted, value = self.target_field, self.field.value
        if wanted is None:
            return self.field
        if kind is Segmentation:
            places = self.field.places or wanted.places
            if isinstance(wanted.value, Classes) and not isinstance(value, Classes):
                return Over(wanted.value, places)
            return self.field if isinstance(value, (*SCORES, Classes)) else Over(Logits(), places)
        permuting = isinstance(wanted, Classes) and isinstance(self.field, SCORES)
        moved = isinstance(value, Undeclared) and not wanted.is_invariant
        return wanted if permuting or moved else self.field

    def _target_field(self, kind: type[Task]) -> Field | None:
        """The target's; the classes of a map permute as those of the output do."""
        wanted = self.target_field
        if kind is Segmentation and wanted is not None and isinstance(self.field.value, Classes):
            return Over(self.field.value, wanted.places)
        return wanted

    def _is_map(self) -> bool:
        """Whether it holds classes at each place of a grid, by what is said of it or of its target."""
        of = (*SCORES, Classes)
        if self.field.grid is not None and isinstance(self.field.value, of):
            return True
        wanted = self.target_field
        named = wanted is not None and wanted.grid is not None and wanted.value.names
        return named and isinstance(self.field.value, (*of, Undeclared, Scalar))

    def _kind(self, shape: tuple[int, ...]) -> type[Task]:
        if self._is_map():
            return Segmentation
        if isinstance(self.field, Keypoints) or (
            isinstance(self.field, Undeclared) and isinstance(self.target_field, Keypoints)
        ):
            return Points
        if isinstance(self.field, Embedding):
            return EmbeddingTask
        if isinstance(self.field, Classes):
            return Classification
        wanted = self.target_field or (None if isinstance(self.field, Scalar) else self.meant)
        if isinstance(self.field, Boxes) or (isinstance(self.field, Undeclared) and isinstance(wanted, Boxes)):
            return Detection
        scores = isinstance(self.field, SCORES)
        if isinstance(self.field, (*SCORES, Scalar, Undeclared)):
            if isinstance(wanted, MultiLabel):
                return MultiLabelling
            if isinstance(wanted, Classes):
                return Classification
            if scores or isinstance(wanted, Category):
                return Binary if shape in {(), (1,)} else Classification
        if isinstance(self.field, Undeclared) and wanted is None:
            return self._unlabelled(shape)
        return Regression

    def _unlabelled(self, shape: tuple[int, ...]) -> type[Task]:
        """Of an output of which nothing is known: a number or an embedding, and never class scores in silence."""
        if shape in {(), (1,)}:
            return Regression
        if len(shape) == 1:
            return EmbeddingTask
        got = f"output {self.output!r} has shape {shaped(shape)}, and nothing says what it is"
        remedy = f"Say outputs: {{{self.output}: image}} in the model's entry of maps that move along, or scalar."
        raise Unfit(got, "a declaration", remedy)


def pair(
    outputs: Mapping[str, Field],
    targets: Mapping[str, Field],
    *,
    scale: Form,
    meant: Field | None = None,
    trained: bool = False,
) -> list[Open]:
    """Pair every output with its target: by name, or what is left where only one of each fits the other.

    Args:
        outputs: the field of every output.
        targets: the field of every target.
        scale: whether deviations of class scores are measured on probabilities or on logits.
        meant: the field of the targets that the model was made for, where it is known.
        trained: the model was trained here.
    """
    met = {name: name for name, field in outputs.items() if name in targets and not isinstance(field, Embedding)}
    for target, wanted in targets.items():
        if target not in met.values():
            output = _only(outputs, [name for name in outputs if name not in met], wanted)
            met |= {output: target} if output is not None else {}
    both = {name: agreed(outputs[name], targets[target]) for name, target in met.items()}
    alone = ((name, both.get(name, (field, None))) for name, field in outputs.items())
    return [Open(name, mine, met.get(name), its, meant, scale, trained) for name, (mine, its) in alone]


def _only(outputs: Mapping[str, Field], free: Sequence[str], wanted: Field) -> str | None:
    """The one free output that a target is for: one that was declared to be so before one that may be."""
    classes = isinstance(wanted.value, CLASSES)
    # classes that are declared to permute are those of the labels, whatever these say of themselves
    scores = (*SCORES, Classes) if isinstance(wanted.value, (Category, Classes)) else SCORES
    may = (Scalar, Undeclared) if classes or isinstance(wanted.value, Scalar) else (Undeclared,)

    def sure(value: Value) -> bool:
        return isinstance(value, scores) if classes else value.kind == wanted.value.kind  # a point is not any vector

    def possible(value: Value) -> bool:
        return isinstance(value, may)

    for fits in (sure, possible):
        fit = [name for name in free if fits(outputs[name].value) and _alike(outputs[name], wanted)]
        if fit:
            return fit[0] if len(fit) == 1 else None
    return None


def _alike(output: Field, wanted: Field) -> bool:
    """Whether both stand at the same places; an output of which nothing is said may stand anywhere."""
    if isinstance(output, Undeclared) and not output.places:
        return True
    kinds = [places.kind for places in output.places] == [places.kind for places in wanted.places]
    return kinds and all(mine in (ANY, other) for mine, other in zip(output.axes, wanted.axes, strict=True))
