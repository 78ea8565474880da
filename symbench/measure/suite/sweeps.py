"""Sweeps: an entry of a model that stands for many, one for each combination of the values that it lists.

``sweep: {samples: [100, 300], seeds: 5}`` of an entry ``cnn`` gives ten, from ``cnn-samples-100-seed-0`` on. A key is
one of the recipe under ``train:``, or else of the entry itself; a dot leads into it, as in ``augment.share``. A
suite's own ``sweep:`` holds for every model that is trained. Each entry keeps under ``swept:`` what it is one of.
Where models are selected, ``cnn`` stands for all ten: it is replaced by their names.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from symbench.base.document import Document, Path_
from symbench.base.errors import Problem, UnknownName, near_miss, one_of, quoted
from symbench.domains.common.models import MODELS
from symbench.measure.suite.entries import ModelEntry
from symbench.measure.suite.recipe import Recipe
from symbench.measure.suite.studies import in_words

SEEDS = "seeds"
"""The key whose values are replicas: a number of them, or a list of the seeds themselves."""
NAMED = {"augment": "symmetry", "soften": "symmetry", "views": "symmetry"}
"""Keys of a recipe that may be a name alone, and what that name is called where there is more to say."""
MOST = 1000
"""Entries that one suite may come to."""
Values = dict[str, list[Any]]


def swept(source: Document) -> tuple[Document, list[Problem]]:
    """A suite with its sweeps written out.

    Args:
        source: as it stands in its file.

    Returns:
        The suite, each new entry at the lines of the one that it came of; and what is wrong with its sweeps.
    """
    models = source.data.get("models")
    if not isinstance(models, dict):
        return source, []
    problems: list[Problem] = []
    many = 0
    common = _values(source.data.get("sweep"), ("sweep",), source, problems)
    if common and not any(_is_trained(entry) for entry in models.values()):
        problems.append(Problem(source.where(("sweep",)), "no model of the suite is trained", "one with train:"))
    entries: dict[Any, Any] = {}
    arms: dict[str, list[str]] = {}
    lines = dict(source.lines)
    for name, entry in models.items():
        own = entry.get("sweep") if isinstance(entry, dict) else None
        place: Path_ = ("models", name, "sweep")
        if isinstance(entry, dict) and "swept" in entry:  # that is what this module writes
            problems.append(Problem(source.where(("models", name, "swept")), "got unknown key 'swept'", "sweep"))
        values = _values(own, place, source, problems)
        if _is_trained(entry):
            values = {**common, **values}
        if not values:
            entries[name] = entry
            continue
        problems += _unknown(entry, values, source, name)
        many += prod(len(each) for each in values.values())
        if many > MOST:
            continue
        for made, expanded in _expanded(name, entry, values):
            if made in entries or made in models:
                problems.append(Problem(source.where(place), f"makes two models named {made}", "values that differ"))
            entries[made] = expanded
            arms.setdefault(name, []).append(made)
            lines |= {("models", made, *p[2:]): n for p, n in source.lines.items() if p[:2] == ("models", name)}
    if many > MOST:
        problems.append(Problem(source.where(("models",)), f"sweeps make {many:,} models", f"at most {MOST:,}"))
    data = {key: value for key, value in source.data.items() if key != "sweep"}
    data["models"] = entries
    return replace(source, data=_selected(data, arms) if arms else data, lines=lines), problems


def _selected(data: dict[str, Any], arms: Mapping[str, list[str]]) -> dict[str, Any]:
    """A suite whose rules, and whose ``only:`` and ``except:``, name models where they named a swept entry."""
    found = dict(data)
    for kind in ("datasets", "models", "symmetries"):
        if isinstance(data.get(kind), dict):
            found[kind] = {name: _narrowed(entry, arms) for name, entry in data[kind].items()}
    if isinstance(data.get("gates"), list):
        found["gates"] = [_of_models(rule, arms) for rule in data["gates"]]
    return found


def _narrowed(entry: Any, arms: Mapping[str, list[str]]) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {key: _of_models(value, arms) if key in {"only", "except"} else value for key, value in entry.items()}


def _of_models(selector: Any, arms: Mapping[str, list[str]]) -> Any:
    if not isinstance(selector, dict) or not isinstance(selector.get("model"), (str, list)):
        return selector
    patterns = selector["model"] if isinstance(selector["model"], list) else [selector["model"]]
    if not any(isinstance(pattern, str) and pattern in arms for pattern in patterns):
        return selector
    return {**selector, "model": in_full(patterns, arms)}


def in_full(patterns: Iterable[Any], arms: Mapping[str, list[str]]) -> list[Any]:
    """Patterns over models, with the names of all that a swept entry has come to in the place of its own."""
    return [name for each in patterns for name in (arms.get(each, [each]) if isinstance(each, str) else [each])]


def _values(given: Any, place: Path_, source: Document, problems: list[Problem]) -> Values:
    """The values of each key, replicas as their seeds."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        expected = "a mapping from keys to lists of values, such as {samples: [100, 300], seeds: 5}"
        problems.append(Problem(source.where(place), f"got {quoted(given)}", expected))
        return {}
    found: Values = {}
    for key, value in given.items():
        values = list(range(min(value, MOST + 1))) if key == SEEDS and type(value) is int else value
        if not isinstance(values, list) or not values or not isinstance(key, str):
            expected = "a list of values" + (", or how many seeds there are to be" if key == SEEDS else "")
            problems.append(Problem(source.where((*place, key)), f"got {quoted(value)}", expected))
        elif len({json.dumps(each, sort_keys=True, default=str) for each in values}) < len(values):
            problems.append(Problem(source.where((*place, key)), f"got {quoted(value)}", "each value once"))
        else:
            found[key] = values
    return found


