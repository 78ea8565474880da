"""What is written as JSON: the records of cells, runs, gates and comparisons. Published in ``schemas/``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
"""Of gates, comparisons, baselines and what commands print."""
RUN_VERSION = 2
"""Of cells and manifests. Version 1 had kinds of elements without ``exact`` and fields as types of their own; its
files are read as they are."""


class Record(BaseModel):
    """Base of what is written as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Sealed(Record):
    """A record that stands under one digest, which every reader checks (``symbench.measure.store.sealed``)."""

    digest: str | None = Field(
        default=None, description="SHA-256 of the canonical JSON of everything else in the file"
    )


class ElementRecord(Record):
    """One element of a cell; the identity is element 0."""

    element: int
    label: str
    kind: Literal["permutation", "exact", "lossy", "resampled"]
    size: float
    weight: float
    parameters: dict[str, float]
    stratum: str | None = Field(default=None, description="the piece of the group that it is of, of several")


class GeneratorRecord(Record):
    """A one-parameter subgroup of a cell's symmetry, along which Lie derivatives are taken."""

    label: str
    unit: str


class FindingRecord(Record):
    """What a control found of an output, or of a leaf, beside its rows."""

    control: str
    output: str | None = Field(default=None, description="null where it is about the whole cell")
    words: str | None = Field(default=None, description="what is to be told; null where nothing is")
    best: str | None = Field(default=None, description="which of several it is, where one is beyond doubt")
    numbers: dict[str, float] = Field(default_factory=dict, description="E of each of them")
    samples: int
    elements: int


class FileRecord(Record):
    """One file of a cell."""

    file: str
    sha256: str


class PartRecord(FileRecord):
    """One file of observations, samples ``first`` to ``last`` of the cell's order."""

    first: int
    last: int


class ProbedOutput(Record):
    """What one output was on the probe's samples; where it is of many numbers, they are folded into few.

    Number ``i`` is added to ``sums[i % len(sums)]`` with a sign of a fixed random sequence.
    """

    shape: list[int] = Field(description="of the output of one sample")
    sums: list[list[float]] = Field(description="for each sample")
    norms: list[float] = Field(description="Euclidean length of the whole output, for each sample")


class ProbeRecord(Record):
    """What a model gave for the first samples of a cell: how one that has changed is found out."""

    samples: list[int]
    outputs: dict[str, ProbedOutput]
    files: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of what it read while it ran, by path, from the suite's folder on"
    )
    environment: dict[str, str | None] = Field(
        default_factory=dict, description="digests of the variables that it asked for while it ran"
    )


class CurveRecord(Record):
    """How a training went, epoch by epoch: of a long one some epochs, the first and the last among them."""

    epoch: list[int]
    step: list[int] = Field(description="optimiser steps up to the epoch's end")
    loss: list[float] = Field(description="mean over the epoch's samples, each by the weights of its time")
    accuracy: list[float | None] = Field(description="likewise, as samples were shown; null without classes")
    validation_loss: list[float | None] = Field(description="at the epoch's end; null without a validation part")
    validation_accuracy: list[float | None]


