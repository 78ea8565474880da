"""Evidence that grows sample by sample, and may be looked at after each: e-processes for the mean of bounded values.

A gambler who bets against "the mean is at least m" multiplies her capital with every sample x by ``1 + b (m - x)``.
If the claim is true the capital is a supermartingale, whatever the bet b from 0 to ``1 / (highest - m)``, and with
the probability 1 - alpha it never reaches 1 / alpha (Ville). One gambler each for a grid of bets, and their mean
capital: grid Kelly betting (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting",
J. R. Stat. Soc. B 86). So samples may be taken until either claim is given up, and no look costs anything; where all
samples are there already, :mod:`symbench.algebra.statistics.bounded` decides by about half as many.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from symbench.algebra.statistics.interval import Array

BETS = np.geomspace(1e-3, 0.99, 60)
"""As parts of the largest bet: small ones win in long runs, large ones on rare values at an end."""


class Wealth:
    """Two e-processes, looked at after any sample: against a mean of at least a margin, and of at most it.

    The samples have to come in an order that their values have no part in, as a cell's seeded one.
    """

    def __init__(self, margin: float, lowest: float = -1.0, highest: float = 1.0) -> None:
        """Start with a capital of 1.

        Args:
            margin: what the mean is claimed to be at least, or at most; within the range.
            lowest: of the values.
            highest: of the values.

        Raises:
            ValueError: the margin is not within the range.
        """
        if not lowest < margin < highest:
            raise ValueError(
                f"wealth: got the margin {margin:g}, expected more than {lowest:g}, less than {highest:g}"
            )
        self.margin, self.lowest, self.highest = margin, lowest, highest
        self.n = 0
        self._logs = np.zeros((2, len(BETS)))

    def take(self, values: Array) -> Array:
        """Bet on some more samples, in their order.

        Args:
            values: ``(n,)``, within the range.

        Returns:
            ``(n, 2)``: after each sample the e-value against "the mean is at least the margin", and that against "the
            mean is at most the margin". At 20 the claim may be given up at the level 5 %, then and for good.

        Raises:
            ValueError: a value is outside of the range, or not finite.
        """
        samples = np.asarray(values, dtype=np.float64)
        if len(samples) and not (samples.min() >= self.lowest and samples.max() <= self.highest):
            got = f"got values from {samples.min():g} to {samples.max():g}"
            raise ValueError(f"wealth: {got}, expected {self.lowest:g} to {self.highest:g}")
        below = (self.margin - samples) / (self.highest - self.margin)
        above = (samples - self.margin) / (self.margin - self.lowest)
        # In logarithms: after some thousand samples the capital of a bold gambler is 1e-400, and its sum with the
        # others' would be lost to underflow, as would a real 1e+400.
        won = np.log1p(np.stack([below, above])[:, :, None] * BETS).cumsum(axis=1) + self._logs[:, None]
        if len(samples):
            self.n += len(samples)
            self._logs = won[:, -1]
        e_values: Array = np.exp(special.logsumexp(won, axis=2) - np.log(len(BETS))).T  # the gamblers' mean
        return e_values

    @property
    def p_values(self) -> tuple[float, float]:
        """P values of the two claims by the capital of now: 1 / e, at most 1."""
        # By the capital of now, the last e-values that :meth:`take` returned. 1 / the highest so far would be valid
        # too (Ville), and smaller.
        logs = special.logsumexp(self._logs, axis=1) - np.log(len(BETS))
        return float(np.exp(min(-logs[0], 0.0))), float(np.exp(min(-logs[1], 0.0)))
