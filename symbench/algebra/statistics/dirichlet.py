"""Means under Dirichlet weights, to seven digits: the distribution that limits of bounded means are quantiles of.

With weights ``w`` from a Dirichlet distribution of parameters ``c``, ``sum_j w_j v_j`` is at least x with the
probability that ``Q = sum_j (v_j - x) G_j`` is at least 0, for independent Gamma variables of shapes ``c_j``. Their
cumulants are known, and the inversion integral is taken along a path of steepest descent:

    P(Q >= 0) = 1 / (2 pi i) integral of exp(K(t)) / t dt,    K(t) = - sum_j c_j log(1 - (v_j - x) t)
"""

from __future__ import annotations

import numpy as np
from scipy import special

from symbench.algebra.statistics.interval import Array
from symbench.base.slices import slices

REACH, STEP = 6.0, 0.15
"""How far the path is followed and in what steps, in a variable in which both Gaussian and algebraic tails fall
exponentially: errors are at most 1e-6 of the probability for 2 weights, and 2e-7 from 4 to 100,000, against the Beta
distribution."""
# Equal steps and no cleverer rule: on an integrand that is analytic and falls off at both ends, the trapezoidal rule
# converges exponentially (Trefethen & Weideman 2014), and nothing is won by Gauss's.
NODES, COARSE = np.arange(0.0, REACH + STEP / 2, STEP), np.arange(0.5, REACH + 1, 0.75)
"""Where the integrand is evaluated, and the few points by which a path is chosen."""
BENDS, AWAY = (-0.4, -0.2, 0.0, 0.2, 0.4), 3.0
"""Ways for the path to take, and how much what is far out on it counts when one is chosen."""
BLOCK, AT_ONCE = 2000, 1_000_000
"""Values, and numbers along all paths, that are held at once."""
MOST_STEPS = 60
TOLERANCE = 1e-6
"""Of the spread of the weighted mean: how near a quantile is found."""
SMALLEST = 1e-290
"""Probabilities below this count as this: a normal score has to be finite."""