class CellRecord(Sealed):
    """``cell.json``: written last, so that a folder that has one is whole."""

    schema_version: Literal[1, 2] = 2
    key: str
    identity: dict[str, Any] = Field(description="what the key is the SHA-256 of, as canonical JSON")
    samples: int
    outputs: dict[str, dict[str, Any]] = Field(
        description="field, task, form of scores, unit and null limit of each output, with what was noticed"
    )
    size_unit: str
    family: str | None = Field(default=None, description="of the symmetry's group: which form its elements have")
    elements_how: Literal["enumeration", "design", "draw", "per sample"]
    elements: list[ElementRecord]
    parts: list[PartRecord]
    samples_file: FileRecord
    controls_file: FileRecord
    controls: dict[str, str | None] = Field(
        description="each control, null where it ran or the reason why it could not"
    )
    short: dict[str, str] = Field(
        default_factory=dict,
        description="controls that the budget was too small for: what they ran on, and the option that allows more",
    )
    generators: list[GeneratorRecord] = Field(default_factory=list)
    sizes: dict[int, float] = Field(
        default_factory=dict, description="E in float64 by the side of the image, at the measured size and around it"
    )
    lower_precision: dict[str, str] = Field(
        default_factory=dict, description="dtypes below float64 that submodules compute in, where E is not exact"
    )
    findings: list[FindingRecord] = Field(default_factory=list, description="what controls found, in words")
    views_file: FileRecord | None = Field(default=None, description="every sample's elements, where each has its own")
    gallery_file: FileRecord | None = Field(
        default=None, description="the samples that break worst, where they are pictures"
    )
    deviations_file: FileRecord | None = Field(
        default=None, description="what the first samples are off by, of a model that is one of several trainings"
    )
    mode: Literal["exact", "fused", "fast"] = Field(
        default="exact", description="in which it was measured, whatever the suite asks for"
    )
    facts: dict[str, float | None] = Field(description="parameters, flops, seconds_per_sample and the like")
    remarks: dict[str, str] = Field(default_factory=dict, description="what is said of facts, and of how a model ran")
    checkpoint: str | None = Field(description="SHA-256 of the weights that were measured")
    training: CurveRecord | None = Field(
        default=None, description="how the training went that the weights are of, where that was here"
    )
    probe: ProbeRecord | None = Field(
        default=None, description="a model that gives other outputs now is not the one that was measured"
    )
    environment: dict[str, Any]

    @property
    def tasks(self) -> dict[str, tuple[str, str]]:
        """Task and field of every output; the name of an only one does not matter."""
        known = self.outputs.items()
        return {name if len(known) > 1 else "": (each["task"], each["field"]) for name, each in known}


class CellStatus(Record):
    """One planned cell in a manifest."""

    model: str
    dataset: str
    symmetry: str
    key: str
    status: Literal["planned", "done", "failed"]
    reason: str | None = None


class PassStatus(Record):
    """One throughput pass of a model on a dataset: ``throughput/<key[:2]>/<key>/<file>``, or why there is none."""

    model: str
    dataset: str
    key: str
    file: str | None = None
    status: Literal["done", "failed"] = "done"
    reason: str | None = None


class Manifest(Sealed):
    """``runs/<id>.json``: what was asked for, what was planned and what became of it."""

    schema_version: Literal[1, 2] = 2
    run: str
    suite: dict[str, Any]
    asked: str | None = Field(default=None, description="SHA-256 of what the suite's file asked to be measured")
    plan: list[str] = Field(description="the plan's cells as model/dataset/symmetry")
    cells: list[CellStatus]
    passes: list[PassStatus] = Field(default_factory=list, description="throughput passes of its models")
    environment: dict[str, Any]
    status: Literal["running", "interrupted", "incomplete", "complete"]
    limit: int | None = None
    only: list[str] = Field(default_factory=list)
    gates_at: list[str] = Field(default_factory=list, description="file and line of each of the suite's rules")
    suite_file: str | None = Field(default=None, description="the suite's file: its metrics' paths start from there")
    started: str
    finished: str | None = None


Verdict = Literal["pass", "fail", "inconclusive", "not comparable", "missing", "error"]


