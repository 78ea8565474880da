"""Which task an output is for, what it was taken for, and the columns of each kind against a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, cross_entropy

from symbench.base.errors import ModelError
from symbench.domains.common.models.outputs import read
from symbench.fields import (
    Category,
    Embedding,
    Field,
    Image,
    Logits,
    MultiLabel,
    Nodes,
    Point,
    Probabilities,
    PseudoVector,
    Scalar,
    Undeclared,
    Vector,
)
from symbench.measure.tasks import TASKS, Open, Task, Unfit, Views, pair
from symbench.measure.tasks.binary import Binary
from symbench.measure.tasks.classification import Classification
from symbench.measure.tasks.embedding import Embedding as EmbeddingTask
from symbench.measure.tasks.multi_label import MultiLabelling
from symbench.measure.tasks.regression import Regression

LABEL, LABELS, NUMBER = {"label": Category(3)}, {"label": MultiLabel(3)}, {"y": Scalar()}
EPS = torch.finfo(torch.float32).eps


def task_of(field: Field, targets: dict[str, Field], shape: tuple[int, ...], **options: Any) -> Task:
    (output,) = pair({"out": field}, targets, scale="probabilities", **options)
    return output.of(shape)


@pytest.mark.parametrize(
    ("field", "targets", "shape", "kind"),
    [
        (Undeclared(), LABEL, (3,), "classification"),
        (Undeclared(), LABEL, (), "binary"),
        (Undeclared(), LABEL, (1,), "binary"),
        (Undeclared(), LABELS, (3,), "multi-label"),
        (Undeclared(), NUMBER, (1,), "regression"),
        (Undeclared(), {}, (3,), "embedding"),
        (Undeclared(), {}, (1,), "regression"),
        (Scalar(), LABEL, (3,), "classification"),
        (Scalar(), {}, (3,), "regression"),
        (Logits(), {}, (3,), "classification"),
        (Probabilities(), {}, (), "binary"),
        (Logits(), LABELS, (3,), "multi-label"),
        (Embedding(), LABEL, (3,), "embedding"),
        (Image(), LABEL, (1, 5, 5), "regression"),
        (Undeclared(), {"maps": Image()}, (1, 5, 5), "regression"),
    ],
)
def test_a_task_follows_from_output_target_and_shape(
    field: Field, targets: dict[str, Field], shape: tuple[int, ...], kind: str
) -> None:
    assert task_of(field, targets, shape).kind == kind
    assert kind in TASKS


def test_an_undeclared_output_is_what_the_model_was_made_for() -> None:
    assert task_of(Undeclared(), {}, (3,), meant=Category(3)).kind == "classification"
    assert task_of(Undeclared(), {}, (3,), meant=MultiLabel(3)).kind == "multi-label"
    assert task_of(Scalar(), {}, (3,), meant=Category(3)).kind == "regression"
    assert task_of(Undeclared(), {"maps": Image()}, (1, 5, 5)).field == Image()  # it moves as its target does


@pytest.mark.parametrize(
    ("outputs", "targets", "expected"),
    [
        ({"value": Scalar()}, {"energy": Scalar()}, {"value": "energy"}),
        ({"maps": Image()}, LABEL, {"maps": None}),
        ({"y": Scalar(), "embedding": Scalar()}, NUMBER, {"y": "y", "embedding": None}),
        ({"b": Scalar(), "a": Scalar()}, {"a": Scalar(), "b": Scalar()}, {"b": "b", "a": "a"}),
        ({"z": Embedding(), "out": Logits()}, LABEL, {"z": None, "out": "label"}),
        ({"out": Logits(), "x": Scalar()}, LABEL, {"out": "label", "x": None}),
        ({"a": Scalar(), "b": Scalar()}, LABEL, {"a": None, "b": None}),
        ({"out": Logits()}, NUMBER, {"out": None}),
        ({"label": Embedding()}, LABEL, {"label": None}),
        ({"p": Nodes("*", Scalar())}, {"q": Nodes("items", Scalar())}, {"p": "q"}),
        ({"p": Nodes("*", Point())}, {"q": Nodes("items", Vector())}, {"p": None}),
        ({"p": Nodes("*", Point())}, {"q": Nodes("items", Point())}, {"p": "q"}),
        ({"p": PseudoVector()}, {"q": Vector()}, {"p": None}),
    ],
)
def test_outputs_meet_their_targets(
    outputs: dict[str, Field], targets: dict[str, Field], expected: dict[str, str | None]
) -> None:
    found = pair(outputs, targets, scale="probabilities")
    assert {output.output: output.target for output in found} == expected


@pytest.mark.parametrize(
    ("field", "targets", "shape", "message"),
    [
        (Undeclared(), LABEL, (8, 5, 5), r"'out' has shape \(n, 8, 5, 5\)"),
        (Undeclared(), {}, (8, 5, 5), r"'out' has shape \(n, 8, 5, 5\), and nothing says what it is"),
        (Embedding(), {}, (8, 5, 5), "'out' has shape"),
        (Logits(), LABELS, (), r"'out' has shape \(n,\)"),
    ],
)
def test_shapes_that_a_task_cannot_have(
    field: Field, targets: dict[str, Field], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(Unfit, match=message):
        task_of(field, targets, shape)


@pytest.mark.parametrize(
    ("task", "shape", "target", "message"),
    [
        (
            Classification("out", Logits()),
            (2,),
            torch.tensor([0, 3, 2]),
            r"has 2 outputs and a label is 2, 3 \(fox\)",
        ),
        (Binary("out", Logits()), (1,), torch.tensor([0, 2]), "has 1 output and a label is 2"),
        (MultiLabelling("out", Logits()), (2,), torch.ones(4, 3), "has 2 outputs, and there are 3 labels"),
        (Regression("out", Scalar()), (2,), torch.ones(4), r"has shape \(n, 2\)"),
    ],
)
def test_targets_that_an_output_cannot_be_held_against(
    task: Task, shape: tuple[int, ...], target: Tensor, message: str
) -> None:
    with pytest.raises(Unfit, match=message):
        task.check_target(shape, target, {3: "fox"})


# What is noticed.


def softmax(classes: int = 3) -> Tensor:
    return torch.randn(50, classes, generator=torch.Generator().manual_seed(0)).softmax(1)


def settled(values: Tensor, size: int = 50, **changes: Any) -> Task:
    """A classification once it has seen some outputs, in pieces of a size."""

    def pieces() -> Iterator[Tensor]:
        yield from values.double().split(size)

    return Classification("out", Undeclared(), "label", Category(3), said="assumed", **changes).settled(pieces(), EPS)


@pytest.mark.parametrize("size", [1, 7, 50])
def test_softmax_is_noticed_in_pieces_of_any_size(size: int) -> None:
    assert settled(softmax(), size).form == "probabilities"
    assert settled(softmax().log(), size).form == "logits"


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (softmax().half(), "probabilities"),
        (softmax().bfloat16(), "logits"),  # a rounding of 2e-3 is too much for the precision that it came in
        (softmax(1000), "probabilities"),
        (torch.eye(3)[torch.arange(50) % 3], "probabilities"),
        (torch.cat([softmax(), torch.tensor([[0.5, 0.4, 0.3]])]), "logits"),
        (torch.cat([softmax(), torch.tensor([[-0.1, 0.8, 0.3]])]), "logits"),
        (torch.ones(50, 1), "logits"),
    ],
)
def test_what_is_taken_for_probabilities(values: Tensor, form: str) -> None:
    assert settled(values).form == form


def test_bfloat16_is_held_to_its_own_precision() -> None:
    eps = torch.finfo(torch.bfloat16).eps
    task = Classification("out", Undeclared(), said="assumed").settled([softmax().bfloat16().double()], eps)
    assert task.form == "probabilities"


def test_one_row_that_is_none_makes_them_logits_whichever_part_it_is_in() -> None:
    for place in (0, 25, 50):
        values = torch.cat([softmax()[:place], torch.tensor([[2.0, -1.0, 0.5]]), softmax()[place:]])
        assert settled(values, 10).form == "logits", place


def test_a_declaration_is_certain() -> None:
    declared = Classification("out", Logits(), said="declared").settled([softmax()], EPS)
    assert declared.form == "logits"
    assert "declared as logits and holds rows that are 0 or more" in str(declared.remark())
    with pytest.raises(Unfit, match="is declared as probabilities and holds none"):
        Classification("out", Probabilities(), form="probabilities").settled([torch.randn(9, 3)], EPS)


@pytest.mark.parametrize("kind", [Binary, MultiLabelling])
def test_numbers_in_0_to_1_are_taken_for_probabilities(kind: type[Task]) -> None:
    chances = torch.linspace(0, 1, 30).reshape(10, 3)
    assert kind("out", Undeclared(), said="assumed").settled([chances], EPS).form == "probabilities"
    assert kind("out", Undeclared(), said="assumed").settled([chances, chances - 0.01], EPS).form == "logits"
    assert kind("out", Undeclared(), said="assumed", trained=True).settled([chances], EPS).form == "logits"
    with pytest.raises(Unfit, match=r"in \[0, 1\] before training"):
        kind("out", Undeclared(), said="assumed").at_first(chances)
    assert kind("out", Logits()).at_first(chances).form == "logits"


def test_unlabelled_probabilities_are_class_scores() -> None:
    vectors = task_of(Undeclared(), {}, (3,))
    assert vectors.settled([torch.randn(9, 3)], EPS).kind == "embedding"
    found = vectors.settled([softmax()], EPS)
    assert (found.kind, found.form, found.said) == ("classification", "probabilities", "noticed")
    assert EmbeddingTask("out", Embedding()).settled([softmax()], EPS).kind == "embedding"  # declared


def test_remarks_name_the_line_that_declares() -> None:
    noticed = settled(softmax())
    assert "outputs: {out: probabilities}" in str(noticed.remark())
    assert settled(softmax().log()).remark() is None
    taken = settled(softmax().log()).remark("'head' is taken for its output")
    assert taken == "'head' is taken for its output; outputs: {out: logits} in the model's entry makes that certain"


# Columns.


def views(output: Tensor, target: Tensor | None = None) -> Views:
    return Views(output, output[0], None if target is None else target.expand(len(output), *target.shape))


def test_both_forms_of_one_softmax_are_one() -> None:
    logits = torch.randn(4, 20, 3, dtype=torch.float64)
    target = torch.arange(20) % 3
    ours = Classification("out", Logits()).columns(views(logits, target))
    theirs = Classification("out", Logits(), form="probabilities").columns(views(logits.softmax(-1), target))
    assert ours.keys() == theirs.keys()
    for name, column in ours.items():
        assert torch.allclose(column.double(), theirs[name].double(), atol=1e-12), name
    expected = cross_entropy(logits.flatten(0, 1), target.repeat(4), reduction="none").view(4, 20)
    assert torch.allclose(ours["loss"], expected)
    for scale in ("probabilities", "logits"):
        a = Classification("out", Logits(), scale=scale).compared(logits)
        b = Classification("out", Logits(), scale=scale, form="probabilities").compared(logits.softmax(-1))
        assert torch.allclose(a, b, atol=1e-12)


def test_a_probability_of_0_has_a_loss_of_100() -> None:
    certain = torch.tensor([[[1.0, 0.0]]])
    columns = Classification("out", Logits(), form="probabilities").columns(views(certain, torch.tensor([1])))
    assert columns["loss"].item() == 100
    both = Binary("out", Logits(), form="probabilities").columns(views(torch.tensor([[1.0]]), torch.tensor([0])))
    assert both["loss"].item() == 100


@pytest.mark.parametrize("form", ["logits", "probabilities"])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_binary_columns(form: Any, shape: tuple[int, ...]) -> None:
    logits = torch.randn(3, 30, dtype=torch.float64)
    chances, target = logits.sigmoid(), torch.arange(30) % 2
    output = (logits if form == "logits" else chances).reshape(3, 30, *shape)
    columns = Binary("out", Logits(), form=form).columns(views(output, target))
    assert torch.equal(columns["prediction"], (chances > 0.5).long())
    assert torch.equal(columns["correct"], (chances > 0.5) == target)
    loss = binary_cross_entropy(chances, target.double().expand(3, -1), reduction="none")
    assert torch.allclose(columns["loss"], loss)
    assert torch.allclose(columns["confidence"], torch.where(chances[0] > 0.5, chances, 1 - chances))
    assert torch.allclose(Binary("out", Logits(), form=form).compared(output).reshape(3, 30), chances)


@pytest.mark.parametrize("form", ["logits", "probabilities"])
def test_multi_label_columns(form: Any) -> None:
    logits = torch.randn(2, 9, 4, dtype=torch.float64)
    target = (torch.rand(9, 4) < 0.5).long()
    output = logits if form == "logits" else logits.sigmoid()
    columns = MultiLabelling("out", Logits(), form=form).columns(views(output, target))
    assert torch.allclose(columns["label_scores"].double(), logits, atol=1e-5)
    assert torch.equal(columns["correct"], ((logits > 0) == target.bool()).all(-1))
    loss = binary_cross_entropy(logits.sigmoid(), target.double().expand(2, -1, -1), reduction="none").mean(-1)
    assert torch.allclose(columns["loss"], loss)


def test_losses_of_training_are_those_that_are_measured() -> None:
    logits, target = torch.randn(12, 3, dtype=torch.float64), torch.arange(12) % 3
    many = (torch.rand(12, 3) < 0.5).long()
    for form in ("logits", "probabilities"):
        options: dict[str, Any] = {"form": form}
        several = logits if form == "logits" else logits.softmax(-1)
        each = logits if form == "logits" else logits.sigmoid()
        for task, output, wanted in (
            (Classification("out", Logits(), **options), several, target),
            (Binary("out", Logits(), **options), each[:, :1], target % 2),
            (MultiLabelling("out", Logits(), **options), each, many),
        ):
            measured = task.columns(views(output[None], wanted))["loss"].mean()
            assert torch.allclose(task.loss(output, wanted), measured), (task.kind, form)
    numbers = Regression("out", Scalar())
    wanted = torch.randn(12)
    assert torch.allclose(numbers.loss(logits[:, :1], wanted), (logits[:, 0] - wanted).square().mean())


# Embeddings.


def neighbours(moved: Tensor, still: Tensor) -> np.ndarray:
    """Recall at 1 by a loop: the share of the nearest that is the own one."""
    found = np.zeros(moved.shape[:2])
    for k, n in np.ndindex(*found.shape):
        nearness = [float(moved[k, n] @ other / moved[k, n].norm() / other.norm()) for other in still]
        nearest = [i for i, each in enumerate(nearness) if each >= max(nearness) - 1e-12]
        found[k, n] = (n in nearest) / len(nearest)
    return found


def embedded(moved: Tensor, still: Tensor, first: int = 0, kept: int | None = None) -> dict[str, Tensor]:
    others = torch.nn.functional.normalize(still.double(), dim=-1)[:kept]
    return EmbeddingTask("z", Embedding()).columns(
        Views(moved, still, others=others, own=torch.arange(first, first + len(still)))
    )


def test_retrieval_against_a_loop() -> None:
    still = torch.randn(25, 4, dtype=torch.float64)
    still[7] = 3 * still[3]  # of one direction, so they share
    moved = still + 0.7 * torch.randn(3, 25, 4, dtype=torch.float64)
    moved[0] = still
    columns = embedded(moved, still)
    assert np.allclose(columns["retrieved"].numpy(), neighbours(moved, still))
    assert columns["retrieved"][0, [3, 7]].tolist() == [0.5, 0.5]
    assert 0.2 < float(columns["retrieved"][1:].mean()) < 0.9
    assert torch.allclose(columns["cosine"], torch.cosine_similarity(moved, still.expand_as(moved), dim=-1))


def test_a_model_that_says_the_same_of_all_finds_its_own_by_chance() -> None:
    still = torch.ones(8, 4)
    columns = embedded(still.expand(2, 8, 4), still)
    assert torch.allclose(columns["retrieved"], torch.full((2, 8), 1 / 8, dtype=torch.float64))
    assert torch.allclose(columns["cosine"], torch.ones(2, 8, dtype=torch.float64))


def test_samples_beyond_the_kept_ones_look_for_themselves_too() -> None:
    still = torch.randn(12, 4, dtype=torch.float64)
    columns = embedded(still[None] + 0.01, still, kept=5)
    assert columns["retrieved"].tolist() == [[1.0] * 12]
    turned = still.roll(1, 0)
    assert embedded(turned[None], still, kept=5)["retrieved"][0, 1:6].tolist() == [0.0] * 5


# Reading.


@pytest.mark.parametrize(
    ("returned", "declared"),
    [
        ({"b": 2, "a": 1}, "ab"),
        ((1, 2), "ab"),
        ([1, 2, 3], "ab"),
        ({"a": [1], "b": (2,)}, "ab"),
    ],
)
def test_outputs_by_name_or_in_order(returned: Any, declared: str) -> None:
    def tensors(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: tensors(each) for name, each in value.items()}
        return type(value)(map(tensors, value)) if isinstance(value, (list, tuple)) else torch.full((3, value), 1.0)

    found = read(tensors(returned), dict.fromkeys(declared, Scalar()), 3, "mine")
    assert {name: value.shape[1] for name, value in found.outputs.items()} == {"a": 1, "b": 2}


def test_nothing_that_is_returned_can_be_an_output() -> None:
    with pytest.raises(ModelError, match=r"returned 'a' a list of 2 and 'b' \(n, 4\) of torch.int64"):
        read({"a": [1, 2], "b": torch.ones(3, 4).long()}, {"logits": Undeclared()}, 3, "mine")


def test_what_has_no_target_has_no_loss() -> None:
    task = Open("vector", Embedding()).of((3,))
    with pytest.raises(Unfit, match="has no loss: embedding"):
        task.loss(torch.zeros(2, 3), torch.zeros(2))