def exceeding(values: Array, counts: Array, limits: Array) -> Array:
    """The probability that the weighted mean is at least a limit.

    Args:
        values: ``(p, g)``, p problems of g values each.
        counts: ``(p, g)``, parameters of the weights; a value of count 0 is left out.
        limits: ``(p,)``.

    Returns:
        ``(p,)``.
    """
    counts = counts.astype(np.float64)
    # A value of no weight is put where it has no part: at 0 it is neither the largest nor the least of either sign.
    moved = np.where(counts > 0, values - limits[:, None], 0.0)
    largest, least = moved.max(axis=1), moved.min(axis=1)
    # Where all values lie on one side the answer is certain, and there is no saddle to go through.
    probability = np.where(least >= 0, 1.0, 0.0)
    mixed = np.flatnonzero((largest > 0) & (least < 0))
    for part in slices(len(mixed), max(1, AT_ONCE // (2 * len(NODES) * min(values.shape[1], BLOCK)))):
        some = mixed[part]
        probability[some] = _integral(moved[some], counts[some])
    return probability


def _integral(moved: Array, counts: Array) -> Array:
    """The probability that the weighted mean of values of both signs is at least 0, by the inversion integral."""
    t, second, third = _saddle(moved, counts)
    width = 1 / np.sqrt(second)
    bend = _bend(moved, counts, t, width, third * width**3 / 3)
    path, slope = _path(t, width, bend, NODES)
    modulus, angle = _logs(moved, counts, path)
    integrand = (np.exp(-modulus - 1j * angle) / path * slope).imag
    integrand[:, 0] /= 2  # the path's lower half is the conjugate of this one, and half of its middle belongs to it
    area = integrand.sum(axis=1) * STEP / np.pi
    # The integral is that of the smaller tail: where P is near 1 the path runs left of the pole at 0, whose residue
    # is 1, and 1 - P comes out with seven digits of its own.
    probability: Array = np.where(t > 0, area, 1 + area).clip(0.0, 1.0)
    return probability


def _path(t: Array, width: Array, bend: Array, nodes: Array) -> tuple[Array, Array]:
    """The upper half of a hyperbola through t, and its derivative, ``(p, nodes)``.

    It meets no singularity of the integrand: all of them are real.
    """
    ahead, back = np.sinh(nodes), np.cosh(nodes) - 1
    path = t[:, None] + width[:, None] * (bend[:, None] * back + 1j * ahead)
    return path, width[:, None] * (bend[:, None] * ahead + 1j * (back + 1))


def _bend(moved: Array, counts: Array, t: Array, width: Array, steepest: Array) -> Array:
    """How far the path bends to the right or left: of few ways the one with the least absolute integral.

    Steepest descent at the saddle leads astray further out, where many small values of one sign grow exponentially
    to one side and oscillate along the vertical.
    """
    ways = np.concatenate([steepest, np.repeat(BENDS, len(t))])
    times = 1 + len(BENDS)
    path, slope = _path(np.tile(t, times), np.tile(width, times), ways, COARSE)
    # In logarithms: the integrand spans more than the 600 powers of ten that float64 has.
    sizes = np.log(np.abs(slope) / np.abs(path))
    sizes -= _modulus(np.tile(moved, (times, 1)), np.tile(counts, (times, 1)), path)
    whole = np.logaddexp.reduce(sizes + AWAY * COARSE, axis=1).reshape(times, len(t))
    best: Array = ways.reshape(times, len(t))[whole.argmin(axis=0), np.arange(len(t))]
    return best


def _logs(moved: Array, counts: Array, path: Array) -> tuple[Array, Array]:
    """``sum_j c_j log(1 - v_j t)`` along the path, real and imaginary part, ``(p, nodes)``."""
    angle = np.zeros(path.shape)
    # In real numbers: NumPy's complex log takes ten times as long. The factors' angles are added up and not taken of
    # their product, whose own is off by whole turns. In blocks, since (p, nodes, g) would fill the memory.
    for some in slices(moved.shape[1], BLOCK):
        block, count = moved[:, some, None], counts[:, None, some]
        angle += (count @ np.arctan2(-block * path.imag[:, None], 1 - block * path.real[:, None]))[:, 0]
    return _modulus(moved, counts, path), angle


def _modulus(moved: Array, counts: Array, path: Array) -> Array:
    """The real part of :func:`_logs`."""
    modulus = np.zeros(path.shape)
    for some in slices(moved.shape[1], BLOCK):
        block, count = moved[:, some, None], counts[:, None, some]
        squares = (1 - block * path.real[:, None]) ** 2 + (block * path.imag[:, None]) ** 2
        modulus += (count @ np.log(squares))[:, 0] / 2
    return modulus


def _saddle(moved: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Where ``K(t) - log |t|`` is least on the side of 0 that the mean is not, and its second and third derivative.

    The function is convex there; Newton's steps are halved back into the bracket. Any point would do, and the least
    value makes the integral one without cancellation.
    """
    # Between 0 and the nearest singularity of K on that side, 1 / (the largest or the least value).
    right = (counts * moved).sum(axis=1) < 0
    low = np.where(right, 0.0, 1 / moved.min(axis=1))
    high = np.where(right, 1 / moved.max(axis=1), 0.0)
    t = (low + high) / 2
    for _ in range(MOST_STEPS):
        part = moved / (1 - moved * t[:, None])
        first = (counts * part).sum(axis=1) - 1 / t
        second = (counts * part**2).sum(axis=1) + 1 / t**2
        low, high = np.where(first < 0, t, low), np.where(first < 0, high, t)
        newton = t - first / second
        newton = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
        done = np.abs(newton - t) * np.sqrt(second) < 1e-3  # in units of the saddle's width: near is near enough
        t = newton
        if done.all():
            break
    part = moved / (1 - moved * t[:, None])
    return t, (counts * part**2).sum(axis=1) + 1 / t**2, 2 * ((counts * part**3).sum(axis=1) - 1 / t**3)


def upper_quantile(values: Array, counts: Array, tail: float) -> Array:
    """The number that the weighted mean exceeds with the probability ``tail``, ``(p,)``; see :func:`exceeding`.

    The secant method, halved back into a bracket, on the normal score of the probability, which is nearly linear.
    """
    total = counts.sum(axis=1)
    mean = (counts * values).sum(axis=1) / total
    spread = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / total / (total + 1))
    taken = np.where(counts > 0, values, mean[:, None])  # what has no weight must not stretch the bracket
    low, high = taken.min(axis=1), taken.max(axis=1)
    target = float(special.ndtri(tail))
    at, step = (mean - target * spread).clip(low, high), spread
    before, score = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    for _ in range(MOST_STEPS):
        last, score = score, _score(exceeding(values, counts, at)) - target
        low, high = np.where(score > 0, at, low), np.where(score > 0, high, at)
        # Two scores alike make a slope of 0 and a step that is infinite or NaN: no comparison with it is true, and
        # the bracket is halved instead.
        with np.errstate(all="ignore"):
            slope = np.where(np.isfinite(last), (score - last) / (at - before), -1 / spread)
            step = -score / slope
        following = at + step
        inside = (following > low) & (following < high)
        following = np.where(inside, following, (low + high) / 2)
        before, at = at, following
        if (np.abs(at - before) <= TOLERANCE * spread).all():
            break
    return at


def _score(probability: Array) -> Array:
    # From below 1 by the distance of the last float64 before it: ndtri(1) is infinite, and has no slope.
    score: Array = special.ndtri(probability.clip(SMALLEST, 1 - 1e-16))
    return score