class MatchRecord(Record):
    """One rule of a gate on one estimate, and its verdict.

    ``change`` and its limits are turned so that more is worse; ``limit`` is the rule's number, ``margin`` the largest
    change that it allows.
    """

    rule: int = Field(description="the rule's place in the suite, from 0")
    name: str = Field(description="the rule in words")
    where: str | None = Field(default=None, description="the suite's file and line, as suites/quick.yaml:31")
    metric: str
    model: str | None = None
    replica: int | None = None
    dataset: str | None = None
    symmetry: str | None = None
    output: str | None = None
    element: str | None = None
    elements: str | None = None
    verdict: Verdict
    reason: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int | None = None
    kind: Literal["at_least", "at_most", "max_drop", "max_relative_drop"]
    limit: float
    before: float | None = Field(default=None, description="the baseline's estimate")
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    margin: float | None = None
    p_value: float | None = Field(default=None, description="one-sided, of no more than the margin")
    p_adjusted: float | None = Field(default=None, description="the same after Holm, over all matches of the gate")
    detectable: float | None = Field(default=None, description="smallest detectable difference, with power 95 %")
    needed: int | None = Field(default=None, description="about how many samples, or passes, would decide")
    passes: int | None = Field(
        default=None, description="throughput passes that it is judged by, where it is by such"
    )
    unseen: float | None = Field(
        default=None, description="changes in a smaller share of samples than this could go unseen: about 3.7 / n"
    )
    bounded: bool | None = Field(
        default=None,
        description="whether the limits allow for what went unseen: those of shares do, a bootstrap's cannot",
    )
    happened: list[str] = Field(
        default_factory=list,
        description="of a failure, a sentence each: what else moved, the worst element and class, where pictures are",
    )
    replay: str | None = Field(default=None, description="the command that measures just this cell again")

    @property
    def subject(self) -> str:
        """What it is about: ``model on dataset under symmetry``, as far as it has them."""
        words = [self.model or "", f"on {self.dataset}" if self.dataset else ""]
        words += [f"under {self.symmetry}" if self.symmetry else "", self.element or ""]
        return " ".join(word for word in words if word)


class GateRecord(Record):
    """What a gate decided: text, JSON, JUnit, Markdown, SARIF, annotations and the exit status all come from it."""

    schema_version: Literal[1] = 1
    run: str | None
    suite: str
    baseline: str | None = Field(description="the file, run or git object it was compared with")
    verdict: Verdict = Field(description="of the gate: the worst that counts")
    exit_code: int
    inconclusive: Literal["fail", "warn", "pass"] | None = Field(
        default=None, description="what inconclusive matches count as; null: exit status 4"
    )
    waiting: int = Field(default=0, description="matches against a baseline that does not exist yet")
    notes: list[str] = Field(default_factory=list)
    rules: list[MatchRecord]


class BaselineCell(Record):
    """One cell of a baseline."""

    model: str
    dataset: str
    symmetry: str
    key: str
    estimates: dict[str, list[float | None]] = Field(
        description="by metric: estimate, low, high; over all elements of the cell's first output"
    )


class BaselineRecord(Sealed):
    """``baselines/<suite>.json``: a promoted run, to be reviewed in git. What pairing needs stands beside it."""

    schema_version: Literal[1] = 1
    suite: str
    run: str
    reason: str
    created: str
    environment: dict[str, Any]
    cells: list[BaselineCell]
    passes: list[PassStatus] = Field(default_factory=list, description="throughput passes of its models")
    observations: FileRecord


class PairRecord(Record):
    """One estimate in two runs. ``difference`` is B - A, with its paired 95 % interval."""

    model: str
    dataset: str
    symmetry: str | None
    output: str | None = None
    elements: str | None = None
    metric: str
    unit: str = ""
    better: Literal["higher", "lower", "neither"] = "neither"
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    lost: int | None = Field(default=None, description="samples that were right in A and are wrong in B")
    gained: int | None = None
    p_value: float | None = Field(default=None, description="two-sided; McNemar's where samples are right or wrong")
    p_adjusted: float | None = Field(default=None, description="after Holm over all rows")
    mark: Literal["better", "worse", "same", "inconclusive", "not comparable", "only in A", "only in B"]
    reason: str | None = None


class CompareRecord(Record):
    """Two runs side by side, paired on the same samples and elements."""

    schema_version: Literal[1] = 1
    before: str = Field(description="A")
    after: str = Field(description="B")
    rows: list[PairRecord]
