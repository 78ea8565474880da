"""Suites: YAML to a frozen, checked value, without torch.

Every error names file, line and key, what was got and what was expected. A file's errors come together: those of its
form, or else those of its names and options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from symbench.algebra import actions
from symbench.algebra.fields import Field
from symbench.algebra.groups import GROUPS, factors
from symbench.base import document
from symbench.base.code import Code
from symbench.base.document import Document, Path_
from symbench.base.errors import ConfigError, Problem, SuiteError, near_miss, one_of, quoted
from symbench.base.paths import beside, is_file
from symbench.base.registry import Options
from symbench.domains.common import presets
from symbench.domains.common.datasets import DATASETS, DatasetRow, of_sequences
from symbench.domains.common.models import MODELS, ModelRow
from symbench.measure.suite.entries import (
    DatasetEntry,
    Entry,
    ModelEntry,
    Suite,
    SymmetryEntry,
    code_of,
)
from symbench.measure.suite.gates import problems_of_gates
from symbench.measure.suite.models import problems_of_budget, problems_of_embedding, problems_of_wrapper
from symbench.measure.suite.numerics import problems_of_numerics
from symbench.measure.suite.problems import problems_of
from symbench.measure.suite.questions import problems_of_studies
from symbench.measure.suite.recipe import Recipe, problems_of_recipe
from symbench.measure.suite.rules import Rule
from symbench.measure.suite.select import Selector, unmatched
from symbench.measure.suite.sweeps import swept
from symbench.measure.suite.trust import check_code

WEIGHTS = (".safetensors", ".pth", ".ckpt", ".bin")
"""How files end that hold weights and no program."""

__all__ = [
    "DatasetEntry",
    "ModelEntry",
    "Recipe",
    "Rule",
    "Selector",
    "Suite",
    "SymmetryEntry",
    "code_of",
    "load",
    "unmatched",
]


def load(path: Path | str, *, no_code: bool = False) -> Suite:
    """Read and check a suite file.

    Args:
        path: the file.
        no_code: refuse entries that would run code of their own, before any plug-in is imported.

    Raises:
        SuiteError: with every problem of the file, each with its line.
    """
    path = Path(path)
    return checked(document.read(path), path.resolve().parent, no_code=no_code)


def checked(source: Document, folder: Path, *, no_code: bool = False) -> Suite:
    """A document as a suite.

    Args:
        source: read or composed.
        folder: what the suite's paths are relative to.
        no_code: refuse entries that would run code of their own.

    Raises:
        SuiteError: with every problem, each with its line.
    """
    if not isinstance(source.data, dict):
        raise SuiteError(
            Problem(
                source.where(()),
                f"got {quoted(source.data)}",
                "a mapping with version, name, datasets, models, symmetries",
                "'symbench new' writes one.",
            )
        )
    source, problems = swept(source)
    if problems:
        raise SuiteError(problems)
    data = _with_presets(source)
    try:
        suite = Suite.model_validate({**data, "folder": folder, "source": source})
    except ValidationError as error:
        raise SuiteError(problems_of(error, source, ())) from error
    for key in {"folder", "source"} & set(source.data):
        raise SuiteError(Problem(source.where((key,)), f"got unknown key {quoted(key)}"))
    if no_code:
        check_code(suite)
    checks = (_datasets, _models, _symmetries, _selectors, problems_of_gates, problems_of_studies)
    problems = [problem for check in checks for problem in check(suite, source)]
    problems += problems_of_numerics(suite.numerics, source)
    if problems:
        raise SuiteError(problems)
    return suite


def _with_presets(source: Document) -> dict[str, Any]:
    """The suite's data with every preset written out.

    Raises:
        SuiteError: no such preset, or keys that it fixes.
    """
    data: dict[str, Any] = dict(source.data)
    symmetries = data.get("symmetries")
    if not isinstance(symmetries, dict):
        return data
    entries, problems = {}, []
    for name, entry in symmetries.items():
        entries[name] = entry
        if isinstance(entry, dict) and "preset" in entry:
            entries[name], wrong = presets.expanded(entry, partial(_where, source, name))
            problems += wrong
    if problems:
        raise SuiteError(problems)
    return {**data, "symmetries": entries}


def _where(source: Document, symmetry: str, key: str) -> str:
    return source.where(("symmetries", symmetry, key))


def _where_in(source: Document, *path: str | int) -> str:
    return source.where(path)


def _datasets(suite: Suite, source: Document) -> Iterator[Problem]:
    for name, entry in suite.datasets.items():
        place: Path_ = ("datasets", name)
        yield from _use(entry, suite, source, place, DATASETS)


def _models(suite: Suite, source: Document) -> Iterator[Problem]:
    """Every problem of the suite's models."""
    for name, entry in suite.models.items():
        place: Path_ = ("models", name)
        yield from _use(entry, suite, source, place, MODELS)
        yield from _two_origins(entry, source, place)
        yield from problems_of_budget(entry, source, place)
        yield from problems_of_embedding(entry, suite.datasets, source, place)
        yield from problems_of_wrapper(entry, suite.symmetries, source, place)
        if entry.mean and entry.std and len(entry.mean) != len(entry.std):
            yield Problem(
                source.where((*place, "std")),
                f"got {len(entry.std)} values",
                f"{len(entry.mean)}, as many as in mean",
            )
        if entry.train is not None:
            where = partial(_where_in, source, *place, "train")
            yield from problems_of_recipe(entry.train, suite.datasets, suite.symmetries, where)


