"""Arms that are controls by a wrong group: it has to be another one, and of the same order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from symbench.algebra.groups import order_of
from symbench.base.document import Document, Path_
from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.domains.common.models import MODELS
from symbench.measure.suite.studies import Means, arm_of

if TYPE_CHECKING:
    from symbench.measure.suite.entries import ModelEntry, Suite

REMEDY = "A group of another order shares another number of weights, and is no control."


def problems_of_wrong_groups(suite: Suite, study: Means, source: Document, place: Path_) -> Iterator[Problem]:
    """The problems of a question's ``wrong`` and ``groups``: names of nothing, and arms that are no controls."""
    groups = _groups(suite, study)
    for key in ("groups", "wrong"):
        for arm in getattr(study, key):
            yield from _unknown(arm, groups, source, (*place, key))
    for arm, group in study.groups.items():
        try:
            order_of(group, where=source.where((*place, "groups", arm)))
        except ConfigError as error:
            yield from error.problems
    for wrong, right in study.wrong.items():
        yield from _unknown(right, groups, source, (*place, "wrong", wrong))
        if {wrong, right} <= set(groups):
            yield from _unlike(wrong, right, groups, source.where((*place, "wrong", wrong)))


def _groups(suite: Suite, study: Means) -> dict[str, str | None]:
    """Of each arm of the question the group that it is of, as far as that is known."""
    found: dict[str, str | None] = {}
    for name, entry in suite.models.items():
        swept = entry.swept
        if study.arms is not None and (name if swept is None else swept.of) not in study.arms:
            continue
        arm = name if swept is None else arm_of(swept.of, swept.values, study.over)
        found[arm] = study.groups.get(arm) or _group_of(suite, entry)
    return found


def _group_of(suite: Suite, entry: ModelEntry) -> str | None:
    """The group of the symmetry that wraps a model, or else the one that it is built for."""
    for symmetry in entry.wrappers.values():
        return suite.symmetries[symmetry].group if symmetry in suite.symmetries else None
    try:
        row = None if ":" in entry.use else MODELS.find(entry.use, where=entry.use)[0]
    except ConfigError:  # of which another check speaks
        return None
    return row.group.format_map(entry.options) if row is not None and row.group else None


def _unlike(wrong: str, right: str, groups: dict[str, str | None], where: str) -> Iterator[Problem]:
    """The problem of two groups that are one, or of different orders."""
    orders = {arm: _order(groups[arm]) for arm in (wrong, right)}
    for arm, order in orders.items():
        if order is None:
            group = groups[arm]
            got = (
                f"nothing says of which group {arm} is"
                if group is None
                else f"{arm} is of {group}, of no known order"
            )
            yield Problem(
                where, got, "a finite group", f"Say groups: {{{arm}: C4}} in the study, if it is one of C4."
            )
            return
    said = [f"{arm} is of {groups[arm]} with {order} elements" for arm, order in orders.items()]
    if groups[wrong] == groups[right]:
        yield Problem(where, f"both {wrong} and {right} are of {groups[wrong]}", "another group of the same order")
    elif orders[wrong] != orders[right]:
        yield Problem(where, " and ".join(said), "two groups of one order", REMEDY)


def _order(group: str | None) -> int | None:
    try:
        return None if group is None else order_of(group)
    except ConfigError:  # a model may be of a group that no symmetry can be of
        return None


def _unknown(arm: str, groups: dict[str, str | None], source: Document, place: Path_) -> Iterator[Problem]:
    if arm not in groups:
        known = list(groups)
        yield Problem(source.where(place), f"got {quoted(arm)}", f"one of {one_of(known)}", near_miss(arm, known))
