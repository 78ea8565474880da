"""Whether a suite's studies can be answered at all: names that exist, and sweeps with several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from symbench.algebra.metrics import METRICS, role_of
from symbench.base.document import Document, Path_
from symbench.base.errors import Problem, near_miss, one_of, quoted
from symbench.measure.suite.studies import Breaking, Means

if TYPE_CHECKING:
    from symbench.measure.suite.entries import Suite


def problems_of_studies(suite: Suite, source: Document) -> Iterator[Problem]:
    """Every problem of the suite's questions: names of nothing, and sweeps that are not there."""
    swept = {name: entry.swept for name, entry in suite.models.items() if entry.swept is not None}
    arms = dict.fromkeys([*(each.of for each in swept.values()), *(set(suite.models) - set(swept))])
    keys = {key for each in swept.values() for key in each.point}
    for i, study in enumerate(suite.studies):
        place: Path_ = ("studies", i)
        known = {"dataset": list(suite.datasets), "symmetry": list(suite.symmetries)}
        for kind, names in known.items():
            given = getattr(study, kind)
            if given is None and len(names) > 1:
                yield Problem(source.where((*place, kind)), "got none", f"one of {one_of(names)}")
            yield from _among(given, names, source, (*place, kind))
        for arm in study.arms or ():
            yield from _among(arm, arms, source, (*place, "arms"))
        if not isinstance(study, Breaking):
            names = list(METRICS.rows)
            yield from _among(None if ":" in study.metric else study.metric, names, source, (*place, "metric"))
            yield from _among(study.over, sorted(keys), source, (*place, "over"))
        if isinstance(study, Means):
            yield from _among(study.against, study.arms or arms, source, (*place, "against"))
            if study.ceiling and study.metric != role_of("orbit mean"):
                expected = f"metric: {role_of('orbit mean')}, which alone has one"
                yield Problem(source.where((*place, "ceiling")), f"got a ceiling for {study.metric}", expected)
            for arm in study.expected:
                yield from _among(arm, study.arms or arms, source, (*place, "expected"))
        if not any(each.seed is not None for each in swept.values()):
            remedy = "sweep: {seeds: 5} in the suite makes five of each model that is trained."
            yield Problem(source.where(place), "nothing is trained from several seeds", "replicas", remedy)


def _among(given: str | None, names: Iterable[str], source: Document, place: Path_) -> Iterator[Problem]:
    known = list(names)
    if given is not None and given not in known:
        yield Problem(source.where(place), f"got {quoted(given)}", f"one of {one_of(known)}", near_miss(given, known))
