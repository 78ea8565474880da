"""Law checks for groups and actions.

Each raises ``AssertionError`` with what was compared. Limits are written so that NaN fails.
"""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action
from symbench.algebra.groups.base import Group

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Largest relative error by dtype, where a law holds up to rounding."""


def same_elements(group: Group, g: Tensor, h: Tensor) -> bool:
    """Whether two batches hold the same elements, up to rounding in float64."""
    # By the size of g h^-1 and not by parameters: 359.9999 and 0 degrees are the same turn.
    a, b = group.canonical(g), group.canonical(h)
    return a.shape == b.shape and bool((group.size(group.compose(g, group.inverse(h))) <= 1e-6).all())


def check_group(group: Group, *, generator: torch.Generator, count: int = 64) -> None:
    """Check a group's axioms on drawn elements, and its enumeration if it has one.

    Args:
        group: the group.
        generator: draws the elements.
        count: how many triples.
    """
    a, b, c = (group.sample(count, generator=generator) for _ in range(3))
    identity = group.identity().expand_as(a)
    left, right = group.compose(group.compose(a, b), c), group.compose(a, group.compose(b, c))
    assert same_elements(group, left, right), f"{group.name}: (ab)c differs from a(bc)"
    assert same_elements(group, group.compose(a, identity), a), f"{group.name}: ae differs from a"
    assert same_elements(group, group.compose(identity, a), a), f"{group.name}: ea differs from a"
    inverse = group.inverse(a)
    assert same_elements(group, group.compose(a, inverse), identity), f"{group.name}: a a^-1 is not e"
    assert same_elements(group, group.compose(inverse, a), identity), f"{group.name}: a^-1 a is not e"
    assert float(group.size(group.identity())[0]) == 0.0, f"{group.name}: the identity has a size"
    if group.count is not None and group.count <= 5040:  # S_7; S_8 has 40,320 elements, and S_16 more than memory
        _check_enumeration(group)


def _check_enumeration(group: Group) -> None:
    """What a finite group's list of elements claims: as many as counted, each once, the identity first."""
    elements = group.elements()
    distinct = {tuple(row) for row in group.canonical(elements).tolist()}
    assert len(elements) == group.count, f"{group.name} lists {len(elements)} elements and claims {group.count}"
    assert len(distinct) == len(elements), f"{group.name} lists an element twice"
    assert same_elements(group, elements[:1], group.identity()), f"{group.name} does not list the identity first"
    labels = group.labels(elements)
    assert len(set(labels)) == len(labels), f"{group.name} gives two elements one label"
    assert len(group.parameters(elements)) == len(elements), f"{group.name}: parameters are missing"


def check_closed(group: Group, *, generator: torch.Generator, count: int = 64) -> None:
    """A finite group's list of elements is closed: it holds every product of two of them."""
    known = {tuple(row) for row in group.canonical(group.elements()).tolist()}
    a, b = group.sample(count, generator=generator), group.sample(count, generator=generator)
    for row in group.canonical(group.compose(a, b)).tolist():
        assert tuple(row) in known, f"{group.name}: the product {row} is no element of the enumeration"


def check_haar(group: Group, *, generator: torch.Generator, count: int = 40_000) -> None:
    """Check that elements are drawn uniformly, by the moments of the irreps that the group names.

    Matrices and characters have mean 0 within 4 standard errors, and characters the mean square of an irrep's: 1,
    or 2 or 4 where a real one splits over the complex numbers. The same holds in each stratum, for irreps of two and
    more dimensions. Needs ``law == "Haar"``.

    Args:
        group: a compact group.
        generator: draws the elements.
        count: how many.
    """
    drawn = group.sample(count, generator=generator)
    pieces = group.strata(drawn) or []
    for name, matrices in group.irreps(drawn).items():
        _check_moments(f"{group.name}: irrep {name}", matrices)
        for piece in sorted(set(pieces) if matrices.shape[-1] > 1 else ()):
            chosen = torch.tensor([each == piece for each in pieces])
            _check_moments(f"{group.name}, {piece}: irrep {name}", matrices[chosen])


