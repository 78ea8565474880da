"""Whether a suite's studies can be answered at all: names that exist, and sweeps with several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from symbench.algebra.metrics import METRICS, role_of
from symbench.base.document import Document, Path_
from symbench.base.errors import Problem, near_miss, one_of, quoted
from symbench.measure.suite.studies import Breaking, Exchange, Means, Study, arm_of
from symbench.measure.suite.swept import Swept
from symbench.measure.suite.wrong_groups import problems_of_wrong_groups

if TYPE_CHECKING:
    from symbench.measure.suite.entries import Suite

SEVERAL = 2
"""Seeds, and points of a curve, that there are at least."""
Arms = dict[str, list[Swept]]
"""What the models that a question is about were swept over, by their entry."""


def problems_of_studies(suite: Suite, source: Document) -> Iterator[Problem]:
    """Every problem of the suite's questions: names of nothing, and sweeps that are not there."""
    entries = list(dict.fromkeys(entry.swept.of if entry.swept else name for name, entry in suite.models.items()))
    for i, study in enumerate(suite.studies):
        place: Path_ = ("studies", i)
        known = {"dataset": list(suite.datasets), "symmetry": list(suite.symmetries)}
        for kind, names in known.items():
            given = getattr(study, kind)
            if given is None and len(names) > 1:
                yield Problem(source.where((*place, kind)), "got none", f"one of {one_of(names)}")
            yield from _among(given, names, source, (*place, kind))
        wrong = [p for arm in study.arms or () for p in _among(arm, entries, source, (*place, "arms"))]
        yield from wrong
        if not wrong:
            yield from _of_arms(_asked_of(suite, study), study, source, place)
        if not isinstance(study, Breaking):
            yield from _among(study.metric, [*METRICS.rows, *suite.metrics], source, (*place, "metric"))
        if isinstance(study, Means) and study.ceiling and study.metric != role_of("orbit mean"):
            expected = f"metric: {role_of('orbit mean')}, which alone has one"
            yield Problem(source.where((*place, "ceiling")), f"got a ceiling for {study.metric}", expected)
        if isinstance(study, Means):
            costs = [name for name, row in METRICS.rows.items() if row.scope == "model"]
            yield from _among(study.at, costs, source, (*place, "at"))
            yield from problems_of_wrong_groups(suite, study, source, place)


def _asked_of(suite: Suite, study: Study) -> Arms:
    """What each arm's models were swept over; of one that was not swept, nothing."""
    found: Arms = {}
    for name, entry in suite.models.items():
        swept = entry.swept or Swept(of=name, values={})
        if swept.of in study.arms if study.arms is not None else entry.swept is not None:
            found.setdefault(swept.of, []).append(swept)
    return found


def _of_arms(arms: Arms, study: Study, source: Document, place: Path_) -> Iterator[Problem]:
    """The problems of what arms were swept over."""
    seeds = {of: len({each.seed for each in models} - {None}) for of, models in arms.items()}
    if max(seeds.values(), default=0) < SEVERAL or (isinstance(study, Breaking) and min(seeds.values()) < SEVERAL):
        few = [of for of, count in seeds.items() if count < SEVERAL] or ["nothing"]
        remedy = "sweep: {seeds: 5} in the suite makes five of each model that is trained."
        yield Problem(source.where(place), f"{', '.join(few)} is not trained from several seeds", "replicas", remedy)
        return
    if isinstance(study, Breaking):
        return
    keys = sorted({key for models in arms.values() for each in models for key in each.point})
    yield from _among(study.over, keys, source, (*place, "over"))
    if isinstance(study, Exchange):
        yield from _of_exchange(arms, study.over, source, place)
    else:
        yield from _of_means(arms, study, source, place)


def _of_means(arms: Arms, study: Means, source: Document, place: Path_) -> Iterator[Problem]:
    """The problems of the arms that a question names: the one that all are held against, and those of theory."""
    points = [
        (arm_of(each.of, each.values, study.over), str(each.values.get(study.over or "")))
        for models in arms.values()
        for each in models
    ]
    labels = list(dict.fromkeys(arm for arm, _ in points))
    yield from _among(study.against, labels, source, (*place, "against"))
    for arm, values in study.expected.items():
        wrong = list(_among(arm, labels, source, (*place, "expected")))
        yield from wrong
        count = len({at for label, at in points if label == arm})
        if not wrong and len(values) != count:
            where = source.where((*place, "expected", arm))
            yield Problem(where, f"got {len(values)} values", f"{count}, one for each value of {study.over}")


def _of_exchange(arms: Arms, over: str, source: Document, place: Path_) -> Iterator[Problem]:
    """The problems of curves along the samples: two points at least, of numbers, and nothing else swept over."""
    where = source.where((*place, "arms"))
    for of, models in arms.items():
        values = {each.values.get(over) for each in models}
        if any(not isinstance(value, (int, float)) or value <= 0 for value in values) or len(values) < SEVERAL:
            yield Problem(where, f"{of} is not swept over {over}", f"two numbers of {over} or more")
        others = sorted({key for each in models for key in each.point} - {over})
        if others:
            yield Problem(where, f"{of} is swept over {', '.join(others)} too", f"{over} and seeds alone")


def _among(given: str | None, names: Iterable[str], source: Document, place: Path_) -> Iterator[Problem]:
    known = list(names)
    if given is not None and given not in known:
        yield Problem(source.where(place), f"got {quoted(given)}", f"one of {one_of(known)}", near_miss(given, known))
