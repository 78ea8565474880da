"""Other ways in which an output could move than it is declared to.

Each says what ``f(g.x)`` would be, from ``f(x)`` and g alone. Some have to be fitted first: which elements negate,
how classes permute. That is done on some samples, and judged on others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.algebra.actions.declared import representation
from symbench.algebra.fields import Classes, Field, Over, Scalar, Value, classes
from symbench.algebra.groups.base import Group
from symbench.algebra.groups.product import Product
from symbench.base.errors import ConfigError, ImpossiblePair
from symbench.measure.assemble import Prepared
from symbench.measure.evaluate.fitted import Alternative, Fitted, Pair, Predict, by, exchanges, permutations, signs
from symbench.measure.evaluate.notations import in_other_notations

MOST_CLASSES = 64
"""Numbers of an output that a permutation is looked for among."""


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
        yield Alternative("negated", lambda pairs: signs(prepared.group, action, pairs), learns=True)
        if len(shape) == 1 and 2 <= shape[0] <= MOST_CLASSES:
            yield Alternative("permuted", lambda pairs: permutations(prepared.group, pairs), learns=True)
        rows = field.value.in_units_of_a_frame and len(shape) == 2
        channels = field.grid is not None and len(shape) == 1 + field.behind and not field.before
        if (rows or channels) and 2 <= shape[0] <= MOST_CLASSES:
            noun = "rows" if rows else "classes"
            if isinstance(field.value, Classes):  # which of them are exchanged is what is asked
                action = prepared.action_on(Over(Scalar(), field.places)).of_outputs()
            yield Alternative("exchanged", lambda pairs: exchanges(prepared.group, action, pairs, noun), learns=True)


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
