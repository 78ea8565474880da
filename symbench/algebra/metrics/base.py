"""What a metric gets and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from symbench.algebra.statistics import Array, Interval, Sampled
from symbench.base.columns import SEEN
from symbench.base.passes import PassRecord


@dataclass(frozen=True)
class Observed:
    """The observations of one output of one cell, as arrays ``(k, n)``; element 0 is the identity.

    Attributes:
        samples: ``(n,)``, the dataset's index of each.
        correct: 0 or 1, float64; of several labels the share that is right; None without labels or classes.
        prediction: top-1 class; None for other tasks.
        target: class index; None without labels or classes.
        confidence: probability of the reference's top-1 class; None for other tasks.
        averaged: ``(n,)``, the prediction of the orbit's mean output, over all of the cell's elements; None where
            outputs are no class scores, or for a subset of the elements.
        loss: None without labels.
        task: ``classification``, ``binary``, ``multi-label``, ``embedding`` or ``regression``.
        label_scores: log-odds of each label ``(k, n, labels)``, above 0 where it is predicted; None for other tasks.
        label_targets: 0 or 1 for each label ``(k, n, labels)``; None for other tasks, and without labels.
        cosine: of ``f(g.x)`` and ``f(x)``; None but for embeddings.
        retrieved: 1 where ``f(g.x)`` is nearest to ``f(x)`` among unmoved samples; None but for embeddings.
        deviation_sq: ``|f(g.x) - g.f(x)|^2``.
        unrelated_sq: the same to all other samples; NaN for the identity.
        weights: ``(k,)``, adding up to 1.
        labels: of the elements.
        kinds: of the elements' actions.
        strata: the piece of the group that each element is of; empty where the group is one.
        null_limit_sq: below this, the mean of ``unrelated_sq`` is rounding.
        valid: whether the label still holds, bool; pairs where it does not leave accuracy.
        controls: what the control evaluations came to, without those that could not run: ``e32`` and ``e64`` (E on
            some elements that permute or are exact, in the suite's dtype and in float64), ``single`` (what E comes to
            from rounding in float32), and the floors ``error``, ``deviation``, ``behaviour`` and ``reference``.
        split: of E by the reference action, on the control samples: per sample the mean over some elements of the
            squares ``total``, ``reference``, ``remainder``, ``two routes`` and of ``unrelated``, and ``survived``,
            the share of predictions that survive the round trip.
        lie: by generator, on the control samples: per sample ``central``, ``unrelated`` and ``dimension``, and where
            forward-mode differentiation was possible ``forward`` and ``gap``, all but the dimension squared.
        layers: by layer, ``deviation`` and ``unrelated``, squared, on the control samples, ``(k, n)``.
        measured: by control, the kind of the elements that it took (``all`` where there are several), how many, and
            on how many samples.
        units: of the generators, ``rad`` or ``px``.
        sizes: E in float64 by the side of the image; as the model runs, where it does not run in that.
        lower: the submodules that compute in a lower precision, with the dtype, where E is not exact.
        reasons: of every control that could not run.
        facts: of the model: parameters, flops and times.
        remarks: what is said of facts, by their names.
        passes: throughput passes of the model on this dataset, those of one hardware.
    """

    samples: Array
    correct: Array | None
    prediction: Array | None
    target: Array | None
    confidence: Array | None
    averaged: Array | None
    loss: Array | None
    deviation_sq: Array
    unrelated_sq: Array
    weights: Array
    labels: Sequence[str]
    kinds: Sequence[str]
    null_limit_sq: float
    valid: Array
    controls: Mapping[str, float]
    facts: Mapping[str, float | None]
    strata: Sequence[str | None] = ()
    split: Mapping[str, Array] = field(default_factory=dict)
    lie: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    layers: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    measured: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[int, float] = field(default_factory=dict)
    lower: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    task: str = "classification"
    label_scores: Array | None = None
    label_targets: Array | None = None
    cosine: Array | None = None
    retrieved: Array | None = None
    passes: Sequence[PassRecord] = ()

    @property
    def predictions(self) -> Array | None:
        """Everything that is predicted of a sample, ``(k, n, labels)``: one class, or 0 or 1 for each label."""
        if self.label_scores is not None:
            return (self.label_scores > 0).astype(np.float64)
        return None if self.prediction is None else self.prediction[..., None]

    @property
    def moved(self) -> int:
        """K: how many elements there are besides the identity."""
        return len(self.labels) - 1

    def of_control(self, control: str, value: Value) -> Value:
        """An estimate with the elements and samples that its control took."""
        kind, k, n = self.measured.get(control, (None, None, None))
        return replace(value, kind=kind, k=k, n=value.n or n)

    def only(self, kind: str) -> Observed:
        """The elements of one kind. The identity stays as the reference; it is a permutation and counts as one."""
        return self._some([k == kind for k in self.kinds], identity=kind == "permutation")

    def of_stratum(self, stratum: str) -> Observed:
        """The elements of one piece of the group. The identity stays as the reference, and counts in its own
        piece."""
        return self._some([each == stratum for each in self.strata], identity=self.strata[0] == stratum)

    def _some(self, chosen: Sequence[bool], *, identity: bool) -> Observed:
        """Some of the elements, with their weights made to add up to 1 again; the first stays in any case."""
        keep = np.array([True, *chosen[1:]])
        weights = self.weights * keep
        if not identity:
            weights[0] = 0.0
        weights = weights[keep] / weights.sum()
        arrays: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else values[keep] for name in SEEN
        }
        return replace(
            self,
            **arrays,
            averaged=None,
            weights=weights,
            labels=[label for label, k in zip(self.labels, keep, strict=True) if k],
            kinds=[kind for kind, k in zip(self.kinds, keep, strict=True) if k],
            strata=[stratum for stratum, k in zip(self.strata, keep, strict=False) if k],
        )


@dataclass(frozen=True)
class Value:
    """One estimate of a metric, or the reason why there is none.

    Attributes:
        estimate: None with a ``reason``, never 0 for no data.
        n: base samples.
        element: the element's label, where the estimate is about one.
        reason: why there is no estimate, or a verdict on it.
        failed: the metric itself raised.
        output: where the estimate is about another output than the cell's: a layer.
        kind: where it is about elements of another kind than the rest.
        k: how many they are.
        unit: where it has another than its metric.
        sampled: what it is a function of: from there come its interval and comparisons. None for a bare number.
        drawn: whether tables hold its interval; gates make it where they need it.
        spread: the middle half of what it is the median of, for a bare number that varies from pass to pass.
        within: what its interval cannot leave, where what it is a function of may.
    """

    estimate: float | None
    n: int | None = None
    element: str | None = None
    reason: str | None = None
    failed: bool = False
    output: str | None = None
    kind: str | None = None
    k: int | None = None
    unit: str | None = None
    sampled: Sampled | None = None
    drawn: bool = True
    spread: tuple[float, float] | None = None
    within: tuple[float, float] | None = None

    @property
    def status(self) -> str:
        """``ok``, ``undefined`` (there is no such number, with the reason) or ``failed`` (computing it raised)."""
        return "failed" if self.failed else "undefined" if self.estimate is None else "ok"

    @classmethod
    def of(cls, sampled: Sampled, *, element: str | None = None, drawn: bool = True) -> Value:
        """From what it is a function of."""
        return cls(sampled.estimate, sampled.n, element, sampled=sampled, drawn=drawn)

    def interval(self, *, seed: int) -> Interval | None:
        """Its confidence limits, where tables hold them."""
        if self.sampled is None or not self.drawn:
            return None
        found = self.sampled.interval(seed=seed)
        if self.within is None or found.low is None or found.high is None:
            return found
        return replace(found, low=max(found.low, self.within[0]), high=min(found.high, self.within[1]))


NO_LABELS = Value(None, reason="no class labels")
