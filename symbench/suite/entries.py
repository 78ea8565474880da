"""What may stand in a suite: frozen pydantic models of its entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from symbench.code import Code
from symbench.datasets import DATASETS
from symbench.document import Document
from symbench.errors import Problem, SuiteError, near_miss, one_of, quoted
from symbench.groups import GROUPS
from symbench.models import MODELS
from symbench.registry import Options, Table

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
            not patterns or any(fnmatchcase(names[kind], p) for p in patterns) for kind, patterns in self.patterns()
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
    _options: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The options of the thing named, checked, with defaults filled in."""
        return self._options


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


def _scalars(layers: object) -> object:
    """A list of layers stands for those that no group should move."""
    return dict.fromkeys(layers, "Scalar") if isinstance(layers, list) else layers


Layers = Annotated[dict[str, Literal["Scalar", "Image", "Nodes"]], BeforeValidator(_scalars)]


class ModelEntry(Entry):
    """One model of a suite: built, then trained or given weights, behind its own preprocessing.

    ``channels`` is how many it takes: grey images are repeated.
    """

    use: str
    args: dict[str, Any] = Field(default_factory=dict)
    train: Recipe | None = None
    weights: str | None = None
    size: Annotated[int, Field(ge=1, le=8192)] | None = None
    channels: Annotated[int, Field(ge=2, le=64)] | None = None
    mean: list[float] = Field(default_factory=list)
    std: list[Positive] = Field(default_factory=list)
    layers: Layers = Field(default_factory=dict)


class SymmetryEntry(Entry):
    """One symmetry of a suite: a group, which of its elements, on which leaf, and the action's options."""

    group: str
    on: str
    preset: str | None = None
    action: str | None = None
    elements: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    draw: Literal["shared", "per-sample"] = "shared"
    reference: Literal["identity", "drawn", "neighbour"] = "identity"

    @model_validator(mode="after")
    def _reference_is_drawn(self) -> SymmetryEntry:
        if self.reference != "identity" and self.draw == "shared":
            raise ValueError(f"reference: {self.reference} needs draw: per-sample")
        return self


class Numerics(Options):
    """Where and how numbers are computed."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")] = "auto"
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    tf32: bool = False
    deterministic: bool = True


class Controls(Options):
    """Evaluations whose right answer is known, in every cell, on the first ``samples`` of its order."""

    samples: Annotated[int, Field(ge=2, le=100_000)] = 256


class Suite(BaseModel):
    """A suite, checked: every name exists and every option is in range."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )

    version: Literal[1]
    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    datasets: Annotated[dict[Name, DatasetEntry], Field(min_length=1)]
    models: Annotated[dict[Name, ModelEntry], Field(min_length=1)]
    symmetries: Annotated[dict[Name, SymmetryEntry], Field(min_length=1)]
    numerics: Numerics = Numerics()
    controls: Controls = Controls()
    scores: Literal["probabilities", "logits"] = "probabilities"
    folder: Path = Field(default=Path(), exclude=True)
    source: Document | None = Field(default=None, exclude=True)

    def where(self, *path: str) -> str:
        """A key with its file and line, for messages: ``quick.yaml:14: symmetries.rotations.elements``."""
        return self.source.where(path) if self.source else ".".join(path)

    def resolved(self) -> dict[str, Any]:
        """The suite as plain data with every default filled in: what a manifest records."""
        found = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        for kind in ("datasets", "models", "symmetries"):
            for name, entry in getattr(self, kind).items():
                found[kind][name].update(entry.options)
        return found


def code_of(entry: DatasetEntry | ModelEntry, suite: Suite, where: str) -> Code | None:
    """The entry's code reference, where ``use:`` has a colon."""
    return Code.parse(entry.use, folder=suite.folder, where=where)


def unmatched(patterns: list[str], names: list[str], where: str) -> Iterator[Problem]:
    """A problem for every pattern that fits none of ``names``."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            yield Problem(
                where,
                f"{quoted(pattern)} matches nothing",
                f"one of {one_of(names)}",
                near_miss(pattern, names),
            )


def uses_code(suite: Suite) -> Iterator[tuple[str, str]]:
    """The entries that would run code which is not part of symbench or a library, as (key with line, name)."""
    tables: tuple[tuple[str, str, Table[Any]], ...] = (
        ("datasets", "use", DATASETS),
        ("models", "use", MODELS),
        ("symmetries", "group", GROUPS),
    )
    for kind, key, table in tables:
        for name, entry in getattr(suite, kind).items():
            use = getattr(entry, key)
            found = table.built_in(use)
            if ":" in use or (found[0].runs_code if found else "/" in use):
                yield suite.where(kind, name, key), use


def check_code(suite: Suite) -> None:
    """Refuse every entry that would run code beyond symbench's own (``--no-code``).

    Raises:
        SuiteError: with all such entries.
    """
    remedy = "Leave --no-code out if you trust the suite."
    found = [
        Problem(where, f"got {quoted(use)}, which would run code of its own", "built-in names only", remedy)
        for where, use in uses_code(suite)
    ]
    if found:
        raise SuiteError(found)
