"""What a metric gets and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from symbench.algebra.statistics import Array, Interval, Sampled
from symbench.base.columns import AVERAGED, SEEN
from symbench.base.passes import PassRecord
from symbench.base.records import FindingRecord


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known of one output of one cell beside its observations; element 0 is the identity.

    Attributes:
        samples: ``(n,)``, the dataset's index of each.
        weights: ``(k,)``, adding up to 1.
        labels: of the elements.
        kinds: of the elements' actions.
        strata: the piece of the group that each element is of; empty where the group is one.
        null_limit_sq: below this, the mean of ``unrelated_sq`` is rounding.
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
        units: of the generators, ``rad``, ``px`` or ``length``.
        sizes: E in float64 by the side of the image; as the model runs, where it does not run in that.
        lower: the submodules that compute in a lower precision, with the dtype, where E is not exact.
        findings: by control, all that it found of the output, or of the whole cell.
        fixed: at symmetric inputs, on the control samples: per sample ``deviation`` and ``unrelated``, squared.
        reasons: of every control that could not run.
        facts: of the model: parameters, flops and times.
        remarks: what is said of facts, by their names.
        passes: throughput passes of the model on this dataset, those of one hardware.
        task: ``classification``, ``binary``, ``multi-label``, ``embedding``, ``regression``, ``segmentation``,
            ``detection`` or ``keypoints``.
        classes: what classes are called, by their numbers; empty where nobody said.
        classes_move: the group permutes the classes.
        cell_samples: how many samples the whole cell has, where these are some of them.
        unit: of the output; ``output`` where it is declared to have none.
        axis: that the output stands along, or grows with; None where there is none.
        extensive: the output is one of the whole sample that grows with how many places it has.
        per_sample: how many places samples have, their mean.
        reader: gives the named columns of one element, by its number, for all samples.
    """

    samples: Array
    weights: Array
    labels: Sequence[str]
    kinds: Sequence[str]
    null_limit_sq: float
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
    findings: Mapping[str, Sequence[FindingRecord]] = field(default_factory=dict)
    fixed: Mapping[str, Array] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    passes: Sequence[PassRecord] = ()
    task: str = "classification"
    classes: Sequence[str] = ()
    classes_move: bool = False
    cell_samples: int | None = None
    unit: str = "output"
    axis: str | None = None
    extensive: bool = False
    per_sample: float | None = None
    reader: Callable[[int, tuple[str, ...]], Observed] | None = None

    @property
    def moved(self) -> int:
        """K: how many elements there are besides the identity."""
        return len(self.labels) - 1

    @property
    def n(self) -> int:
        """How many samples the cell has."""
        return len(self.samples) if self.cell_samples is None else self.cell_samples

    def element(self, k: int, *names: str) -> Observed:
        """The named columns of one element, ``(1, n)``, all samples: read when asked for, and not kept."""
        if self.reader is None:
            raise ValueError("the observations of an element are known of a whole cell only")
        return self.reader(k, names)

    def of_control(self, control: str, value: Value) -> Value:
        """An estimate with the elements and samples that its control took."""
        kind, k, n = self.measured.get(control, (None, None, None))
        return replace(value, kind=kind, k=k, n=value.n or n)

    def only(self, kind: str) -> Self:
        """The elements of one kind. The identity stays as the reference; it is a permutation and counts as one."""
        return self.some([k == kind for k in self.kinds], identity=kind == "permutation")

    def of_stratum(self, stratum: str) -> Self:
        """The elements of one piece of the group. The identity stays as the reference, and counts in its own
        piece."""
        return self.some([each == stratum for each in self.strata], identity=self.strata[0] == stratum)

    def some(self, chosen: Sequence[bool], *, identity: bool) -> Self:
        """Some of the elements, with their weights made to add up to 1 again; the first stays in any case."""
        keep = np.array([True, *chosen[1:]])
        weights = self.weights * keep
        if not identity:
            weights[0] = 0.0
        numbers, reader = np.flatnonzero(keep).tolist(), self.reader
        return replace(
            self,
            **self.tables_of(keep),
            weights=weights[keep] / weights.sum(),
            labels=[self.labels[k] for k in numbers],
            kinds=[self.kinds[k] for k in numbers],
            strata=[self.strata[k] for k in numbers if self.strata],
            reader=None if reader is None else lambda k, names: reader(numbers[k], names),
        )

    def tables_of(self, keep: Array) -> dict[str, Any]:
        """What else changes where some of the elements are taken."""
        del keep
        return {}


