"""Other ways in which an output could move than it is declared to.

Each says what ``f(g.x)`` would be, from ``f(x)`` and g alone. Some have to be fitted first: which elements negate,
how classes permute. That is done on some samples, and judged on others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.algebra.actions.declared import representation
from symbench.algebra.fields import Classes, Field, Over, Value, classes
from symbench.algebra.groups.base import Group
from symbench.algebra.groups.product import Product
from symbench.base.errors import ConfigError, ImpossiblePair
from symbench.measure.assemble import Prepared
from symbench.measure.evaluate.notations import in_other_notations
from symbench.measure.evaluate.reference import known_of

MOST_CLASSES = 64
"""Numbers of an output that a permutation is looked for among."""
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


def alternatives(prepared: Prepared, action: Action, field: Field, shape: tuple[int, ...]) -> Iterator[Alternative]:
    """All that make sense for an output or a leaf, the plainest first.

    Args:
        prepared: the symmetry.
        action: how it is declared to move.
        field: what it is declared as.
        shape: of one sample.
    """
    yield _plain("trivial", "as if it were left alone", lambda pair: pair.unmoved)
    if not isinstance(action, TrivialAction):
        yield from _of_elements(prepared.group, action, field)
        yield from _in_other_notations(prepared, action, field)
    if field.value.unordered:
        return  # sets have no differences, hence no transpose and no sign
    if not isinstance(action, TrivialAction):
        yield _plain("transposed", "as if by the transposed matrices", lambda pair: _transposed(action, pair))
    yield from _of_kinds(prepared, field, shape)
    if prepared.elements.shared is not None:
        yield Alternative("negated", lambda pairs: _signs(prepared.group, action, pairs), learns=True)
        if len(shape) == 1 and 2 <= shape[0] <= MOST_CLASSES:
            yield Alternative("permuted", lambda pairs: _permutations(prepared.group, pairs), learns=True)
        if field.value.in_units_of_a_frame and len(shape) == 2 and 2 <= shape[0] <= MOST_CLASSES:
            yield Alternative("rows exchanged", lambda pairs: _exchanges(prepared.group, action, pairs), learns=True)


def by(action: Action) -> Predict:
    """As an action moves it."""
    return lambda pair: action.act(pair.g, pair.unmoved)[0]


def _plain(name: str, words: str, predict: Predict) -> Alternative:
    return Alternative(name, lambda _: Fitted(predict, words))


def _in_other_notations(prepared: Prepared, action: Action, field: Field) -> Iterator[Alternative]:
    """As declared, of numbers that are written otherwise."""
    for name, words, read in in_other_notations(prepared, field):

        def fit(pairs: Sequence[Pair], words: str = words, read: Callable[[Tensor], Tensor] = read) -> Fitted:
            del pairs
            return Fitted(lambda pair: action.act(pair.g, read(pair.unmoved))[0], words, read=read)

        yield Alternative(name, fit)


def _of_elements(group: Group, action: Action, field: Field) -> Iterator[Alternative]:
    """By the inverse element; of a product, by an element that one of the factors is left out of, or inverted in."""

    def through(change: Callable[[Tensor], Tensor]) -> Predict:
        return lambda pair: action.act(changed(group, pair.g, change), pair.unmoved)[0]

    yield _plain("inverse", f"as if by the inverse element{_reversed(group, field)}", through(group.inverse))
    if not isinstance(group, Product) or len(action.factors) < 2:
        return
    for number, part in enumerate(group.parts):
        name = part.name
        yield _plain(f"without {name}", f"as if {name} left it alone", through(_without(group, number)))
        yield _plain(f"inverse of {name}", f"as if by the inverse element of {name}", through(_turned(group, number)))


def _reversed(group: Group, field: Field) -> str:
    """Of classes that permute, the order to declare in place of one the wrong way round, where the group has it."""
    if not isinstance(field.value, Classes):
        return ""
    order = {
        name: [int(row.index(1.0)) for row in matrix]  # row i of the matrix has its 1 at the class that becomes i
        for name, matrix in field.value.generators
    }
    declared, other = representation(group, field.value), None
    with contextlib.suppress(ImpossiblePair):
        other = representation(group, classes(order))
    # in a group that does not commute, inverse generators make no inverse elements
    if other is not None and all(torch.equal(other[g], matrix.T) for g, matrix in declared.items()):
        return f", which is order: {{{', '.join(f'{name}: {goes}' for name, goes in order.items())}}}"
    return ""


def changed(group: Group, g: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Elements ``(k, ...)`` or ``(k, n, ...)``, each changed by what takes ``(k, ...)``."""
    flat = g.flatten(0, g.ndim - 1 - group.element_ndim)
    return change(flat).reshape(g.shape)


