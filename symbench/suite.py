"""Suites: YAML to a frozen, checked value, without torch.

Every error names file, line and key, what was got and what was expected; all of a file's errors come at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from symbench import document
from symbench.actions import ACTIONS
from symbench.code import Code
from symbench.datasets import DATASETS
from symbench.document import Document, Path_
from symbench.errors import ConfigError, Problem, SuiteError, near_miss, one_of, quoted
from symbench.groups import GROUPS, factors
from symbench.models import MODELS
from symbench.registry import Options

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


Globs = Annotated[str | list[str], AfterValidator(_as_list)]


class Selector(Options):
    """Which cells: glob patterns over the names of the suite's entries."""

    model: Globs = Field(default_factory=list)
    dataset: Globs = Field(default_factory=list)
    symmetry: Globs = Field(default_factory=list)

    def matches(self, names: Mapping[str, str]) -> bool:
        """Whether every kind that is mentioned has a pattern that fits; ``names`` maps kind to name."""
        return all(
            not patterns or any(fnmatchcase(names[kind], p) for p in patterns)
            for kind, patterns in self.patterns()
        )

    def patterns(self) -> Iterator[tuple[str, list[str]]]:
        """``(kind, patterns)`` of all three kinds."""
        for kind in ("model", "dataset", "symmetry"):
            yield kind, _as_list(getattr(self, kind))


class Entry(BaseModel):
    """What all entries have. Keys beyond these are the options of the thing named."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    only: Selector | None = None
    except_: Selector | None = Field(default=None, alias="except")
    options: dict[str, Any] = Field(default_factory=dict, exclude=True)


class DatasetEntry(Entry):
    """One dataset of a suite."""

    use: str
    args: dict[str, Any] = Field(default_factory=dict)


class Recipe(Options):
    """How a reference model is trained.

    ``on`` names a dataset of the suite, whose training split is used; ``augment`` a symmetry of the suite, from
    whose group one element is drawn for every sample of every batch.
    """

    on: str
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch: Annotated[int, Field(ge=1, le=65_536)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 5e-3
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 1e-2
    augment: str | None = None


Positive = Annotated[float, Field(gt=0)]


class ModelEntry(Entry):
    """One model of a suite: built, then trained or given weights, behind its own preprocessing."""

    use: str
    args: dict[str, Any] = Field(default_factory=dict)
    train: Recipe | None = None
    weights: str | None = None
    size: Annotated[int, Field(ge=1, le=8192)] | None = None
    mean: list[float] = Field(default_factory=list)
    std: list[Positive] = Field(default_factory=list)


class SymmetryEntry(Entry):
    """One symmetry of a suite: a group, which of its elements, on which leaf, and the action's options."""

    group: str
    on: str
    action: str | None = None
    elements: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Numerics(Options):
    """Where and how numbers are computed."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")] = "auto"
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    tf32: bool = False
    deterministic: bool = True


class Suite(BaseModel):
    """A suite, checked: every name exists and every option is in range."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    version: Literal[1]
    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    datasets: Annotated[dict[Name, DatasetEntry], Field(min_length=1)]
    models: Annotated[dict[Name, ModelEntry], Field(min_length=1)]
    symmetries: Annotated[dict[Name, SymmetryEntry], Field(min_length=1)]
    numerics: Numerics = Numerics()
    scores: Literal["probabilities", "logits"] = "probabilities"
    folder: Path = Field(default=Path(), exclude=True)

    def resolved(self) -> dict[str, Any]:
        """The suite as plain data with every default filled in: what a manifest records."""
        found = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        for kind in ("datasets", "models", "symmetries"):
            for name, entry in getattr(self, kind).items():
                found[kind][name].update(entry.options)
        return found


