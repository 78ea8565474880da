"""A suite's symmetry, built for a dataset: group, elements and the action of every leaf."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symbench import actions, groups
from symbench.actions.base import Action, TrivialAction
from symbench.assemble.data import seed_for
from symbench.code import foreign
from symbench.datasets.base import Canvas, Dataset, Frame, Valid
from symbench.datasets.wrappers import Every
from symbench.errors import DataError, ImpossiblePair, Problem, one_of
from symbench.fields import Category, Field, Nodes, axes
from symbench.groups.base import Elements, Group, choose
from symbench.groups.views import draw_each
from symbench.identity import dependencies
from symbench.store import content_key
from symbench.suite import Suite

ASKED = 64
"""Elements that a rule of valid labels is asked about where there are too many to ask about all."""
FIRST = 8
"""Samples whose own elements go into a cell's key; those of all others follow from the same seed and code."""


@dataclass(frozen=True)
class Prepared:
    """A symmetry ready to act on one dataset.

    Attributes:
        group: the group.
        elements: the elements that are measured, the identity first.
        on: the leaf that the suite names.
        actions: the action of every leaf of the dataset.
        document: what the cell's key says of the symmetry.
        axes: the named axes of all leaves.
    """

    group: Group
    elements: Elements
    on: str
    actions: Mapping[str, Action]
    document: dict[str, Any]
    entry_group: str
    options: dict[str, Any]
    action: str | None
    on_field: Field
    axes: tuple[str, ...]

    def from_reference(self, g: Tensor) -> Tensor:
        """What takes the reference view to each view, ``g g_0^-1``, of elements ``(k, ...)`` or ``(k, n, ...)``."""
        if not self.elements.moved_reference:
            return g
        others, first = g[1:].flatten(0, 1), g[:1].expand_as(g[1:]).flatten(0, 1)
        relative = self.group.compose(others, self.group.inverse(first))
        return torch.cat([self.group.identity()[None].expand_as(g[:1]), relative.unflatten(0, g[1:].shape[:2])])

    def action_on(self, field: Field) -> Action:
        """The action on an output or a target. The axis ``*`` is the one that the symmetry moves.

        Raises:
            ImpossiblePair: there is none; or the field is along an axis that no leaf has, and would be left alone.
        """
        if isinstance(field, Nodes) and field.axis == "*" and isinstance(self.on_field, Nodes):
            field = replace(field, axis=self.on_field.axis)
        for axis in axes(field):
            if isinstance(self.on_field, Nodes) and axis not in self.axes:
                got = f"{field} is along the axis {axis!r}, which no leaf of the dataset has"
                raise ImpossiblePair(Problem("", got, one_of(map(repr, self.axes))))
        return actions.load(self.group, self.entry_group, field, self.options, on=self.on_field, name=self.action)


def prepare(suite: Suite, name: str, dataset: Dataset, shapes: Mapping[str, tuple[int, ...]]) -> Prepared:
    """Build a symmetry's group, elements and actions for a dataset whose leaves have these shapes.

    Raises:
        ImpossiblePair: the group cannot act on a leaf.
    """
    entry = suite.symmetries[name]
    where = suite.where("symmetries", name)
    group = groups.load(entry.group, entry.options, where=suite.where("symmetries", name, "group"))
    document: dict[str, Any] = {"group": entry.group, "options": entry.options, "elements": entry.elements}
    elements = _elements(suite, name, group, seed_for(suite.seed, "elements", content_key(document)))
    on_field = dataset.fields[entry.on]
    actions.find(entry.group, on_field, entry.action, where=where)  # the leaf it is on must move
    moved: dict[str, Action] = {}
    names: dict[str, list[Any]] = {}
    for leaf, field in dataset.fields.items():
        action = actions.load(group, entry.group, field, entry.options, on=on_field, name=entry.action)
        reason = action.check(shapes[leaf])
        if reason is not None:
            raise ImpossiblePair(Problem(where, f"{entry.group} cannot act on {leaf!r}: {reason}"))
        moved[leaf] = action
        if not isinstance(action, TrivialAction):
            found, row = actions.find(entry.group, field, entry.action)
            names[leaf] = [found, row.version]
    document |= {
        "on": entry.on,
        "actions": names,
        "draw": [entry.draw, entry.reference],
        "values": content_key(
            group.canonical(elements.at(range(FIRST)).flatten(0, -1 - group.element_ndim)).tolist()
        ),
        "weights": content_key(elements.weights.tolist()),
        "code": [
            dependencies([groups.GROUPS.row(part).module]).document()
            for part in groups.factors(entry.group)
            if "/" in part
        ],
    }
    named = tuple(dict.fromkeys(axis for field in dataset.fields.values() for axis in axes(field)))
    return Prepared(
        group, elements, entry.on, moved, document, entry.group, dict(entry.options), entry.action, on_field, named
    )


