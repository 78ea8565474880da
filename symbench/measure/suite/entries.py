"""What may stand in a suite: frozen pydantic models of its entries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from symbench.algebra.fields import OUTPUTS, Scalar
from symbench.algebra.groups import PRODUCT, factors
from symbench.base.code import Code
from symbench.base.document import Document
from symbench.base.errors import encodable, one_of
from symbench.base.registry import Options, otherwise
from symbench.domains.common.labels import LABELS
from symbench.measure.store import content_key
from symbench.measure.suite.controls import Controls
from symbench.measure.suite.devices import DEVICE, IN_WORDS
from symbench.measure.suite.linear_probe import Asked as LinearProbeOf
from symbench.measure.suite.numerics import Numerics
from symbench.measure.suite.outputs import OutputOf, Outputs, document_of
from symbench.measure.suite.recipe import Recipe
from symbench.measure.suite.rules import Rule
from symbench.measure.suite.select import Selector
from symbench.measure.suite.size import WIDTH, SizeBudget
from symbench.measure.suite.studies import Study
from symbench.measure.suite.swept import Swept
from symbench.measure.suite.throughput import Passes

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
PATTERNS = {
    NAME: "lower-case letters, digits, - and _, at most 64 of them and the first a letter or digit",
    DEVICE: IN_WORDS,
}
"""What text of a suite has to match, in words."""
Name = Annotated[str, Field(pattern=NAME)]


class Entry(BaseModel):
    """Base of all entries of a suite: keys that are not declared are options of the thing that ``use:`` names."""

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


Positive = Annotated[float, Field(gt=0)]


def _scalars(layers: object) -> object:
    """A list of layers stands for those that no group should move."""
    if not isinstance(layers, list):
        return layers
    if not all(isinstance(layer, str) for layer in layers):
        raise PydanticCustomError("one_of_several", "names of submodules, or a mapping from them to fields")
    return dict.fromkeys(layers, "Scalar")


def _spelt(word: object) -> object:
    """A word for a layer in any case, in the one that keys hold."""
    if not isinstance(word, str) or word.lower() not in OF_LAYERS:
        raise PydanticKnownError("literal_error", {"expected": ", ".join(each.capitalize() for each in OF_LAYERS)})
    return word.capitalize()


OF_LAYERS = [word for word, field in OUTPUTS.items() if field.value == Scalar()]
"""What a suite may call the field of a layer: whatever stands at its places is taken for numbers."""
Layers = Annotated[dict[str, Annotated[str, BeforeValidator(_spelt)]], BeforeValidator(_scalars)]


Side = Annotated[int, Field(ge=1, le=8192)]


def _as_pair(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Resize = Annotated[
    Side | tuple[Side, Side], BeforeValidator(_as_pair), otherwise("the shorter side, or [height, width]")
]


def _way_of_labels(way: str) -> str:
    if way not in WAYS:
        raise ValueError(way)
    return way


WAYS = ("index", "name", *LABELS.rows)
"""How a label may be read: by itself, by what classes are called, or by a label space that domains know."""
LabelsOf = Annotated[
    Annotated[str, AfterValidator(_way_of_labels)] | dict[str, int | str],
    otherwise(f"{one_of(WAYS)}, or a mapping from classes to outputs"),
]


class Chosen(Options):
    """Weights out of several in one file: those under a key, or behind a prefix of their names."""

    file: str
    key: str


WeightsOf = Annotated[str | Chosen, otherwise("a file, or {file: FILE, key: KEY} where it holds several")]


class ModelEntry(Entry):
    """One model of a suite: built, then trained or given weights, behind its own preprocessing.

    ``budget`` chooses the option ``width`` of a built-in model, by the count that comes nearest; it is one of the
    model alone, whatever wraps it. ``average`` and ``canonicalise`` name a symmetry of a finite group, and wrap the
    model once it has its weights: the mean of its outputs over the orbit, each moved back; or its output for the
    one element that a fixed score of the input chooses. The recipe knows nothing of them, so that the checkpoint is
    that of the plain model.

    ``channels`` is how many it takes: grey images are repeated. Before the middle ``size`` pixels are kept, the
    shorter side becomes ``resize``, or height and width do; ``crop`` is which way half a pixel goes. ``labels`` says
    which output a class of the data is; ``outputs`` what the model returns, by its keys, or in order for a tuple.
    ``embedding`` is how many numbers a built-in model returns, in place of one for each class, to stand for a sample.
    ``linear_probe`` adds an output: the class scores of a linear classifier that is fitted on the embeddings of a
    training split. The recipe knows nothing of that one either.
    """

    use: str
    args: dict[str, Any] = Field(default_factory=dict)
    budget: SizeBudget | None = None
    average: str | None = None
    canonicalise: str | None = None
    train: Recipe | None = None
    weights: WeightsOf | None = None
    size: Side | None = None
    resize: Resize | None = None
    interpolation: Literal["bilinear", "bicubic"] | None = None
    crop: Literal["round", "floor"] | None = None
    labels: LabelsOf | None = None
    channels: Annotated[int, Field(ge=2, le=64)] | None = None
    mean: list[float] = Field(default_factory=list)
    std: list[Positive] = Field(default_factory=list)
    embedding: Annotated[int, Field(ge=2, le=65_536)] | None = None
    linear_probe: LinearProbeOf = None
    layers: Layers = Field(default_factory=dict)
    outputs: Outputs = Field(default_factory=dict)
    swept: Swept | None = None

    @property
    def wrappers(self) -> dict[str, str]:
        """The symmetry that the model is wrapped by, by the key that says how; at most one in a checked suite."""
        given = {"average": self.average, "canonicalise": self.canonicalise}
        return {key: name for key, name in given.items() if name is not None}

    def of_width(self, width: int) -> ModelEntry:
        """The same with this width among its options."""
        copied = self.model_copy()
        copied._options = {**self._options, WIDTH: width}  # a copy of the model would share the mapping
        return copied

    @property
    def declared_outputs(self) -> dict[str, Any]:
        """What keys say of the outputs: in their order, by which a tuple is read; nothing where none are declared."""
        if self.embedding is not None:
            return {"embedding": self.embedding}
        return {"outputs": [[name, document_of(said)] for name, said in self.outputs.items()]} if self.outputs else {}

    @property
    def stands_over_data(self) -> bool:
        """Whether what it returns is declared to stand where a dataset's leaves do."""
        return any(isinstance(said, OutputOf) and said.over is not None for said in self.outputs.values())

    @property
    def weights_file(self) -> str | None:
        """The file that weights are read from, relative to the suite's folder; None where there is none."""
        return self.weights.file if isinstance(self.weights, Chosen) else self.weights

    @property
    def weights_key(self) -> str | None:
        """The key or prefix of the weights in their file, where it holds several; else None."""
        return self.weights.key if isinstance(self.weights, Chosen) else None


