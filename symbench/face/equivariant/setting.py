"""A group, and how it moves the inputs of a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import SHARP, Action, Kind, TrivialAction
from symbench.algebra.fields import Field
from symbench.algebra.groups import GROUPS, PRODUCT, factors
from symbench.algebra.groups.base import Elements, Group
from symbench.algebra.groups.keeping import keeping_grids
from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.face.equivariant.fields import fields_of_inputs, moved_axis


@dataclass(frozen=True)
class Setting:
    """A group, and how it moves every input.

    Attributes:
        name: the group's, in a suite.
        group: built.
        options: of the group and its actions.
        action: the name of the action, or None.
        on: the field of the input whose axis permutations move.
        fields: of all inputs.
        moves: how each is moved.
    """

    name: str
    group: Group
    options: dict[str, Any]
    action: str | None
    on: Field
    fields: Mapping[str, Field]
    moves: Mapping[str, Action]
    frame: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        leaves: Mapping[str, Tensor],
        fields: Any,
        options: dict[str, Any],
        action: str | None,
        on: str | None,
    ) -> Setting:
        """The setting of a call of ``assert_equivariant``, everything about inputs checked.

        Raises:
            ConfigError: an unknown name, field or option; or a shape that cannot be moved.
        """
        if not isinstance(name, str):
            raise ConfigError(Problem("group", f"got {quoted(name)}", "its name in a suite, such as 'C4'"))
        kinds = {row.kind for row in actions.rows(name, where="group").values()}
        known = fields_of_inputs(leaves, fields, name, kinds)
        _check_options(name, options)
        shapes = {leaf: tuple(x.shape[1:]) for leaf, x in leaves.items()}
        built, _ = keeping_grids(groups.load(name, options), known, shapes, "inputs")
        frames = (field.grid_shape(shapes[leaf]) for leaf, field in known.items())
        frame = next((each for each in frames if each), ())
        bare = cls(name, built, options, action, moved_axis(known, on), known, {}, frame)
        moves = {leaf: bare.act(field, f"input {leaf!r}") for leaf, field in known.items()}
        if all(isinstance(move, TrivialAction) for move in moves.values()):
            got = f"no input is moved by {name}: {', '.join(f'{leaf!r} is {field}' for leaf, field in known.items())}"
            raise ConfigError(Problem("fields", got, "a field that it acts on"))
        for leaf, move in moves.items():
            missing = [other for other in move.beside if other not in known]
            if missing:
                got = f"{name} moves {leaf!r} by {missing[0]!r}, which is no input"
                raise ConfigError(Problem("fields", got, "both among the inputs"))
            reason = move.check(shapes[leaf])
            if reason is not None:
                raise ConfigError(Problem(f"input {leaf!r}", f"{name} cannot act on it: {reason}"))
        return replace(bare, moves=moves)

    def act(self, field: Field, where: str) -> Action:
        """The action on a field.

        Raises:
            ConfigError: there is none.
        """
        try:
            framed = field.framed(self.frame)
            return actions.load(self.group, self.name, framed, self.options, on=self.on, name=self.action)
        except ConfigError as error:
            raise ConfigError(
                [replace(problem, where=problem.where or where) for problem in error.problems]
            ) from error

    def exact(self, chosen: Elements) -> bool:
        """Whether all elements only permute numbers."""
        return self._kinds(chosen) == {"permutation"}

    def loses_nothing(self, chosen: Elements) -> bool:
        """Whether all elements only permute numbers, or compute others by a formula."""
        return self._kinds(chosen) <= set(SHARP)

    def _kinds(self, chosen: Elements) -> set[Kind]:
        return {kind for move in self.moves.values() for kind in move.kinds(chosen.values)}

    @property
    def turns(self) -> bool:
        """Whether images are turned or mirrored."""
        return {"plane", "rigid"} & set(actions.family(self.name).split(PRODUCT)) != set()


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that neither the group nor any of its actions knows."""
    rows = [GROUPS.row(part) for part in factors(name)] + list(actions.rows(name).values())
    known = sorted({option for row in rows for option in row.options.model_fields})
    named = {parameter for part in factors(name) for parameter in GROUPS.find(part, where=f"group {part}")[1]}
    for option in options:
        if option not in known or option in named:
            names = [each for each in known if each not in named]
            expected = f"one of {one_of(names)}" if names else f"none: {name} has no options"
            raise ConfigError(Problem("options", f"got {quoted(option)}", expected, near_miss(str(option), names)))