def _elements(suite: Suite, name: str, group: Group, seed: int) -> Elements:
    entry = suite.symmetries[name]
    where = suite.where("symmetries", name, "elements")
    if entry.draw == "per-sample":
        count = 1 if entry.elements is None else entry.elements
        return draw_each(group, count, seed=seed, against=entry.reference, where=where)
    return choose(group, entry.elements, generator=torch.Generator().manual_seed(seed), where=where)


def validity_document(name: str, dataset: Dataset, prepared: Prepared) -> Any:
    """What a cell's key says of a dataset's rule of valid labels; None where it has no rule.

    The digest of its answers for every label and element, whatever they are taken from. Where every sample has its
    own elements, these are too many to ask for: see :func:`rule_document`.

    Raises:
        DataError: the rule raised.
    """
    rule, shared, labels = dataset.valid, prepared.elements.shared, _labels(dataset)
    if rule is None or shared is None or labels is None:
        return rule_document(name, dataset, prepared)
    return _answers(rule, name, labels, prepared.group.parameters(shared))


def rule_document(name: str, dataset: Dataset, prepared: Prepared) -> Any:
    """What is said of a rule of valid labels where any element may be met; None where there is no rule.

    The code that it stands in, and its answers for some elements that are drawn under a fixed seed.

    Raises:
        DataError: the rule raised.
    """
    rule, labels = dataset.valid, _labels(dataset)
    if rule is None:
        return None
    drawn = prepared.group.sample(ASKED, generator=torch.Generator().manual_seed(0))
    answers = _answers(rule, name, labels or (), prepared.group.parameters(drawn))
    return {"code": dependencies(_modules_of(rule)).document(), "answers": answers}


def _labels(dataset: Dataset) -> Sequence[int] | None:
    """The class labels that there are; None where that is not known."""
    for field in dataset.targets.values():
        count = field.classes if isinstance(field, Category) else getattr(field, "labels", None)
        if count is not None:
            return range(count)
    return dataset.occurring


def _answers(rule: Valid, name: str, labels: Sequence[int], elements: Sequence[Mapping[str, float]]) -> str:
    with foreign(DataError, name, "asking which elements keep a label (valid)"):
        return content_key([[label, [bool(rule(label, each)) for each in elements]] for label in labels])


def _modules_of(rule: Valid) -> Iterator[str]:
    """The modules that a rule stands in, and those that it only passes on to."""
    if isinstance(rule, Every):
        for each in rule.rules:
            yield from _modules_of(each)
    elif isinstance(rule, functools.partial):
        yield from _modules_of(rule.func)
    else:
        yield getattr(rule, "__module__", None) or type(rule).__module__


def canvas(suite: Suite, symmetry: str, model: str) -> Canvas | None:
    """What images are brought to: what the model sees, and the margin that a crop takes away.

    Where its ``resize`` leaves too little for that margin, images are made larger.
    """
    entry = suite.models[model]
    if entry.size is None:
        return None
    side = entry.size + 2 * int(suite.symmetries[symmetry].options.get("margin", 0))
    resize: int | tuple[int, int] = entry.resize or side
    resize = max(resize, side) if isinstance(resize, int) else (max(resize[0], side), max(resize[1], side))
    frame = Frame(side, resize, entry.interpolation or "bilinear", entry.crop or "round")
    return side if frame == Frame.of(side) else frame