def _is_trained(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("train"), dict)


def _unknown(entry: Mapping[str, Any], values: Values, source: Document, name: str) -> Iterator[Problem]:
    """A problem for every key that no entry of this kind has, where it stands: in the entry or at the top."""
    own: Path_ = ("models", name, "sweep")
    known = [*(Recipe.model_fields if isinstance(entry.get("train"), dict) else ()), *_keys_of(entry, source, own)]
    for key in values:
        place: Path_ = own if key in (entry.get("sweep") or {}) else ("sweep",)
        first = key.partition(".")[0]
        if key == SEEDS and "train" in entry:
            continue
        if key == SEEDS:
            yield Problem(
                source.where((*place, key)), "got seeds for a model that is not trained", "a recipe: train:"
            )
        elif first not in known:
            near = near_miss(first, [*known, SEEDS])
            yield Problem(
                source.where((*place, key)), f"got unknown key {quoted(key)}", f"one of {one_of(known)}", near
            )


def _keys_of(entry: Mapping[str, Any], source: Document, place: Path_) -> list[str]:
    """The keys that an entry may have: its own, and the options of what it uses."""
    own = [name for name in ModelEntry.model_fields if name not in {"use", "train", "swept", "only", "except_"}]
    use = entry.get("use")
    if not isinstance(use, str) or ":" in use:
        return own
    try:
        return [*own, *MODELS.find(use, where=source.where(place))[0].options.model_fields]
    except UnknownName:  # of which another check speaks
        return own


def _expanded(name: str, entry: Mapping[str, Any], values: Values) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every combination of the values as an entry, with its name."""
    plain = {key: value for key, value in entry.items() if key != "sweep"}
    for combination in product(*values.values()):
        chosen = {("seed" if key == SEEDS else key): value for key, value in zip(values, combination, strict=True)}
        made = copy.deepcopy(plain)
        for key, value in chosen.items():
            _set(made, key, value)
        yield _name(name, chosen), {**made, "swept": {"of": name, "values": chosen}}


def _set(entry: dict[str, Any], key: str, value: Any) -> None:
    """Put a value where its key leads."""
    first, *rest = key.split(".")
    recipe = entry.get("train")
    at = recipe if isinstance(recipe, dict) and first in Recipe.model_fields else entry
    for part in rest:
        below = at.get(first)
        at[first] = below if isinstance(below, dict) else {} if below is None else {NAMED.get(first, first): below}
        at, first = at[first], part
    at[first] = value


def _name(of: str, chosen: Mapping[str, Any]) -> str:
    """``cnn-samples-100-seed-0``: more values of the same keys change no name."""
    parts = [f"{key.rpartition('.')[2]}-{in_words(value)}" for key, value in chosen.items()]
    return re.sub(r"[^a-z0-9_-]+", "_", "-".join([of, *parts]).lower())