def _two_origins(entry: ModelEntry, source: Document, place: Path_) -> Iterator[Problem]:
    """The problem of an entry whose weights would come from more than one source."""
    known = MODELS.built_in(entry.use)
    origins = [name for name, there in (("train", entry.train), ("weights", entry.weights)) if there]
    if known and known[0].is_file and origins:
        got = f"got {origins[0]} for a program that has its weights"
        yield Problem(source.where((*place, origins[0])), got, "the file alone")
    elif len(origins) == 2:
        yield Problem(source.where((*place, "weights")), "got both train and weights", "one of them")
    elif entry.weights and entry.options.get("pretrained"):
        yield Problem(source.where((*place, "weights")), "got weights for a pretrained model", "pretrained: false")


def _symmetries(suite: Suite, source: Document) -> Iterator[Problem]:
    """Every problem of the suite's symmetries."""
    leaves = _leaves(suite)
    for name, entry in suite.symmetries.items():
        place: Path_ = ("symmetries", name)
        if any(":" in part for part in (*factors(entry.group), entry.action or "")):
            yield from _symmetry_of_code(suite, source, place, entry)
            continue
        try:
            groups = [GROUPS.find(part, where=source.where((*place, "group"))) for part in factors(entry.group)]
            acts = actions.rows(entry.group, where=source.where((*place, "group")))
        except ConfigError as error:
            yield from error.problems
            continue
        if entry.on not in leaves:
            yield Problem(
                source.where((*place, "on")),
                f"got {quoted(entry.on)}",
                f"a leaf of a dataset: one of {one_of(leaves)}",
                near_miss(entry.on, leaves),
            )
            continue
        known = [(row.options, parameters) for row, parameters in groups]
        fields = leaves[entry.on]
        kinds = {each.value.kind for each in fields} | {at.kind for each in fields for at in each.places}
        for action, row in acts.items():
            several = [each for each in acts.values() if each.kind == row.kind]
            if (not fields or row.kind in kinds) and (len(several) == 1 or entry.action in {None, action}):
                known.append((row.options, {}))
        yield from _options(entry, known, source, place)


def _symmetry_of_code(suite: Suite, source: Document, place: Path_, entry: SymmetryEntry) -> Iterator[Problem]:
    """A symmetry whose group or action is code: that the file is there; its options are checked once it is run."""
    for key, text in (*(("group", part) for part in factors(entry.group)), ("action", entry.action or "")):
        where = source.where((*place, key))
        try:
            code = Code.parse(text, folder=suite.folder, where=where)
            if code is not None:
                code.check()
            elif key == "group":
                GROUPS.find(text, where=where)
        except ConfigError as error:
            yield from error.problems
    entry.options.update(entry.model_extra or {})


