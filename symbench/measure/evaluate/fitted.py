"""Other ways to move that are fitted to what a model returns: signs, and permutations of numbers, rows or classes.

They are fitted on some samples, and judged on others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action
from symbench.algebra.groups.base import Group
from symbench.measure.evaluate.reference import known_of

LAWFUL = 2 / 9
"""What products of permutations may be off by, over the variance of outputs, which is half of the null."""


@dataclass(frozen=True)
class Pair:
    """What an output comes to under one element, for some samples.

    Attributes:
        g: the element, ``(1, ...)``, or ``(1, n, ...)`` where every sample has its own.
        label: its name.
        moved: ``f(g.x)``, ``(n, *output)``, float64.
        unmoved: ``f(x)``, likewise.
        inside: which places of a map come from within the frame, ``(1, *grid)``; None where all do.
    """

    g: Tensor
    label: str
    moved: Tensor
    unmoved: Tensor
    inside: Tensor | None = None

    def some(self, span: slice) -> Pair:
        """Some of the samples."""
        return replace(self, moved=self.moved[span], unmoved=self.unmoved[span])

    def known(self, values: Tensor) -> Tensor:
        """Values ``(n, *output)``, with zeros at places of which nothing is known."""
        return values if self.inside is None else known_of(values[None], self.inside)[0]


Predict = Callable[[Pair], Tensor]
"""What ``f(g.x)`` would be, ``(n, *output)``."""
Fit = Callable[[Sequence[Pair]], "Fitted | None"]
"""Fits what there is to be fitted; None where that makes no sense."""


@dataclass(frozen=True)
class Fitted:
    """A way to move that has been settled.

    Attributes:
        predict: what it says.
        words: what the report says of an output that moves so.
        lawful: whether what was fitted multiplies as the elements do, judged by other samples; None where nothing
            was fitted.
        read: brings ``f(g.x)`` to the notation in which ``predict`` has it, where that is another.
    """

    predict: Predict
    words: str
    lawful: Callable[[Sequence[Pair]], bool] | None = None
    read: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Alternative:
    """Another way to move.

    Attributes:
        name: in the cell's record.
        fit: settles it.
        learns: whether it looks at what the model returned, and has to be judged on other samples.
    """

    name: str
    fit: Fit
    learns: bool = False


def by(action: Action) -> Predict:
    """As an action moves it."""
    return lambda pair: action.act(pair.g, pair.unmoved)[0]


def signs(group: Group, action: Action, pairs: Sequence[Pair]) -> Fitted | None:
    """As declared, but for a sign that each element has: negated where the two point apart."""
    declared = by(action)
    signs = [1.0 if float((declared(pair) * pair.moved).sum()) >= 0 else -1.0 for pair in pairs]
    negative = [pair for pair, sign in zip(pairs, signs, strict=True) if sign < 0]
    if not negative:
        return None
    table = {pair.label: sign for pair, sign in zip(pairs, signs, strict=True)}

    def lawful(others: Sequence[Pair]) -> bool:
        found = _products(group, others)
        return all(table[a.label] * table[b.label] == (table[ab.label] if ab else 1.0) for a, b, ab in found)

    words = f"as declared, but negated {_where(group, pairs, negative)}"
    return Fitted(lambda pair: table[pair.label] * declared(pair), words, lawful)


def _where(group: Group, pairs: Sequence[Pair], negative: Sequence[Pair]) -> str:
    """At which elements: all, those of a piece of the group, or these."""
    if len(negative) == len(pairs):
        return "by every element"
    strata = {pair.label: (group.strata(pair.g) or [""])[0] for pair in pairs}
    these = {strata[pair.label] for pair in negative}
    some = [pair.label for pair in negative]
    others = {strata[pair.label] for pair in pairs if pair.label not in some}
    if len(these) == 1 and these != {""} and not these & others:
        return f"by {these.pop()} elements"
    return f"by {'; '.join(some[:3])}" + (f" and {len(some) - 3} more" if len(some) > 3 else "")


def permutations(group: Group, pairs: Sequence[Pair]) -> Fitted | None:
    """With its numbers exchanged, for each element in the way that fits best (an assignment problem)."""
    tables = {pair.label: _assigned(pair) for pair in pairs}
    moving = [pair for pair in pairs if not torch.equal(tables[pair.label], torch.arange(pairs[0].moved.shape[1]))]
    if not moving:
        return None

    def exchanged(pair: Pair, table: Tensor) -> Tensor:
        return pair.unmoved[:, table.to(pair.unmoved.device)]

    def lawful(others: Sequence[Pair]) -> bool:
        """By what it makes of outputs: numbers that are hardly told apart may be exchanged either way."""
        found, spread = list(_products(group, others)), float(others[0].unmoved.var(0).sum())
        for a, b, ab in found:
            after = ab.moved if ab else a.unmoved
            off = (exchanged(a, tables[b.label][tables[a.label]]) - after).square().sum(1).mean()
            if not float(off) <= LAWFUL * spread:
                return False
        return bool(found)

    words = f"with its numbers exchanged: {_cycles(tables[moving[0].label])} at {moving[0].label}"
    return Fitted(lambda pair: exchanged(pair, tables[pair.label]), words, lawful)


def exchanges(group: Group, action: Action, pairs: Sequence[Pair], noun: str) -> Fitted | None:
    """As declared, but with rows, or the classes of maps, exchanged, for each element in the way that fits best: left
    and right, say."""
    declared, same = by(action), torch.arange(pairs[0].moved.shape[1])
    tables = {pair.label: _assigned(replace(pair, unmoved=declared(pair))) for pair in pairs}
    moving = [pair for pair in pairs if not torch.equal(tables[pair.label], same)]
    if not moving:
        return None

    def lawful(others: Sequence[Pair]) -> bool:
        found = list(_products(group, others))
        both = [(tables[b.label][tables[a.label]], tables[ab.label] if ab else same) for a, b, ab in found]
        return bool(found) and all(torch.equal(one, other) for one, other in both)

    how = f"{_cycles(tables[moving[0].label])} at {moving[0].label}"
    order = (
        _order(group, {key: tables[pair.label] for key, pair in _keyed(group, pairs)}) if noun == "classes" else ""
    )
    words = f"with its classes exchanged: {how}{order}" if order else f"as declared, but with {noun} exchanged: {how}"
    return Fitted(lambda pair: declared(pair)[:, tables[pair.label].to(pair.unmoved.device)], words, lawful)


def _assigned(pair: Pair) -> Tensor:
    """Which number, or row, of ``f(x)`` stands at each place of ``f(g.x)``, ``(d,)``."""
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that few runs need

    a, b = (pair.known(values).detach().cpu().double() for values in (pair.moved, pair.unmoved))
    after, before = (values.movedim(1, 0).flatten(1) for values in (a, b))  # (d, numbers of all samples)
    cost = torch.cdist(after, before, compute_mode="donot_use_mm_for_euclid_dist").square()
    return torch.from_numpy(linear_sum_assignment(cost.numpy())[1]).long()


def _cycles(table: Tensor) -> str:
    """Where numbers go, as cycles: ``0 to 1 to 2 to 0``."""
    goes, left, found = {int(source): place for place, source in enumerate(table)}, set(range(len(table))), []
    while left:
        first = min(left)
        cycle = [first]
        while goes[cycle[-1]] != first:
            cycle.append(goes[cycle[-1]])
        left -= set(cycle)
        if len(cycle) > 1:
            found.append(" to ".join(map(str, [*cycle, first])))
    return ", ".join(found[:3]) + (" and so on" if len(found) > 3 else "")


def _keyed(group: Group, pairs: Sequence[Pair]) -> Iterator[tuple[tuple[float, ...], Pair]]:
    """Pairs by the canonical form of their elements."""
    return ((tuple(group.canonical(pair.g)[0].tolist()), pair) for pair in pairs)


def _order(group: Group, tables: Mapping[tuple[float, ...], Tensor]) -> str:
    """The order to declare, where all generators are among the elements: where each sends every class."""
    keys = {name: tuple(group.canonical(g)[0].tolist()) for name, g in group.generating().items()}
    if not keys or not all(key in tables for key in keys.values()):
        return ""
    goes = (f"{name}: {tables[key].argsort().tolist()}" for name, key in keys.items())
    return f", which is order: {{{', '.join(goes)}}}"


def _products(group: Group, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Pair, Pair | None]]:
    """Two elements and their product, where that is among them too; None where it is the identity."""
    key = dict(_keyed(group, pairs))
    identity = tuple(group.canonical(group.identity())[0].tolist())
    for a in pairs:
        for b in pairs:
            product = tuple(group.canonical(group.compose(a.g, b.g))[0].tolist())
            if product == identity or product in key:
                yield a, b, key.get(product)
