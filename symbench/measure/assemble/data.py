"""A suite's dataset, loaded; and seeds, one for each purpose."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from symbench.algebra.fields import Boxes, Category, Classes, MultiLabel
from symbench.algebra.objects import CLASS
from symbench.base.code import foreign
from symbench.base.errors import CellError, ConfigError, DataError, Problem, one_of
from symbench.base.events import Listener, ignore
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets import DATASETS, of_sequences
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.fitting import check_declared
from symbench.domains.common.datasets.padding import checked
from symbench.domains.common.handling import handling_of
from symbench.measure.suite import Suite, code_of

T = TypeVar("T")


def seed_for(suite_seed: int, purpose: str, *parts: str) -> int:
    """A seed for one purpose, derived from the suite's: 63 bits of SHA-256, so that purposes never share a stream."""
    text = "\0".join([str(suite_seed), purpose, *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def load_dataset(suite: Suite, name: str, *, split: str | None = None, listen: Listener = ignore) -> Dataset:
    """The dataset called ``name`` in the suite; ``split`` overrides its own (training), ``listen`` hears of progress.

    Raises:
        ConfigError: it cannot be loaded, or has no such split.
    """
    entry = suite.datasets[name]
    where = suite.where("datasets", name)
    code = code_of(entry, suite, suite.where("datasets", name, "use"))
    if code is not None:
        arguments = dict(entry.args)
        if split is not None:
            if not code.signature_has("split"):
                raise ConfigError(
                    Problem(
                        where,
                        f"{entry.use} has no parameter 'split'",
                        "one that takes 'train' and 'test'",
                        "Training needs samples of its own.",
                    )
                )
            arguments["split"] = split
        with foreign(ConfigError, where, "loading it"):
            return _as_dataset(code.call(**arguments), where, entry.options)
    row, parameters = DATASETS.find(entry.use, where=where)
    arguments = {**entry.options, **parameters}
    if split is not None:
        if "split" not in row.options.model_fields:
            raise ConfigError(Problem(where, f"{entry.use} has no training split", "a dataset with the option split"))
        arguments["split"] = split
    factory = row.load()
    takes = inspect.signature(factory).parameters
    arguments |= {k: v for k, v in (("folder", suite.folder), ("where", where), ("listen", listen)) if k in takes}
    with foreign(ConfigError, where, "loading it"):
        return _as_dataset(factory(**arguments), where, {})


def _as_dataset(found: Any, where: str, options: Mapping[str, Any]) -> Dataset:
    """What code returned; a sequence becomes a dataset, the usual one with the options of its entry."""
    usual, row = of_sequences(), of_sequences(found)
    try:
        if not isinstance(found, Dataset) and row is usual:
            made: Dataset = usual.load()(found, where=where, **options)
            return made
        if isinstance(found, Dataset):
            check_declared(found, where)
        made = checked(found if isinstance(found, Dataset) else row.load()(found, where=where), where)
    except CellError as error:  # the first sample already cannot be read: nothing to run
        raise ConfigError(error.problems) from error
    fields = usual.options.model_fields.items()
    given = [key for key, field in fields if options.get(key, field.default) != field.default]
    if given:
        own = {handling_of(field).noun for field in usual.fields.values()}
        got = f"got {given[0]} for a {type(found).__name__}, which makes its own {one_of(own)}"
        raise ConfigError(Problem(where, got, usual.summary))
    return made


def output_count(dataset: Dataset, canvas: Canvas | None, where: str) -> int:
    """How many numbers a model for this dataset's target has to return: classes, or the target's size."""
    if not dataset.targets:
        got = "a built-in model needs labels to know its number of outputs"
        raise ConfigError(Problem(where, got, "a labelled dataset"))
    name, field = next(iter(dataset.targets.items()))
    if isinstance(field, MultiLabel) and field.labels is not None:
        return field.labels
    if not isinstance(field.value, (Category, Classes, Boxes)):
        return int(dataset.batch([0], canvas=canvas).targets[name][0].numel())
    if field.value.classes is not None:
        return field.value.classes
    batches = (range(i, min(i + 1024, len(dataset))) for i in range(0, len(dataset), 1024))
    targets = (dataset.batch(indices, canvas=canvas).targets[name] for indices in batches)
    return 1 + max(int((each[..., CLASS] if isinstance(field, Boxes) else each).max()) for each in targets)


def reading(read: Callable[[], T], where: str) -> T:
    """Call something of a dataset's; whatever it raises becomes a DataError.

    Raises:
        DataError: with what was raised.
    """
    with foreign(DataError, where, "reading it"):
        return read()


def normalised_leaves(dataset: Dataset) -> list[str]:
    """The leaves that get normalised."""
    return [name for name, field in dataset.fields.items() if handling_of(field).normalised]