class SymmetryEntry(Entry):
    """One symmetry of a suite: a group, which of its elements, on which leaf, and the action's options."""

    group: str
    on: str
    preset: str | None = None
    action: str | None = None
    elements: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    draw: Literal["shared", "per-sample"] = "shared"
    reference: Literal["identity", "drawn", "neighbour"] = "identity"

    @field_validator("group")
    @classmethod
    def _in_one_order(cls, group: str) -> str:
        """Products do not depend on the order of their factors, and neither may their elements and keys."""
        return PRODUCT.join(factors(group))

    @model_validator(mode="after")
    def _reference_is_drawn(self) -> SymmetryEntry:
        if self.reference != "identity" and self.draw == "shared":
            raise ValueError(f"reference: {self.reference} needs draw: per-sample")
        return self


NOT_MEASURED = frozenset({"gates", "baseline", "metrics", "studies"})
"""Keys of a suite that read what was measured, and do not change it."""


class Suite(BaseModel):
    """A suite, checked: every name exists and every option is in range.

    ``metrics`` are those of the user's own, as ``file.py:attribute``: every other one is there anyway.
    """

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
    throughput: Passes = None
    baseline: str | None = None
    gates: list[Rule] = Field(default_factory=list)
    metrics: list[str] = Field(default_factory=list)
    studies: list[Study] = Field(default_factory=list)
    scores: Literal["probabilities", "logits"] = "probabilities"
    folder: Path = Field(default=Path(), exclude=True)
    source: Document | None = Field(default=None, exclude=True)

    def where(self, *path: str) -> str:
        """A key with its file and line, for messages: ``quick.yaml:14: symmetries.rotations.elements``."""
        return self.source.where(path) if self.source else ".".join(path)

    def resolved(self) -> dict[str, Any]:
        """The suite as plain data with every default filled in: what a manifest records."""
        document = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        for kind in ("datasets", "models", "symmetries"):
            for name, entry in getattr(self, kind).items():
                document[kind][name].update(entry.options)
        return document

    def asked(self) -> str:
        """SHA-256 of what it asks to be measured: rules, metrics and the baseline may change without a new run."""
        asked = {key: value for key, value in self.resolved().items() if key not in NOT_MEASURED}
        return content_key(asked)

    def gates_at(self) -> list[str]:
        """File and line of each rule, the file relative to the working folder where it lies below."""
        if self.source is None:
            return []
        return [encodable(f"{self.shown_file}:{self.source.line(('gates', i))}") for i in range(len(self.gates))]

    @property
    def shown_file(self) -> str | None:
        """Its file, relative to the working folder where it lies below; None where it was made without one."""
        if self.source is None:
            return None
        path = self.source.path.resolve()
        return encodable(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def code_of(entry: DatasetEntry | ModelEntry, suite: Suite, where: str) -> Code | None:
    """The entry's code reference, where ``use:`` has a colon."""
    return Code.parse(entry.use, folder=suite.folder, where=where)
