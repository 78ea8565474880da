"""Which action moves which part of a field: looked up in the tables, never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from symbench.algebra.actions.table import ACTIONS, ActionRow, Family, families
from symbench.algebra.fields import Declared, Field, Places, Value
from symbench.algebra.groups import HERE, PRODUCT, factors, row_of
from symbench.base.code import Code, foreign
from symbench.base.errors import ConfigError, ImpossiblePair, Problem, near_miss, one_of
from symbench.base.registry import Row


def family(group: str, *, where: str = "", folder: Path = HERE) -> str:
    """The family of a group; that of a product joins its factors': ``plane x scalings``.

    Raises:
        UnknownName: there is no such group, or no such factor.
    """
    return PRODUCT.join(sorted(row_of(part, where=where, folder=folder).family for part in factors(group)))


def rows(group: str, *, where: str = "", folder: Path = HERE) -> dict[str, ActionRow]:
    """Every action that a group has, on whatever kind; a plug-in's groups may bring some along.

    A product has those that do all of its factors at once. Where there are none, it has its factors', if no two of
    them ever move the same part of a field: one after the other, the first could lose at the edge of a frame what the
    second brings back, and the order of the factors would make a difference. A group's own, which code brings along,
    come before ours on the same kind.

    Raises:
        UnknownName: there is no such group.
        ImpossiblePair: a product that nothing acts by.
    """
    parts = factors(group)
    brought = {name: row for part in parts for name, row in _own(part, where, folder).items()}
    replaced = {(row.family, row.kind) for row in brought.values()}
    table = {name: row for name, row in ACTIONS if (row.family, row.kind) not in replaced} | brought
    wanted = family(group, where=where, folder=folder)
    known = {name: row for name, row in table.items() if row.family == wanted}
    if known or len(parts) == 1:
        return known
    families = [family(part, where=where, folder=folder) for part in parts]
    if not _apart(families, table):
        remedy = "Measure the factors as symmetries of their own."
        raise ImpossiblePair(Problem(where, f"{group} is no direct product that acts", COMMUTING, remedy))
    return {name: row for name, row in table.items() if row.family in families}


COMMUTING = (
    "factors that commute: done at once, as SO2 x scalings, or on different parts of a field, as S and rotations"
)


def _own(part: str, where: str, folder: Path) -> dict[str, ActionRow]:
    """The actions that a group brings along, by its name and their number."""
    found = {}
    for number, each in enumerate(row_of(part, where=where, folder=folder).actions):
        with foreign(ConfigError, where, f"loading the action {each}"):
            row = Row(each, "").load() if isinstance(each, str) else each
        if not isinstance(row, ActionRow):
            got = f"action {number} of {part} is a {type(row).__name__}"
            raise ConfigError(Problem(where, got, "an ActionRow, or the import path of one"))
        found[f"{part}[{number}]"] = row
    return found


def _apart(families: Sequence[str], table: Mapping[str, ActionRow]) -> bool:
    """Whether families may act beside each other: each has actions, and no two of them on all of one kind."""
    moved = [{row.kind for row in table.values() if row.family == each and not row.named} for each in families]
    acting = {row.family for row in table.values()}
    return set(families) <= acting and len(set(families)) == len(families) and not _common(moved)


def _common(kinds: Sequence[set[str]]) -> bool:
    return sum(map(len, kinds)) > len(set().union(*kinds))


@dataclass(frozen=True)
class Lookup:
    """How one group moves fields, for a symmetry on one of them.

    Attributes:
        group: its name in the suite.
        known: its actions, by name.
        leaves: what its family leaves alone.
        family: its name.
        moved: the name of the places that the symmetry is on; empty where it is on a value.
        name: the suite's ``action:``; needed only where there are several.
        where: the suite's key, for messages.
        apart: those of the factors of a product, in their order, where each moves parts of its own.
    """

    group: str
    known: Mapping[str, ActionRow]
    leaves: Family
    family: str
    moved: str = ""
    name: str | None = None
    where: str = ""
    apart: tuple[Lookup, ...] = ()

    @classmethod
    def of(cls, group: str, on: Field, name: str | None = None, *, where: str = "", folder: Path = HERE) -> Lookup:
        """For a symmetry on a field.

        Args:
            group: its name in the suite.
            on: the field of the leaf that it is on.
            name: the suite's ``action:``: a name, or ``file.py:attr``, which is an ``ActionRow`` or several.
            where: the suite's key, for messages.
            folder: what paths of files are relative to.

        Raises:
            ImpossiblePair: a product that nothing acts by.
            ConfigError: code cannot be imported, or holds no actions.
        """
        known, own = rows(group, where=where, folder=folder), family(group, where=where, folder=folder)
        if len(factors(group)) > 1 and all(row.family != own for row in known.values()):
            return cls._of_factors(group, on, name, where, folder)
        brought = _brought(name, where, folder)
        if brought:
            mine = {row.kind for row in brought.values()}
            known = {**{key: row for key, row in known.items() if row.kind not in mine}, **brought}
        kinds = {row.kind for row in known.values()}
        moved = next((places.name for places in on.places if places.kind in kinds), "")
        if not moved and any(row.named and row.kind == on.value.kind for row in known.values()):
            moved = next(iter(on.axes), "")
        return cls(group, known, _family_of(group, folder), own, moved, None if brought else name, where)

    @classmethod
    def _of_factors(cls, group: str, on: Field, name: str | None, where: str, folder: Path) -> Lookup:
        """For a product whose factors move different parts of fields, so that it does not matter which is first."""
        if name is not None and ":" in name:
            got = f"got action {name!r} with the product {group}"
            raise ImpossiblePair(Problem(where, got, "an action of one of its factors, by its name"))
        apart = tuple(cls.of(part, on, name, where=where, folder=folder) for part in factors(group))
        known = rows(group, where=where, folder=folder)
        leaves = Family(frozenset(), relabels=any(each.leaves.relabels for each in apart))
        moved = next((each.moved for each in apart if each.moved), "")
        return cls(group, known, leaves, family(group, folder=folder), moved, name, where, apart)

    def factor(self, row: ActionRow) -> int | None:
        """Which factor of a product a row is of; None where it is of the whole group."""
        return next((number for number, each in enumerate(self.apart) if each.family == row.family), None)

    def row(self, part: Places | Value, leaf: str, field: Field) -> tuple[str, ActionRow] | None:
        """The name and row of the action on one part of a field; None where the family leaves it alone.

        Args:
            part: the field's value, or some of its places.
            leaf: whose field it is, for messages.
            field: all of it.

        Raises:
            ImpossiblePair: nobody says what the group does to this kind; or there are several actions and no name.
        """
        if isinstance(part, Value) and part.invariant:
            return None
        if self.apart:
            return self._of_one_factor(part, leaf, field)
        here = {name: row for name, row in self.known.items() if row.kind == part.kind}
        if not here:
            if self._is_left_alone(part):
                return None
            raise ImpossiblePair(self._unknown(part, leaf, field))
        if self._is_elsewhere(part, here, field):
            return None
        if self.name is not None and self.name in here:
            return self.name, here[self.name]
        if len(here) == 1:
            return next(iter(here.items()))
        got = f"got action {self.name!r}" if self.name else f"{self.group} acts on {field} in several ways"
        at = f"{self.where}.action" if self.where and self.name else self.where
        close = near_miss(self.name, here) if self.name else None
        raise ImpossiblePair(Problem(at, got, f"action: one of {one_of(here)}", close))

    def parts(self, leaf: str, field: Field) -> Iterator[tuple[int | None, str, ActionRow]]:
        """The parts of a field that move: the number of its places, or None for its value, with the action.

        Raises:
            ImpossiblePair: as :meth:`row`.
        """
        numbered: list[tuple[int | None, Places | Value]] = [(None, field.value), *enumerate(field.places)]
        for number, part in numbered:
            chosen = None if isinstance(part, Declared) else self.row(part, leaf, field)
            if chosen is not None:
                yield number, *chosen

    def moving(self, leaf: str, field: Field) -> list[tuple[int | None, str, ActionRow]]:
        """:meth:`parts` of the field that the symmetry is on, of which something has to move.

        Raises:
            ImpossiblePair: nothing does; or as :meth:`row`.
        """
        if self.name is not None and self.name not in self.known:
            at, close = f"{self.where}.action" if self.where else "action", near_miss(self.name, self.known)
            raise ImpossiblePair(Problem(at, f"got action {self.name!r}", f"one of {one_of(self.known)}", close))
        for each in self.apart:  # a factor that moves nothing would only be in the way
            replace(each, name=self.name if self.name in each.known else None).moving(leaf, field)
        moving = list(self.parts(leaf, field))
        if not moving and not isinstance(field.value, Declared):
            kinds = one_of(sorted({row.kind for row in self.known.values()})) or "nothing is known"
            expected = f"a field with something that it moves: {kinds}"
            raise ImpossiblePair(Problem(self.where, f"{self.group} has no action on {field}", expected))
        return moving

    def _of_one_factor(self, part: Places | Value, leaf: str, field: Field) -> tuple[str, ActionRow] | None:
        """That of the one factor that moves this part."""
        found = [(each.group, row) for each in self.apart if (row := each.row(part, leaf, field)) is not None]
        if len(found) > 1:
            both = " and ".join(name for name, _ in found)
            got = f"{self.group} is no direct product that acts on {field}: {both} move its {part.kind}"
            raise ImpossiblePair(
                Problem(self.where, got, COMMUTING, "Measure the factors as symmetries of their own.")
            )
        return found[0][1] if found else None

    def _is_left_alone(self, part: Places | Value) -> bool:
        if part.kind in self.leaves.alone:
            return True
        names = (part.name,) if isinstance(part, Places) else part.refers
        return self.leaves.relabels and self.moved not in names

    def _is_elsewhere(self, part: Places | Value, here: Mapping[str, ActionRow], field: Field) -> bool:
        """Whether it stands at, or speaks of, other places than those that move."""
        if all(row.named for row in here.values()):
            return self.moved not in ((part.name,) if isinstance(part, Places) else field.axes)
        if isinstance(part, Places):
            return False
        return bool(part.refers) and self.moved not in part.refers

    def _unknown(self, part: Places | Value, leaf: str, field: Field) -> Problem:
        whose = f"{leaf!r} ({field})" if leaf else str(field)
        kinds = sorted({row.kind for row in self.known.values()} | self.leaves.alone)
        what = f"values {part.kind}" if isinstance(part, Value) else f"places {part.kind}"
        expected = f"a kind that its family {self.family!r} moves or leaves alone: {one_of(kinds)}"
        remedy = f"A plug-in can say what it does: a row under its entry point {ACTIONS.group}."
        return Problem(self.where, f"nothing says what {self.group} does to {what} of {whose}", expected, remedy)


def _family_of(group: str, folder: Path) -> Family:
    """What the family of a group leaves alone: of a plug-in's own, what its row says; of a product, what both do."""
    name, known = family(group, folder=folder), families()
    if name in known:
        return known[name]
    parts = [row_of(part, folder=folder) for part in factors(group)]
    alone = [known[row.family].alone if row.family in known else frozenset(row.alone) for row in parts]
    return Family(frozenset.intersection(*alone))


def _brought(name: str | None, where: str, folder: Path) -> dict[str, ActionRow]:
    """The actions that code brings, by the name of the attribute and their number."""
    code = None if name is None else Code.parse(name, folder=folder, where=where)
    if code is None:
        return {}
    found = code.value()
    several = list(found) if isinstance(found, (list, tuple)) else [found]
    if not several or not all(isinstance(row, ActionRow) for row in several):
        raise ConfigError(Problem(where, f"{code.attribute} holds no actions", "an ActionRow, or several"))
    return {f"{code.attribute}[{number}]": row for number, row in enumerate(several)}