def _leaves(suite: Suite) -> dict[str, list[Field]]:
    """Every leaf that a dataset of the suite has, with its fields there."""
    leaves: dict[str, list[Field]] = {}
    known = [_fields_of(entry) for entry in suite.datasets.values()]
    for fields in known:
        for leaf, field in (of_sequences().fields if fields is None else fields).items():
            leaves.setdefault(leaf, []).append(field)  # what code returns may hold other leaves
    if None in known:
        for symmetry in suite.symmetries.values():
            leaves.setdefault(symmetry.on, [])  # only the loaded dataset can tell
    return leaves


def _fields_of(entry: DatasetEntry) -> Mapping[str, Field] | None:
    """The fields of a dataset's leaves; None where only the loaded dataset can tell."""
    row = _row_of(entry)
    return None if row is None else row.fields_under(entry.options)


def _row_of(entry: DatasetEntry) -> DatasetRow | None:
    """The row of a dataset; None for code, and for a name that is wrong, of which another check speaks."""
    try:
        return None if ":" in entry.use else DATASETS.find(entry.use, where=entry.use)[0]
    except ConfigError:
        return None


def _selectors(suite: Suite, source: Document) -> Iterator[Problem]:
    """Every problem of what ``only:`` and ``except:`` select."""
    known: dict[str, list[str]] = {
        "model": list(suite.models),
        "dataset": list(suite.datasets),
        "symmetry": list(suite.symmetries),
    }
    for kind in ("datasets", "models", "symmetries"):
        for name, entry in getattr(suite, kind).items():
            for key, selector in (("only", entry.only), ("except", entry.except_)):
                for what, patterns in selector.patterns() if selector else ():
                    yield from unmatched(patterns, known[what], source.where((kind, name, key, what)))


def _use(
    entry: DatasetEntry | ModelEntry, suite: Suite, source: Document, place: Path_, table: Any
) -> Iterator[Problem]:
    """The problems of what an entry's ``use:`` names, and of its options."""
    where = source.where((*place, "use"))
    code = code_of(entry, suite, where)
    try:
        if code:
            code.check()
            own = of_sequences().options if isinstance(entry, DatasetEntry) else Options
            yield from _options(entry, [(own, {})], source, place, hint="Options of your own code go under args:.")
            return
        row, parameters = table.find(entry.use, where=where)
    except ConfigError as error:
        yield from _about_weights(entry, error)
        return
    if isinstance(row, ModelRow) and row.is_file:
        yield from _missing(suite.folder / entry.use, where)
    if entry.args:
        yield Problem(source.where((*place, "args")), "got args", "options beside use: (args are for your own code)")
    yield from _options(entry, [(row.options, parameters)], source, place)


def _about_weights(entry: DatasetEntry | ModelEntry, error: ConfigError) -> Iterator[Problem]:
    """The problems of an unknown model; where its name is a weights file's, with the key that this belongs under."""
    remedy = "Weights go into weights:, beside the network in use:."
    for problem in error.problems:
        yield replace(problem, remedy=remedy) if entry.use.endswith(WEIGHTS) else problem


def _missing(file: Path, where: str) -> Iterator[Problem]:
    """A problem where a model's file is not there, or has nothing in it."""
    if not is_file(file):
        yield Problem(where, f"got {quoted(file.name)}", f"a file at {file}", near_miss(file.name, beside(file)))
    elif file.stat().st_size == 0:
        yield Problem(where, f"{file.name} is empty", "a program")


def _options(
    entry: Entry,
    known: Sequence[tuple[type[Options], Mapping[str, int | str]]],
    source: Document,
    place: Path_,
    hint: str | None = None,
) -> Iterator[Problem]:
    """Check the keys beyond the entry's own against all options models, and keep them with defaults filled in."""
    extra = entry.model_extra or {}
    fields = {field for model, named in known for field in model.model_fields if field not in named}
    own = {field.alias or name for name, field in type(entry).model_fields.items()}
    for key in extra:
        if key not in fields:
            names = sorted(fields | own)
            yield Problem(
                source.where((*place, key)),
                f"got unknown key {quoted(key)}",
                f"one of {one_of(names)}",
                near_miss(key, names) or hint,
            )
    for model, named in known:
        values = {k: v for k, v in {**extra, **named}.items() if k in model.model_fields}
        try:
            entry.options.update(model(**values).model_dump())
        except ValidationError as error:
            yield from problems_of(error, source, place)
