"""Suite to cells: which model meets which dataset under which symmetry, and the key of each.

``pairs`` needs no torch and refuses what cannot be; ``resolve`` loads the data, draws the elements and hashes
everything that a result depends on.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from symbench import actions
from symbench.code import Code
from symbench.datasets import DATASETS
from symbench.errors import ConfigError, ModelError, Problem, SymbenchError
from symbench.fields import Field
from symbench.models import MODELS
from symbench.store import content_key
from symbench.suite import Selector, Suite, code_of, unmatched

if TYPE_CHECKING:
    from torch import nn

    from symbench.assemble import Prepared
    from symbench.datasets.base import Dataset

VERSIONS = {"evaluate": 1, "order": 1}
"""Raised when the numbers of an evaluation change: part of every key."""


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


@dataclass(frozen=True)
class Cell:
    """One cell, resolved: the unit that is cached and compared."""

    pair: Pair
    key: str
    identity: dict[str, Any]


@dataclass
class Plan:
    """Everything that a run needs to know beforehand.

    Attributes:
        suite: the suite.
        cells: in the order in which they will run, model by model.
        datasets: loaded, by name.
        training: training splits, by the name of the dataset.
        prepared: symmetries by (symmetry, dataset, size).
        recipes: the recipe's document of every model that is trained.
        broken: models that cannot be built, with the reason.
    """

    suite: Suite
    cells: list[Cell] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    training: dict[str, Dataset] = field(default_factory=dict)
    prepared: dict[tuple[str, str, int | None], Prepared] = field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: dict[str, SymbenchError] = field(default_factory=dict)

    def symmetry_of(self, cell: Cell) -> Prepared:
        """The symmetry of a cell, built for its dataset and the model's canvas."""
        size = self.suite.models[cell.pair.model].size
        return self.prepared[cell.pair.symmetry, cell.pair.dataset, size]


def parse_only(text: str) -> Selector:
    """``model=cnn,symmetry=rot*`` as a selector; one kind may stand several times.

    Raises:
        ConfigError: it is not of that form.
    """
    found: dict[str, list[str]] = {}
    for part in text.split(","):
        kind, equals, pattern = part.strip().partition("=")
        if not equals or not pattern or kind not in Selector.model_fields:
            raise ConfigError(Problem("--only", f"got {part.strip()!r}", "model=NAME, dataset=NAME or symmetry=NAME, with commas between"))
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
    for kind, patterns in only.patterns() if only else ():
        problems += unmatched(patterns, kinds[kind], f"--only {kind}")
    found = [
        pair
        for model in suite.models
        for dataset in suite.datasets
        for symmetry in suite.symmetries
        if _wanted(suite, pair := Pair(model, dataset, symmetry)) and _fits(suite, pair)
    ]
    problems += _idle(suite, found, kinds)
    problems += _impossible(suite, found)
    if problems:
        raise ConfigError(problems)
    chosen = [pair for pair in found if only is None or only.matches(pair.names())]
    if not chosen:
        raise ConfigError(Problem("--only", "no cell is left", "a selection that leaves some"))
    return chosen


def uses_code(suite: Suite) -> list[str]:
    """The entries that would run code which is not part of symbench."""
    named = [
        *((f"datasets.{name}.use", entry.use) for name, entry in suite.datasets.items()),
        *((f"models.{name}.use", entry.use) for name, entry in suite.models.items()),
        *((f"symmetries.{name}.group", entry.group) for name, entry in suite.symmetries.items()),
    ]
    return [where for where, use in named if ":" in use or ("/" in use and not use.startswith("torchvision/"))]


def _static_fields(suite: Suite, dataset: str) -> Mapping[str, Field] | None:
    use = suite.datasets[dataset].use
    return None if ":" in use else DATASETS.find(use)[0].fields