def load(path: Path | str) -> Suite:
    """Read and check a suite file.

    Raises:
        SuiteError: with every problem of the file, each with its line.
    """
    path = Path(path)
    source = document.read(path)
    if not isinstance(source.data, dict):
        raise SuiteError(Problem(path.name, f"got {quoted(source.data)}", "a mapping with version, name, datasets, models, symmetries", "'symbench new' writes one."))
    try:
        suite = Suite.model_validate({**source.data, "folder": path.resolve().parent})
    except ValidationError as error:
        raise SuiteError(_problems(error, source, ())) from error
    if "folder" in source.data:
        raise SuiteError(Problem(source.where(("folder",)), "got unknown key 'folder'"))
    problems = [p for part in (_datasets, _models, _symmetries, _selectors) for p in part(suite, source)]
    if problems:
        raise SuiteError(problems)
    return suite


def code_of(entry: DatasetEntry | ModelEntry, suite: Suite, where: str) -> Code | None:
    """The entry's code reference, where ``use:`` has a colon."""
    return Code.parse(entry.use, folder=suite.folder, where=where)


def _datasets(suite: Suite, source: Document) -> Iterator[Problem]:
    for name, entry in suite.datasets.items():
        place: Path_ = ("datasets", name)
        yield from _use(entry, suite, source, place, DATASETS)


def _models(suite: Suite, source: Document) -> Iterator[Problem]:
    for name, entry in suite.models.items():
        place: Path_ = ("models", name)
        yield from _use(entry, suite, source, place, MODELS)
        if entry.train and entry.weights:
            yield Problem(source.where((*place, "weights")), "got both train and weights", "one of them")
        if entry.mean and entry.std and len(entry.mean) != len(entry.std):
            yield Problem(source.where((*place, "std")), f"got {len(entry.std)} values", f"{len(entry.mean)}, as many as in mean")
        for key, known in (("on", suite.datasets), ("augment", suite.symmetries)):
            value = getattr(entry.train, key) if entry.train else None
            if value is not None and value not in known:
                yield Problem(
                    source.where((*place, "train", key)), f"got {quoted(value)}", f"one of {one_of(known)}", near_miss(value, known)
                )


def _symmetries(suite: Suite, source: Document) -> Iterator[Problem]:
    leaves = _leaves(suite)
    for name, entry in suite.symmetries.items():
        place: Path_ = ("symmetries", name)
        try:
            rows = [GROUPS.find(part, where=source.where((*place, "group"))) for part in factors(entry.group)]
        except ConfigError as error:
            yield from error.problems
            continue
        if entry.on not in leaves:
            yield Problem(
                source.where((*place, "on")), f"got {quoted(entry.on)}", f"a leaf of a dataset: one of {one_of(leaves)}", near_miss(entry.on, leaves)
            )
            continue
        known = [(row.options, parameters) for row, parameters in rows]
        families = {row.family for row, _ in rows}
        keys = leaves[entry.on]
        for action, row in ACTIONS.rows.items():
            fits = row.family in families and (not keys or row.field in keys)
            if fits and (entry.action is None or entry.action == action):
                known.append((row.options, {}))
        yield from _options(entry, known, source, place)


def _leaves(suite: Suite) -> dict[str, set[str]]:
    """Every leaf that a dataset of the suite has, with the keys of its fields."""
    leaves: dict[str, set[str]] = {}
    for entry in suite.datasets.values():
        fields = {} if ":" in entry.use else DATASETS.find(entry.use)[0].fields
        if ":" in entry.use:
            leaves.setdefault("image", set()).add("Image")  # the default; a dataset may declare others
        for leaf, field in fields.items():
            leaves.setdefault(leaf, set()).add(field.key)
    if any(":" in entry.use for entry in suite.datasets.values()):
        for entry in suite.symmetries.values():
            leaves.setdefault(entry.on, set())  # only the loaded dataset can tell
    return leaves


def _selectors(suite: Suite, source: Document) -> Iterator[Problem]:
    known: dict[str, list[str]] = {
        "model": list(suite.models), "dataset": list(suite.datasets), "symmetry": list(suite.symmetries)
    }
    for kind in ("datasets", "models", "symmetries"):
        for name, entry in getattr(suite, kind).items():
            for key, selector in (("only", entry.only), ("except", entry.except_)):
                for what, patterns in selector.patterns() if selector else ():
                    yield from unmatched(patterns, known[what], source.where((kind, name, key, what)))