@dataclass(frozen=True, kw_only=True)
class Observed(Context):
    """The observations of one output of one cell, as arrays ``(k, n)``; element 0 is the identity.

    Attributes:
        correct: 0 or 1, float64; of several labels the share that is right; None without labels or classes.
        prediction: top-1 class; None for other tasks.
        target: class index; None without labels or classes.
        confidence: probability of the reference's top-1 class; None for other tasks.
        averaged: ``(n,)``, the prediction of the orbit's mean output, over all of the cell's elements; None where
            outputs are no class scores, or for a subset of the elements.
        loss_of_average: ``(n,)``, the loss of the orbit's mean output, where ``averaged`` is known; None without
            labels, and where outputs lose something when they are moved back.
        orbit_variance: ``(n,)``, the mean squared distance from that output over the orbit; None where the loss is
            none of squares.
        loss: None without labels.
        moved_target: class index of the moved sample; None where classes do not move.
        label_scores: log-odds of each label ``(k, n, labels)``, above 0 where it is predicted; None for other tasks.
        label_targets: 0 or 1 for each label ``(k, n, labels)``; None for other tasks, and without labels.
        cosine: of ``f(g.x)`` and ``f(x)``; None but for embeddings.
        retrieved: 1 where ``f(g.x)`` is nearest to ``f(x)`` among unmoved samples; None but for embeddings.
        places: how many places the sample has; None where the output has none and grows with none.
        place_mean: the mean length of ``f(g.x) - g.f(x)`` at a place, or for each; likewise.
        place_largest: the largest of these lengths; None but for outputs at places.
        place_worst: at which place that is, from 0.
        place_cosine: mean cosine of ``f(g.x)`` and ``g.f(x)`` at a place; None of single numbers.
        place_right: the share of labelled places that are right; None but for classes of places, and named points.
        place_kept: the share of places predicted as the unmoved prediction moved along; likewise.
        place_swapped: of places whose class is renamed, the share predicted as if it were not; None where none is.
        class_hits: how many labelled places both are and are said to be of each class, ``(k, n, classes)``.
        class_said: how many are said to be of it, likewise.
        class_there: how many are, likewise.
        rim_sq: mean squared deviation by the distance from the frame's edge, ``(k, n, bins)``, NaN where no place is.
        object_scores: of each detection, ``(k, n, most)``; None but for boxes.
        object_classes: its class, -1 for none, likewise.
        object_hits: a number whose bit b says whether it is right at an overlap of 0.5 + 0.05 b, likewise.
        object_targets: the classes of the objects that are there, -1 for none, ``(k, n, targets)``.
        objects_kept: how far the detections are those of the unmoved sample moved along, from 0 to 1.
        consensus_agreement: ``(n,)``, how far an orbit's predictions are that of its mean output.
        deviation_sq: ``|f(g.x) - g.f(x)|^2``.
        unrelated_sq: the same to all other samples; NaN for the identity.
        valid: whether the label still holds, bool; pairs where it does not leave accuracy.
    """

    deviation_sq: Array
    unrelated_sq: Array
    valid: Array
    correct: Array | None = None
    prediction: Array | None = None
    target: Array | None = None
    moved_target: Array | None = None
    confidence: Array | None = None
    averaged: Array | None = None
    loss_of_average: Array | None = None
    orbit_variance: Array | None = None
    loss: Array | None = None
    label_scores: Array | None = None
    label_targets: Array | None = None
    cosine: Array | None = None
    retrieved: Array | None = None
    places: Array | None = None
    place_mean: Array | None = None
    place_largest: Array | None = None
    place_worst: Array | None = None
    place_cosine: Array | None = None
    place_right: Array | None = None
    place_kept: Array | None = None
    place_swapped: Array | None = None
    class_hits: Array | None = None
    class_said: Array | None = None
    class_there: Array | None = None
    rim_sq: Array | None = None
    object_scores: Array | None = None
    object_classes: Array | None = None
    object_hits: Array | None = None
    object_targets: Array | None = None
    objects_kept: Array | None = None
    consensus_agreement: Array | None = None

    @property
    def predictions(self) -> Array | None:
        """Everything that is predicted of a sample, ``(k, n, labels)``: one class, or 0 or 1 for each label."""
        if self.label_scores is not None:
            return (self.label_scores > 0).astype(np.float64)
        return None if self.prediction is None else self.prediction[..., None]

    @property
    def kept(self) -> Array | None:
        """The share of what is predicted of each moved sample that is as it was unmoved, ``(k - 1, n)``."""
        predictions = self.predictions
        if predictions is None:
            return None if self.place_kept is None else self.place_kept[1:]
        found: Array = (predictions[1:] == predictions[0]).mean(axis=-1)
        return found

    def element(self, k: int, *names: str) -> Observed:
        """The observations of one element, ``(1, n)``."""
        del names
        keep = np.arange(len(self.labels)) == k
        named: dict[str, Any] = {
            "labels": [self.labels[k]],
            "kinds": [self.kinds[k]],
            "strata": list(self.strata[k : k + 1]),
        }
        return replace(self, **self.tables_of(keep), **named, weights=self.weights[keep])

    def tables_of(self, keep: Array) -> dict[str, Any]:
        """The tables with the rows of some elements; averages over the orbit are of none of them."""
        known = {name: getattr(self, name) for name in SEEN}
        averages = dict.fromkeys(AVERAGED.values())
        return {**averages, **{name: rows if rows is None else rows[keep] for name, rows in known.items()}}


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
        return self.cut(self.sampled.interval(seed=seed))

    def cut(self, found: Interval) -> Interval:
        """Limits of it, no farther than it can be."""
        if self.within is None or found.low is None or found.high is None:
            return found
        return replace(found, low=max(found.low, self.within[0]), high=min(found.high, self.within[1]))


NO_LABELS = Value(None, reason="no class labels")