def _without(group: Product, number: int) -> Callable[[Tensor], Tensor]:
    def change(g: Tensor) -> Tensor:
        pieces = group.split(g)
        pieces[number] = group.parts[number].identity().expand_as(pieces[number])
        return group.join(pieces)

    return change


def _turned(group: Product, number: int) -> Callable[[Tensor], Tensor]:
    def change(g: Tensor) -> Tensor:
        pieces = group.split(g)
        pieces[number] = group.parts[number].inverse(pieces[number])
        return group.join(pieces)

    return change


def _transposed(action: Action, pair: Pair) -> Tensor:
    """The transpose of the matrix that the element moves it by: the derivative of ``v . (g.x)`` in x."""
    with torch.enable_grad():
        x = torch.zeros_like(pair.unmoved).requires_grad_()
        (found,) = torch.autograd.grad((action.act(pair.g, x)[0] * pair.unmoved).sum(), x)
    return found


def _of_kinds(prepared: Prepared, field: Field, shape: tuple[int, ...]) -> Iterator[Alternative]:
    """As another kind of value that the group moves, where its numbers could be one."""
    for kind, action in other_kinds(prepared, field, shape):
        yield _plain(kind, f"as a {kind}, and it is declared as {field}", by(action))


def other_kinds(prepared: Prepared, field: Field, shape: tuple[int, ...]) -> Iterator[tuple[str, Action]]:
    """The kinds of values that the group moves and a field is not declared as, with the action if it were."""
    known = {row.kind for row in prepared.lookup.known.values()}
    for value in _values():
        if value.kind not in known or value.kind == field.value.kind or value.misfit(field.value_shape(shape)):
            continue
        try:
            action = prepared.action_on(Over(value, field.places) if field.places else value)
            reason = action.check(shape)
        except ConfigError:
            continue
        if reason is None:
            yield value.kind, action


def _values(kind: type[Value] = Value) -> Iterator[Value]:
    """Of every kind of value that needs nothing said about it, one."""
    for each in kind.__subclasses__():
        with contextlib.suppress(TypeError):  # it has to be told its rank, or its degree
            yield each()
        yield from _values(each)


def _signs(group: Group, action: Action, pairs: Sequence[Pair]) -> Fitted | None:
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


def _permutations(group: Group, pairs: Sequence[Pair]) -> Fitted | None:
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


def _exchanges(group: Group, action: Action, pairs: Sequence[Pair]) -> Fitted | None:
    """As declared, but with rows exchanged, for each element in the way that fits best: left and right, say."""
    declared, same = by(action), torch.arange(pairs[0].moved.shape[1])
    tables = {pair.label: _assigned(replace(pair, unmoved=declared(pair))) for pair in pairs}
    moving = [pair for pair in pairs if not torch.equal(tables[pair.label], same)]
    if not moving:
        return None

    def lawful(others: Sequence[Pair]) -> bool:
        found = list(_products(group, others))
        both = [(tables[b.label][tables[a.label]], tables[ab.label] if ab else same) for a, b, ab in found]
        return bool(found) and all(torch.equal(one, other) for one, other in both)

    words = f"as declared, but with rows exchanged: {_cycles(tables[moving[0].label])} at {moving[0].label}"
    return Fitted(lambda pair: declared(pair)[:, tables[pair.label].to(pair.unmoved.device)], words, lawful)


def _assigned(pair: Pair) -> Tensor:
    """Which number, or row, of ``f(x)`` stands at each place of ``f(g.x)``, ``(d,)``."""
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that few runs need

    a, b = (values.detach().cpu().double() for values in (pair.moved, pair.unmoved))
    squares = (a[:, :, None] - b[:, None, :]).square()  # (n, d, d), or (n, d, d, numbers)
    cost = squares.reshape(*squares.shape[:3], -1).sum((0, 3))
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


def _products(group: Group, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Pair, Pair | None]]:
    """Two elements and their product, where that is among them too; None where it is the identity."""
    key = {tuple(group.canonical(pair.g)[0].tolist()): pair for pair in pairs}
    identity = tuple(group.canonical(group.identity())[0].tolist())
    for a in pairs:
        for b in pairs:
            product = tuple(group.canonical(group.compose(a.g, b.g))[0].tolist())
            if product == identity or product in key:
                yield a, b, key.get(product)
