"""A suite's symmetry, built for a dataset: group, elements and the action of every leaf."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions import Lookup
from symbench.algebra.actions.base import Action
from symbench.algebra.fields import ANY, Classes, Field, Index, Point, same_places
from symbench.algebra.groups.base import Elements, Group, choose, undesigned
from symbench.algebra.groups.keeping import keeping_grids
from symbench.algebra.groups.views import draw_each
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, ImpossiblePair, Problem, SymbenchError, one_of
from symbench.base.identity import dependencies
from symbench.domains.common.canvas import Canvas, Frame
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.declarations import misdeclared
from symbench.measure.assemble.data import seed_for
from symbench.measure.store import content_key
from symbench.measure.suite import Suite
from symbench.measure.suite.entries import SymmetryEntry

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
        turns_about_own: what every sample's points turn about that is of its own, such as their centroid; else None.
        brought: whether code that is not ours takes part.
        reduced: what is to be said where a subgroup alone maps the grids of all leaves to themselves, and stands for
            the group; None where all of it does.
        frame: the shape of the grid that moves, whose pixels values without a frame of their own are told in.
    """

    group: Group
    elements: Elements
    on: str
    actions: Mapping[str, Action]
    document: dict[str, Any]
    entry_group: str
    options: dict[str, Any]
    lookup: Lookup
    on_field: Field
    axes: tuple[str, ...]
    turns_about_own: str | None = None
    brought: bool = False
    reduced: str | None = None
    frame: tuple[int, ...] = ()

    def from_reference(self, g: Tensor) -> Tensor:
        """What takes the reference view to each view, ``g g_0^-1``, of elements ``(k, ...)`` or ``(k, n, ...)``."""
        if not self.elements.moved_reference:
            return g
        others, first = g[1:].flatten(0, 1), g[:1].expand_as(g[1:]).flatten(0, 1)
        relative = self.group.compose(others, self.group.inverse(first))
        return torch.cat([self.group.identity()[None].expand_as(g[:1]), relative.unflatten(0, g[1:].shape[:2])])

    @property
    def places(self) -> str:
        """What places called ``*`` are: those that the symmetry moves, or those of the leaf whose values it moves."""
        return self.lookup.moved or next(iter(self.on_field.axes), ANY)

    @functools.cached_property
    def subgroups(self) -> list[Tensor]:
        """The group's finite subgroups; none where code that brings the group has no answer."""
        try:
            with foreign(ConfigError, self.entry_group, "listing its subgroups"):
                return list(self.group.subgroups())
        except SymbenchError:
            return []

    def is_computed(self, leaf: str, field: Field) -> bool:
        """Whether a leaf's numbers are computed with, so that whole ones would be cut, and coarse ones rounded
        twice."""
        return self.actions[leaf].moves_values and not isinstance(field.value, (Index, Classes))

    def action_on(self, field: Field, name: str = "") -> Action:
        """The action on an output or a target. Places ``*`` are those that the symmetry moves.

        Args:
            field: its field.
            name: its name, for messages.

        Raises:
            ImpossiblePair: nobody says how it moves; or it is along an axis that no leaf has, of which nobody could
                say whether it is the one that moves; or points would turn about another centre than the input's.
        """
        field = field.named(self.places).framed(self.frame)
        if self.turns_about_own and isinstance(field.value, Point):
            got = f"{field} would have to turn about the {self.turns_about_own} of an input"
            raise ImpossiblePair(Problem("", got, "inputs that are centred, and declared as Point()"))
        for axis in field.axes:
            if self.lookup.leaves.relabels and axis not in self.axes:
                got = f"{field} is along the axis {axis!r}, which no leaf of the dataset has"
                raise ImpossiblePair(Problem("", got, one_of(map(repr, self.axes))))
        action = actions.load(
            self.group, self.entry_group, field, self.options, on=self.on_field, leaf=name, lookup=self.lookup
        )
        if action.beside:
            got = f"{field} would have to be moved by the {action.beside[0]!r} of an input"
            raise ImpossiblePair(Problem("", got, "outputs and targets that move by themselves"))
        return action


def prepare(suite: Suite, name: str, dataset: Dataset, shapes: Mapping[str, tuple[int, ...]]) -> Prepared:
    """Build a symmetry's group, elements and actions for a dataset whose leaves have these shapes.

    Raises:
        ImpossiblePair: the group cannot act on a leaf or a target, or nobody says how.
        ConfigError: code that the suite or a plug-in brings raised.
    """
    entry, where = suite.symmetries[name], suite.where("symmetries", name)
    lookup = Lookup.of(entry.group, dataset.fields[entry.on], entry.action, where=where, folder=suite.folder)
    own = [groups.row_of(part, where=where, folder=suite.folder) for part in groups.factors(entry.group)]
    brought = not all(row.ours for row in (*own, *lookup.known.values()))
    with foreign(ConfigError, where, "preparing it") if brought else nullcontext():
        return replace(_prepared(suite, name, dataset, shapes, lookup), brought=brought)


