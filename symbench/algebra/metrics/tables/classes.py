"""Class by class: where elements have a label, these have the name of a class."""

from __future__ import annotations

from functools import partial

from symbench.algebra.metrics.rows import MetricRow
from symbench.algebra.metrics.tables.making import behaviour

_class = partial(behaviour, shown=("classes",), per_element=True)

ROWS: dict[str, MetricRow] = {
    "unmoved_class_dice": _class(
        "classes:unmoved_class_dice", "Dice of each class, of the maps as they are", heading="Dice %"
    ),
    "class_dice": _class(
        "classes:class_dice", "Dice of each class over the orbit", heading="orbit Dice %",
        aliases=("orbit_class_dice",)
    ),
    "worst_element_class_dice": _class(
        "classes:worst_element_class_dice", "Dice of each class at the element where it is lowest",
        heading="worst element Dice %", paired=False,
    ),
    "unmoved_class_accuracy": _class(
        "classes:unmoved_class_accuracy", "accuracy of each class, of the samples as they are",
        heading="accuracy %", instead_of="class_dice",
    ),
    "class_accuracy": _class(
        "classes:class_accuracy", "accuracy of each class over the orbit", heading="orbit %", instead_of="class_dice",
        aliases=("orbit_class_accuracy", "per_class_accuracy", "accuracy_per_class", "class_recall"),
    ),
    "worst_element_class_accuracy": _class(
        "classes:worst_element_class_accuracy", "accuracy of each class at the element where it is lowest",
        heading="worst element %", instead_of="class_dice", paired=False,
    ),
}  # fmt: skip
