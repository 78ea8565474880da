"""Which model meets which dataset under which symmetry: names only, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from symbench.algebra import actions
from symbench.algebra.fields import Field
from symbench.base.errors import ConfigError, Problem, near_miss, one_of
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.inputs import fed
from symbench.measure.suite import Selector, Suite, unmatched
from symbench.measure.suite.sweeps import in_full


@dataclass(frozen=True)
class Pair:
    """One cell by its names."""

    model: str
    dataset: str
    symmetry: str

    def __str__(self) -> str:
        return f"{self.model}/{self.dataset}/{self.symmetry}"

    def names(self) -> dict[str, str]:
        """Kind to name, as selectors want it."""
        return {"model": self.model, "dataset": self.dataset, "symmetry": self.symmetry}


def parse_only(text: str) -> Selector:
    """``model=cnn,symmetry=rot*`` as a selector; one kind may stand several times.

    Raises:
        ConfigError: it is not of that form.
    """
    found: dict[str, list[str]] = {}
    for part in text.split(","):
        kind, equals, pattern = part.strip().partition("=")
        if not equals or not pattern or kind not in Selector.model_fields:
            raise ConfigError(
                Problem(
                    "--only",
                    f"got {part.strip()!r}",
                    "model=NAME, dataset=NAME or symmetry=NAME, with commas between",
                    near_miss(kind, Selector.model_fields),
                )
            )
        found.setdefault(kind, []).append(pattern)
    return Selector(**found)


def pairs(suite: Suite, only: Selector | None = None) -> list[Pair]:
    """The cross product of a suite, narrowed by what fits together and by ``only:`` and ``except:``.

    A symmetry meets the datasets that have its leaf, a built-in model those that have its fields.

    Raises:
        ConfigError: an entry meets nothing, a selector matches nothing, or a group cannot act on its leaf.
    """
    kinds = {"model": list(suite.models), "dataset": list(suite.datasets), "symmetry": list(suite.symmetries)}
    problems: list[Problem] = []
    only = _in_full(suite, only) if only is not None else None
    for kind, patterns in only.patterns() if only else ():
        problems += unmatched(patterns, kinds[kind], f"--only {kind}")
    found = [
        pair
        for model in suite.models
        for dataset in suite.datasets
        for symmetry in suite.symmetries
        if _wanted(suite, pair := Pair(model, dataset, symmetry)) and _fits(suite, pair)
    ]
    problems += idle(suite, found, kinds)
    problems += _impossible(suite, found)
    if problems:
        raise ConfigError(problems)
    chosen = [pair for pair in found if only is None or only.matches(pair.names())]
    if not chosen:
        raise ConfigError(Problem("--only", "no cell is left", "a selection that leaves some"))
    return chosen


def _in_full(suite: Suite, only: Selector) -> Selector:
    """The selection, with the models that a swept entry has come to in the place of its name."""
    arms: dict[str, list[str]] = {}
    for name, entry in suite.models.items():
        if entry.swept is not None:
            arms.setdefault(entry.swept.of, []).append(name)
    return only.model_copy(update={"model": in_full(only.model, arms)})


def _static_fields(suite: Suite, dataset: str) -> Mapping[str, Field] | None:
    entry = suite.datasets[dataset]
    return None if ":" in entry.use else DATASETS.row(entry.use).fields_under(entry.options)


def _wanted(suite: Suite, pair: Pair) -> bool:
    entries = (suite.models[pair.model], suite.datasets[pair.dataset], suite.symmetries[pair.symmetry])
    return all(
        (e.only is None or e.only.matches(pair.names()))
        and (e.except_ is None or not e.except_.matches(pair.names()))
        for e in entries
    )


def _fits(suite: Suite, pair: Pair) -> bool:
    fields = _static_fields(suite, pair.dataset)
    if fields is None:
        return True  # only the loaded dataset can tell
    if suite.symmetries[pair.symmetry].on not in fields:
        return False
    use = suite.models[pair.model].use
    if ":" in use:
        return True
    return fed(MODELS.row(use), fields) is not None


def _idle(suite: Suite, kind: str, name: str, why: str | None) -> Problem:
    plural = {"model": "models", "dataset": "datasets", "symmetry": "symmetries"}[kind]
    expected = {
        "model": "a dataset with the fields that it takes (an image, unless its module declares inputs)",
        "dataset": "a model that takes its fields, and a symmetry on one of its leaves; or a model trained on it",
        "symmetry": "a dataset that has the leaf it is on, and a model for that dataset; or a training it augments",
    }[kind]
    got = "nothing in the suite fits it" + (f": {why}" if why and kind == "model" else "")
    return Problem(suite.where(plural, name), got, expected)


def unknown_leaves(suite: Suite, chosen: Sequence[Pair], leaves: Sequence[str]) -> list[Problem]:
    """Symmetries on a leaf that no dataset turns out to have; code declares its fields only once it is loaded."""
    found = []
    for name in dict.fromkeys(pair.symmetry for pair in chosen):
        on = suite.symmetries[name].on
        if on not in leaves:
            where = suite.where("symmetries", name, "on")
            expected = f"a leaf of a dataset: one of {one_of(leaves)}"
            found.append(Problem(where, f"got {on!r}", expected, near_miss(on, leaves)))
    return found


def idle(
    suite: Suite,
    found: Sequence[Pair],
    kinds: Mapping[str, Iterable[str]],
    lacking: Mapping[str, str] = MappingProxyType({}),
) -> list[Problem]:
    """What is said of every entry, of the ``kinds``' names, that no cell and no training comes of.

    Args:
        suite: the suite.
        found: the cells that there are.
        kinds: the names that are looked at.
        lacking: why models fit nothing, by name, as far as that is known.
    """
    recipes = [model.train for model in suite.models.values() if model.train is not None]
    probes = {model.linear_probe.on for model in suite.models.values() if model.linear_probe is not None}
    trained: dict[str, set[str]] = {
        "dataset": {recipe.on for recipe in recipes} | probes,
        "symmetry": {name for recipe in recipes for name in recipe.symmetries.values()},
    }
    problems = []
    for kind, names in kinds.items():
        busy = {pair.names()[kind] for pair in found} | trained.get(kind, set())
        problems += [_idle(suite, kind, name, lacking.get(name)) for name in names if name not in busy]
    return problems


def _impossible(suite: Suite, found: list[Pair]) -> list[Problem]:
    problems: dict[str, Problem] = {}
    for pair in found:
        entry = suite.symmetries[pair.symmetry]
        fields = _static_fields(suite, pair.dataset)
        if fields is None or ":" in f"{entry.group}{entry.action or ''}":
            continue  # what code does is known once it has run
        try:
            where = suite.where("symmetries", pair.symmetry)
            lookup = actions.Lookup.of(entry.group, fields[entry.on], entry.action, where=where)
            lookup.moving(entry.on, fields[entry.on])
            for leaf, field in fields.items():
                list(lookup.parts(leaf, field))
        except ConfigError as error:
            problems.update({str(p): p for p in error.problems})
    return list(problems.values())