def _prepared(
    suite: Suite, name: str, dataset: Dataset, shapes: Mapping[str, tuple[int, ...]], lookup: Lookup
) -> Prepared:
    entry, where = suite.symmetries[name], suite.where("symmetries", name)
    on_field = dataset.fields[entry.on]
    _check_declarations(entry.group, dataset, lookup, where)
    moving = lookup.moving(entry.on, on_field)  # the leaf it is on must move
    sizes = dataset.sizes.get(lookup.moved)
    group = groups.load(
        entry.group,
        entry.options,
        where=suite.where("symmetries", name, "group"),
        folder=suite.folder,
        places=dict(on_field.lengths(shapes[entry.on])).get(lookup.moved or next(iter(on_field.axes), "")),
    )
    _check_options(suite, name, [row for *_, row in moving])
    group, reduced = keeping_grids(group, dataset.fields, shapes, where)
    document: dict[str, Any] = {"group": entry.group, "options": entry.options, "elements": entry.elements}
    elements = _elements(suite, name, group, seed_for(suite.seed, "elements", content_key(document)), sizes)
    if elements.shared is None and group.strata(group.identity()) is not None:
        got = f"got elements of its own for every sample, and {entry.group} has pieces that are printed apart"
        expected = "draw: shared" if sizes is None else "a group in one piece, or samples of one size"
        raise ImpossiblePair(Problem(where, got, expected))
    leaves = _Leaves(entry, group, elements, lookup, dataset, shapes, where)
    moved, used = {leaf: leaves.action(leaf) for leaf in dataset.fields}, leaves.rows
    document |= {
        "on": entry.on,
        "actions": {leaf: [[found, row.version] for found, row in rows] for leaf, rows in used.items()},
        "draw": [entry.draw, entry.reference],
        "values": content_key(
            group.canonical(elements.at(range(min(FIRST, len(dataset)))).flatten(0, -1 - group.element_ndim)).tolist()
        ),
        "weights": content_key(elements.weights.tolist()),
        "code": _code(entry.group, [row for rows in used.values() for _, row in rows], suite.folder),
    }
    named = same_places(dataset.fields.values())
    about = _turns_about_own(dataset, lookup, where)
    prepared = Prepared(
        group, elements, entry.on, moved, document, entry.group, dict(entry.options), lookup, on_field, named, about
    )
    prepared = replace(prepared, reduced=reduced, frame=leaves.frame)
    _check_targets(prepared, dataset, where)
    return prepared


@dataclass(frozen=True)
class _Leaves:
    """What the leaves of a dataset are moved by.

    Attributes:
        entry: the suite's.
        group: the group.
        elements: those that are measured.
        lookup: the group's actions.
        dataset: whose leaves they are.
        shapes: of each, without the sample axis.
        where: the suite's key, for messages.
    """

    entry: SymmetryEntry
    group: Group
    elements: Elements
    lookup: Lookup
    dataset: Dataset
    shapes: Mapping[str, tuple[int, ...]]
    where: str

    @property
    def frame(self) -> tuple[int, ...]:
        """The shape of the grid that moves."""
        on = self.entry.on
        return self.dataset.fields[on].grid_shape(self.shapes[on])

    @property
    def rows(self) -> dict[str, list[tuple[str, actions.ActionRow]]]:
        """What moves each leaf, by name; leaves that stay are left out."""
        parts = {leaf: self.lookup.parts(leaf, field) for leaf, field in self.dataset.fields.items()}
        found = {leaf: [(name, row) for _, name, row in each] for leaf, each in parts.items()}
        return {leaf: each for leaf, each in found.items() if each}

    def action(self, leaf: str) -> Action:
        """The action on a leaf.

        Raises:
            ImpossiblePair: the group cannot act on it; or every sample's own elements make several shapes of it.
        """
        entry, fields, shape = self.entry, self.dataset.fields, self.shapes[leaf]
        field, on = fields[leaf].framed(self.frame), fields[entry.on]
        action = actions.load(self.group, entry.group, field, entry.options, on=on, leaf=leaf, lookup=self.lookup)
        reason = field.value.misfit(field.value_shape(shape)) or action.check(shape)
        lacking = [other for other in action.beside if other not in fields]
        reason = f"it takes a leaf {lacking[0]!r} beside it" if lacking and reason is None else reason
        if reason is not None:
            raise ImpossiblePair(Problem(self.where, f"{entry.group} cannot act on {leaf!r}: {reason}"))
        if self.elements.shared is None and self.group.count and any(action.exchanges(self.group.elements(), shape)):
            got = f"every sample has elements of its own, and {entry.group} exchanges the sides of {leaf!r}"
            raise ImpossiblePair(Problem(self.where, got, "draw: shared, or square images"))
        return action