def _check_moments(what: str, matrices: Tensor) -> None:
    """Of drawn elements' matrices ``(count, d, d)``: means, and the mean square of their traces."""
    entries = torch.view_as_real(matrices.to(torch.complex128)).flatten(1)  # (count, 2 d d)
    character = matrices.diagonal(dim1=-2, dim2=-1).sum(-1).to(torch.complex128)
    columns = torch.cat([entries, torch.view_as_real(character)], dim=1)
    deviation = columns.mean(0).abs()
    # The character beside the entries: what is too small to show in any of them may add up in their sum. What
    # does not vary has no standard error, and may miss 0 by rounding.
    allowed = 4 * columns.std(0) / len(matrices) ** 0.5 + 1e-12
    worst = float((deviation / allowed).max())
    assert (deviation <= allowed).all(), f"{what} has a mean of {4 * worst:.1f} standard errors"
    square = character.abs().square()
    possible = torch.tensor([1.0] if matrices.is_complex() else [1.0, 2.0, 4.0], dtype=torch.float64)
    missed = float((square.mean() - possible).abs().min())
    error = float(square.std()) / len(matrices) ** 0.5 + 1e-12
    assert missed <= 4 * error, (
        f"{what} has a mean square that is {missed / error:.1f} standard errors from any irrep's"
    )


def check_design(group: Group, count: int) -> None:
    """Check a design: its weights add up to 1, and every irrep of :meth:`Group.irreps` has weighted mean 0."""
    designed = group.design(count)
    assert designed is not None, f"{group.name} has no design"
    values, weights = designed
    assert len(values) == count + 1, f"{group.name}: the design has {len(values) - 1} elements besides the identity"
    assert abs(float(weights.sum()) - 1) <= 1e-12, f"{group.name}: the weights add up to {float(weights.sum())}"
    for name, matrices in group.irreps(values).items():
        mean = (weights[:, None, None] * matrices).sum(0).abs().max()
        assert float(mean) <= 1e-12, f"{group.name}: irrep {name} has a weighted mean of {float(mean):.1e}"


def check_action(
    action: Action, group: Group, x: Tensor, *, generator: torch.Generator, tolerance: float = 0.0, count: int = 12
) -> None:
    """Check an action: the law ``g(hx) = (gh)x``, the identity, and that batching changes nothing.

    Elements are tried together, one by one, and one for each sample.

    Args:
        action: of ``group`` on values like ``x``.
        group: the group.
        x: ``(n, ...)``.
        generator: draws the elements.
        tolerance: largest error allowed in the law relative to ``|x|``; 0 asks for equality bit for bit.
        count: pairs of elements.
    """
    g, h = group.sample(count, generator=generator), group.sample(count, generator=generator)
    assert torch.equal(action.act(group.identity(), x)[0], x), f"{group.name}: the identity moves something"
    # All elements in one call and one by one: batching must change nothing, or results would depend on batch sizes.
    together = action.act(g, x)
    assert together.shape == (count, *x.shape), f"{group.name}: act gives {tuple(together.shape)}"
    rounding = TOLERANCE.get(x.dtype, 0.0) * float(x.abs().max()) if "resampled" in action.kinds(g) else 0.0
    for i in range(count):
        one, other = g[i : i + 1], h[i : i + 1]
        # A left action, g(hx) = (gh)x. The right one, x[p], passes every other check here, and this one for abelian
        # groups: it takes two elements that do not commute to tell them apart.
        twice = action.act(one, action.act(other, x)[0])[0]
        once = action.act(group.compose(one, other), x)[0]
        error = float((twice - once).norm() / x.norm()) if x.is_floating_point() else float((twice != once).any())
        assert error <= tolerance, f"{group.name}: g(hx) differs from (gh)x by {error:.2e}, elements {one}, {other}"
        difference = float((action.act(one, x)[0] - together[i]).abs().max())
        assert difference <= rounding, f"{group.name}: batched differs from one by one by {difference:.2e}"
    each = action.act(g.unsqueeze(1).expand(count, len(x), *g.shape[1:]), x)
    difference = float((each - together).abs().max())
    assert difference <= rounding, f"{group.name}: per-sample elements differ from shared ones by {difference:.2e}"