def unmatched(patterns: list[str], names: list[str], where: str) -> Iterator[Problem]:
    """A problem for every pattern that fits none of ``names``."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            yield Problem(where, f"{quoted(pattern)} matches nothing", f"one of {one_of(names)}", near_miss(pattern, names))


def _use(entry: DatasetEntry | ModelEntry, suite: Suite, source: Document, place: Path_, table: Any) -> Iterator[Problem]:
    where = source.where((*place, "use"))
    code = code_of(entry, suite, where)
    try:
        if code:
            code.check()
            yield from _options(entry, [(Options, {})], source, place, hint="Options of your own code go under args:.")
            return
        row, parameters = table.find(entry.use, where=where)
    except ConfigError as error:
        yield from error.problems
        return
    if entry.args:
        yield Problem(source.where((*place, "args")), "got args", "options beside use: (args are for your own code)")
    yield from _options(entry, [(row.options, parameters)], source, place)


def _options(
    entry: Entry,
    known: list[tuple[type[Options], Mapping[str, int | str]]],
    source: Document,
    place: Path_,
    hint: str | None = None,
) -> Iterator[Problem]:
    """Check the keys beyond the entry's own against all options models, and keep them with defaults filled in."""
    extra = entry.model_extra or {}
    fields = {field for model, named in known for field in model.model_fields if field not in named}
    own = {field.alias or name for name, field in type(entry).model_fields.items() if name != "options"}
    for key in extra:
        if key not in fields:
            names = sorted(fields | own)
            yield Problem(source.where((*place, key)), f"got unknown key {quoted(key)}", f"one of {one_of(names)}", near_miss(key, names) or hint)
    for model, named in known:
        values = {**{k: v for k, v in extra.items() if k in model.model_fields}, **named}
        try:
            entry.options.update(model(**values).model_dump())
        except ValidationError as error:
            yield from _problems(error, source, place)


EXPECTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "int_parsing": "a whole number",
    "float_type": "a number", "float_parsing": "a number", "finite_number": "a finite number",
    "bool_type": "true or false", "bool_parsing": "true or false",
    "string_type": "text", "dict_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping",
    "list_type": "a list", "greater_than": "a number above {gt}", "greater_than_equal": "{ge} or more",
    "less_than": "a number below {lt}", "less_than_equal": "{le} or less",
    "too_short": "at least {min_length} of them", "string_pattern_mismatch": "a match of {pattern}",
}
"""pydantic's error types in a reader's words; any other type keeps pydantic's message."""


def _problems(error: ValidationError, source: Document, place: Path_) -> list[Problem]:
    found = [_problem(dict(details), source, place) for details in error.errors()]
    return list(dict.fromkeys(found))


def _problem(details: dict[str, Any], source: Document, place: Path_) -> Problem:
    steps = [step for step in details["loc"] if step not in {"[key]", "str", "list[str]"}]
    path: Path_ = (*place, *steps)
    kind, got, ctx = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        names = _siblings(path)
        return Problem(source.where(path), f"got unknown key {quoted(path[-1])}", f"one of {one_of(names)}", near_miss(str(path[-1]), names))
    if kind == "missing":
        return Problem(source.where(path[:-1]), f"{path[-1]} is missing", None, f"Add '{path[-1]}:'.")
    if kind == "literal_error":
        names = [str(n).strip("' ") for n in ctx["expected"].replace(" or ", ", ").split(", ")]
        miss = near_miss(got, names) if isinstance(got, str) else None
        return Problem(source.where(path), f"got {quoted(got)}", f"one of {one_of(names)}" if len(names) > 1 else names[0], miss)
    expected = EXPECTED.get(kind, details["msg"]).format(**ctx)
    return Problem(source.where(path), f"got {quoted(got)}", expected)


def _siblings(path: Path_) -> list[str]:
    """The keys that could stand where the last step of ``path`` does."""
    if len(path) == 1:
        return [name for name in Suite.model_fields if name != "folder"]
    if path[0] == "numerics":
        return list(Numerics.model_fields)
    return list(Selector.model_fields if path[-2] in {"only", "except"} else Recipe.model_fields)