def _check_targets(prepared: Prepared, dataset: Dataset, where: str) -> None:
    """Refuse targets of which nobody says how they move."""
    for target, field in dataset.targets.items():
        try:
            prepared.action_on(field, f"target {target}")
        except ConfigError as error:
            told = (
                replace(each, where=each.where or where, got=f"target {target!r}: {each.got}")
                for each in error.problems
            )
            raise ImpossiblePair(list(told)) from error


def _check_declarations(group: str, dataset: Dataset, lookup: Lookup, where: str) -> None:
    """Refuse a leaf that would stay where it is, by its declaration, while what it belongs to is moved."""
    found = misdeclared(dataset.fields, frozenset(each.family for each in lookup.apart or (lookup,)))
    if found is not None:
        leaf, row = found
        got = f"{group} would leave {leaf!r} ({dataset.fields[leaf]}) where it is, and turn {row.beside}"
        raise ImpossiblePair(Problem(where, got, f"{leaf!r} declared as a {row.value}, which turns with them"))


def _turns_about_own(dataset: Dataset, lookup: Lookup, where: str) -> str | None:
    """What points turn about that is of their sample, all of one leaf: a centroid, all of whose places are real."""
    points = {name: field.value for name, field in dataset.fields.items() if isinstance(field.value, Point)}
    own = [name for name, value in points.items() if value.centre != "origin"]
    if not own or Point.kind not in {row.kind for row in lookup.known.values()}:
        return None
    centre = points[own[0]].centre
    ragged = [axis for axis in dataset.fields[own[0]].axes if axis in dataset.sizes and centre == "centroid"]
    if len(points) > 1 or ragged:
        other = f"{ragged[0]} differ in number" if ragged else f"{one_of(points)} would turn about different points"
        expected = "points that are centred, and declared as Point()"
        raise ImpossiblePair(Problem(where, f"{own[0]!r} turns about its {centre}, and {other}", expected))
    return centre


def _check_options(suite: Suite, name: str, rows: Sequence[actions.ActionRow]) -> None:
    """Refuse keys that neither a group nor an action that code brings knows; those of our own are checked before."""
    entry, where = suite.symmetries[name], suite.where("symmetries", name)
    known = {key for row in rows for key in row.options.model_fields}
    for part in groups.factors(entry.group):
        known |= set(groups.row_of(part, where=where, folder=suite.folder).options.model_fields)
    for key in entry.model_extra or {}:
        if key not in known:
            at = suite.where("symmetries", name, key)
            raise ConfigError(Problem(at, f"got unknown key {key!r}", one_of(sorted(known)) or "no options"))


def _code(group: str, rows: Iterable[actions.ActionRow], folder: Path) -> list[Any]:
    """What a cell's key says of code beyond our own that moves its leaves."""
    mine = [groups.row_of(part, folder=folder) for part in groups.factors(group)]
    modules = dict.fromkeys(row.module for row in (*mine, *rows) if not row.ours)
    return [dependencies([module]).document() for module in modules]


def _elements(suite: Suite, name: str, group: Group, seed: int, sizes: Sequence[int] | None) -> Elements:
    """The elements that the suite asks for; where samples have sizes of their own, they have own elements too."""
    entry = suite.symmetries[name]
    where = suite.where("symmetries", name, "elements")
    if entry.elements is not None and entry.elements < group.fewest:
        got, expected = f"got {entry.elements}", f"{group.fewest} or more"
        raise ConfigError(Problem(where, got, expected, "Each piece that is printed apart has to be seen once."))
    if entry.draw == "per-sample" or sizes is not None:
        if group.designed:
            raise undesigned(group, where)
        count = (1 if sizes is None else 8) if entry.elements is None else entry.elements
        return draw_each(group, count, seed=seed, against=entry.reference, where=where, sizes=sizes)
    return choose(group, entry.elements, generator=torch.Generator().manual_seed(seed), where=where)


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