def _wanted(suite: Suite, pair: Pair) -> bool:
    entries = (suite.models[pair.model], suite.datasets[pair.dataset], suite.symmetries[pair.symmetry])
    return all(
        (e.only is None or e.only.matches(pair.names())) and (e.except_ is None or not e.except_.matches(pair.names()))
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
    inputs = MODELS.find(use)[0].inputs
    return sorted(f.key for f in inputs) == sorted(f.key for f in fields.values())


def _idle(suite: Suite, found: list[Pair], kinds: dict[str, list[str]]) -> list[Problem]:
    problems = []
    for kind, names in kinds.items():
        busy = {pair.names()[kind] for pair in found}
        for name in names:
            if name not in busy:
                plural = {"model": "models", "dataset": "datasets", "symmetry": "symmetries"}[kind]
                problems.append(
                    Problem(f"{plural}.{name}", "nothing in the suite fits it", "a dataset, a model and a symmetry with the same fields and leaf")
                )
    return problems


def _impossible(suite: Suite, found: list[Pair]) -> list[Problem]:
    problems: dict[str, Problem] = {}
    for pair in found:
        entry = suite.symmetries[pair.symmetry]
        fields = _static_fields(suite, pair.dataset)
        if fields is None:
            continue
        try:
            actions.find_all(entry.group, fields[entry.on], entry.action, where=f"symmetries.{pair.symmetry}")
        except ConfigError as error:
            problems.update({str(p): p for p in error.problems})
    return list(problems.values())


def resolve(suite: Suite, chosen: list[Pair], *, device: str, limit: int | None = None, trust_pickle: bool = False) -> Plan:
    """Load what the cells need and give each its key. Nothing is written and no model is run.

    Args:
        suite: the suite.
        chosen: its cells, from :func:`pairs`.
        device: where it will run; the kind of device is part of the key.
        limit: take only the first samples of each dataset's order.
        trust_pickle: let weights be pickles that may run code.

    Raises:
        ConfigError: data, weights or code cannot be had, or a group cannot act on what was loaded.
    """
    from symbench import assemble

    plan = Plan(suite)
    for name in dict.fromkeys(pair.dataset for pair in chosen):
        plan.datasets[name] = assemble.load_dataset(suite, name)
    digests = {name: dataset.digest() for name, dataset in plan.datasets.items()}
    for model in dict.fromkeys(pair.model for pair in chosen):
        mine = [pair for pair in chosen if pair.model == model]
        module = _built(plan, model, mine, trust_pickle=trust_pickle)
        for pair in mine:
            if _fits_loaded(plan, pair, module):
                plan.cells.append(_cell(plan, pair, digests[pair.dataset], device=device, limit=limit))
    if not plan.cells:
        raise ConfigError(Problem("the suite", "no model takes the leaves of any dataset", "a model whose inputs are the dataset's fields"))
    return plan


def _built(plan: Plan, name: str, mine: list[Pair], *, trust_pickle: bool) -> nn.Module | None:
    """Build the model once, to see that it can be: names, weights and shapes; remember it as broken if not."""
    from symbench import assemble

    suite = plan.suite
    entry = suite.models[name]
    assemble.weights_digest(suite, name)
    if entry.train is not None:
        if entry.train.on not in plan.training:
            plan.training[entry.train.on] = assemble.load_dataset(suite, entry.train.on, split="train")
        plan.recipes[name] = assemble.recipe_document(suite, name, plan.training[entry.train.on])
        if entry.train.augment is not None:
            assemble.check_on(suite, entry.train.augment, plan.training[entry.train.on], entry.train.on)
    try:
        module = new_module(plan, name, mine[0].dataset)
    except ModelError as error:
        plan.broken[name] = error
        return None
    assemble.load_weights(module, suite, name, trust_pickle=trust_pickle)
    return module


def new_module(plan: Plan, name: str, dataset: str) -> nn.Module:
    """A model's module with fresh weights, shaped for the data that it is trained on, or else for ``dataset``."""
    from symbench import assemble

    entry = plan.suite.models[name]
    code = code_of(entry, plan.suite, "")
    data = plan.training[entry.train.on] if entry.train is not None else plan.datasets[dataset]
    if code is not None or MODELS.find(entry.use)[0].builds_itself:
        return assemble.build_module(plan.suite, name, shape=(), outputs=0)
    shape = next(iter(data.shapes(canvas=entry.size).values()))
    return assemble.build_module(plan.suite, name, shape=shape, outputs=assemble.output_count(data))


def _fits_loaded(plan: Plan, pair: Pair, module: nn.Module | None) -> bool:
    """What the static check had to leave open: code declares its fields only once it is loaded."""
    from symbench import assemble
    from symbench.fields import Image

    dataset = plan.datasets[pair.dataset]
    if ":" in plan.suite.datasets[pair.dataset].use:
        assemble.check_on(plan.suite, pair.symmetry, dataset, pair.dataset)
    use = plan.suite.models[pair.model].use
    if ":" not in use:
        return assemble.fits(MODELS.find(use)[0].inputs, dataset.fields)
    inputs = getattr(module, "inputs", None)
    return assemble.fits(inputs if isinstance(inputs, Mapping) else (Image(),), dataset.fields)


def _cell(plan: Plan, pair: Pair, digest: str, *, device: str, limit: int | None) -> Cell:
    from symbench import assemble

    suite = plan.suite
    entry = suite.models[pair.model]
    place = (pair.symmetry, pair.dataset, entry.size)
    dataset = plan.datasets[pair.dataset]
    if place not in plan.prepared:
        plan.prepared[place] = assemble.prepare(suite, pair.symmetry, dataset, dataset.shapes(canvas=entry.size))
    identity = {
        "model": _model_identity(plan, pair),
        "dataset": {"digest": digest, "fields": {k: str(v) for k, v in dataset.fields.items()}, "targets": {k: str(v) for k, v in dataset.targets.items()}},
        "preprocessing": {"size": entry.size, "mean": entry.mean, "std": entry.std},
        "symmetry": plan.prepared[place].document,
        "numerics": {**suite.numerics.model_dump(), "device": device.partition(":")[0]},
        "scores": suite.scores,
        "seed": suite.seed,
        "limit": limit,
        "versions": VERSIONS,
    }
    return Cell(pair, content_key(identity), identity)


def _model_identity(plan: Plan, pair: Pair) -> dict[str, Any]:
    from symbench import assemble

    suite, name = plan.suite, pair.model
    if name in plan.recipes:
        return {"recipe": content_key(plan.recipes[name])}
    code = assemble.code_digest(suite, name)
    return {
        **assemble.model_description(suite, name),
        "weights": assemble.weights_digest(suite, name),
        "shapes": {k: list(v) for k, v in plan.datasets[pair.dataset].shapes(canvas=suite.models[name].size).items()},
        "code": code or f"not cacheable {uuid.uuid4()}",
    }


def check_code(suite: Suite) -> None:
    """Refuse every entry that would run code beyond symbench's own (``--no-code``).

    Raises:
        ConfigError: with all such entries.
    """
    found = uses_code(suite)
    if found:
        raise ConfigError(
            [Problem(where, "would run code that is not part of symbench", "built-in names only", "Leave --no-code out if you trust the suite.") for where in found]
        )


__all__ = ["Cell", "Code", "Pair", "Plan", "check_code", "new_module", "pairs", "parse_only", "resolve", "uses_code"]
