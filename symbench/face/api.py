"""What the command line and users call: load a suite, run it, get the estimates, write the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from symbench.base.errors import ConfigError, Problem, StoreError
from symbench.base.events import Listener, ignore, never
from symbench.base.records import CellStatus, GateRecord, Manifest
from symbench.measure import plan as planning
from symbench.measure import suite as suites
from symbench.measure.engines import ENGINES, usual
from symbench.measure.engines import load as load_engine
from symbench.measure.store import Store
from symbench.measure.suite import Suite
from symbench.measure.suite.trust import check_code

if TYPE_CHECKING:
    import pandas as pd

    from symbench.algebra.metrics import Metrics
    from symbench.face.forecast import Forecast
    from symbench.measure.execution.ledger import Ledger
    from symbench.measure.plan.workspace import Workspace

DEFAULT_RESULTS = Path("results")


@dataclass(frozen=True)
class Run:
    """A run on disk, finished or not.

    Attributes:
        store: the results folder.
        manifest: what was asked for and what became of it.
        no_code: load no metric that its suite brings as code; their estimates then say so.
    """

    store: Store
    manifest: Manifest
    no_code: bool = False

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics that there are, those among them that its suite brings."""
        from symbench.algebra.metrics.brought import of_manifest

        return of_manifest(self.manifest, self.store.root, no_code=self.no_code)

    @property
    def failed(self) -> list[CellStatus]:
        """The cells that failed, with their reasons."""
        return [cell for cell in self.manifest.cells if cell.status == "failed"]

    @property
    def whole(self) -> bool:
        """Whether every planned cell is measured and its files are there."""
        return all(c.status != "failed" and self.store.cell(c.key) is not None for c in self.manifest.cells)

    def estimates(self) -> pd.DataFrame:
        """Every estimate, one row each, with the columns of ``symbench.read.estimates.COLUMNS``."""
        from symbench.read import estimates

        return estimates.of_run(self.store, self.manifest, self.metrics)


@dataclass(frozen=True)
class Choices:
    """How to run a suite.

    Attributes:
        results: the results folder.
        only: part of the suite, as ``model=NAME,symmetry=NAME`` with globs.
        limit: only the first samples of each dataset's order; such a run is no release.
        device: overrides the suite's; several with commas between them.
        batch: samples in one forward pass; None for what suits the device and the samples.
        no_code: refuse every entry that would run code that is not part of symbench.
        trust_pickle: let weights files run code while they are read.
        fail_fast: stop at the first cell that fails.
        engine: where cells are measured: a name of ``symbench.measure.engines.ENGINES``; by default as devices ask.
        passes: how many throughput passes of each model there are to be on this hardware: those that lack are added.
    """

    results: Path = DEFAULT_RESULTS
    only: str | None = None
    limit: int | None = None
    device: str | None = None
    batch: int | None = None
    no_code: bool = False
    trust_pickle: bool = False
    fail_fast: bool = False
    engine: str | None = None
    passes: int | None = None


def load_suite(path: Path | str, *, no_code: bool = False) -> Suite:
    """Read and check a suite file, without torch; ``no_code`` refuses entries that bring code of their own.

    Raises:
        SuiteError: with every problem, each with its line.
    """
    return suites.load(path, no_code=no_code)


def prepare(
    suite: Suite | Path | str, choices: Choices, listen: Listener = ignore, *, forward: bool = False
) -> tuple[Workspace, Ledger]:
    """Check everything that can be checked before work begins, and resolve the plan; nothing is written.

    With ``forward`` each model is run on one black image, to see that it has an output for every label.

    Returns:
        The plan with what was loaded to make it, and which of its cells are measured already.

    Raises:
        ConfigError: the suite, a file, a name or a device is wrong.
    """
    loaded = suite if isinstance(suite, Suite) else load_suite(suite, no_code=choices.no_code)
    if choices.no_code:
        check_code(loaded)
    only = planning.parse_only(choices.only) if choices.only else None
    chosen = planning.pairs(loaded, only)
    if choices.engine is not None:
        ENGINES.find(choices.engine, where="engine")
    counts = (("--limit", choices.limit), ("--batch-size", choices.batch), ("--passes", choices.passes))
    for name, value in counts:
        if value is not None and value < 1:
            raise ConfigError(Problem(name, f"got {value}", "1 or more"))
    if choices.passes is not None and loaded.throughput is None:
        got, remedy = f"{loaded.name} asks for no throughput passes", "Add 'throughput: true' to the suite."
        raise ConfigError(Problem("--passes", got, "a suite with throughput:", remedy))
    from symbench.base.environment import pick_devices
    from symbench.measure.execution.ledger import Ledger
    from symbench.measure.execution.loading import Settings
    from symbench.measure.plan.resolve import resolve

    wanted = choices.device or loaded.numerics.device
    devices = pick_devices(wanted, where="--device" if choices.device else loaded.where("numerics", "device"))
    device = devices[0]
    if device == "mps" and loaded.numerics.dtype == "float64":
        raise ConfigError(Problem(loaded.where("numerics", "dtype"), "MPS has no float64", "float32, or device: cpu"))
    settings = Settings(device, choices.batch, choices.trust_pickle, choices.fail_fast, devices=devices)
    ledger = Ledger(Store(choices.results), settings)
    resolved = resolve(
        loaded,
        chosen,
        device=device,
        limit=choices.limit,
        trust_pickle=choices.trust_pickle,
        forward=forward,
        built=ledger.look,
        listen=listen,
    )
    return resolved, ledger


def forecast(suite: Suite | Path | str, choices: Choices, listen: Listener = ignore) -> Forecast:
    """What :func:`run` would do: cells, forward passes, time and disk. Nothing is written or measured.

    Raises:
        ConfigError: the suite, a file, a name or a device is wrong.
    """
    from symbench.face import forecast as forecasts

    began = time.perf_counter()
    resolved, ledger = prepare(suite, choices, listen, forward=True)
    return forecasts.of(resolved, ledger, loading=time.perf_counter() - began, passes=choices.passes)


def run(
    suite: Suite | Path | str,
    *,
    choices: Choices | None = None,
    results: Path | str | None = None,
    listen: Listener = ignore,
    stopped: Callable[[], bool] = never,
) -> Run:
    """Run a suite: train what is untrained, measure what is unmeasured, and record it all.

    Running again resumes; a finished run is a no-op. A cell that fails is recorded with its reason and the others
    go on: see :attr:`Run.failed`.

    Args:
        suite: a loaded suite, or the path of one.
        choices: how to run it.
        results: the results folder, for short.
        listen: hears about progress.
        stopped: asked now and then whether to stop.

    Raises:
        ConfigError: something is wrong with the suite or its surroundings; nothing has been written.
        StoreError: the disk is full, or the results folder went away; what is done is kept.
        Interrupted: ``stopped`` said so; what is done is kept.
    """
    choices = choices or Choices()
    if results is not None:
        choices = Choices(**{**vars(choices), "results": Path(results)})
    from symbench.face.underway import Underway

    resolved, ledger = prepare(suite, choices, listen)
    if resolved.plan.recipes:
        from symbench.measure.training.checkpoints import check_writable

        check_writable()
    ledger.store.check_writable()
    try:
        engine = load_engine(choices.engine or usual(len(ledger.settings.all)))
        under_way = Underway(resolved, ledger, engine, choices.only, choices.passes)
        return Run(ledger.store, under_way.run(listen, stopped))
    except OSError as error:  # users' code has errors of its own: see code.foreign
        where, got = str(error.filename or ledger.store.root), f"cannot be written: {error.strerror or error}"
        remedy = "What is finished is kept; once it can, the same command resumes."
        raise StoreError(Problem(where, got, None, remedy)) from error


def open_run(run: str | None = None, *, results: Path | str = DEFAULT_RESULTS, no_code: bool = False) -> Run:
    """A run by its id or the path of its manifest; the newest where none is named.

    Args:
        run: the id or path.
        results: the results folder, where ``run`` is an id.
        no_code: load no metric that its suite brings as code.

    Raises:
        ConfigError: there is no such run.
    """
    if run is not None and run.endswith(".json"):
        store = Store(Path(run).resolve().parent.parent)
    else:
        store = Store(Path(results))
    return Run(store, store.manifest(run), no_code)


def write_report(
    run: Run | str | Sequence[Run] | None = None,
    *,
    results: Path | str = DEFAULT_RESULTS,
    output: Path | str | None = None,
    formats: Sequence[str] | None = None,
    frame: pd.DataFrame | None = None,
    gate: GateRecord | None = None,
) -> list[Path]:
    """Write a run's report, or one report of several runs, compared with the first. Needs no torch.

    Args:
        run: a run, its id, several runs, or None for the newest.
        results: the results folder, where ``run`` is an id.
        output: the folder to write to; ``RESULTS/reports/RUN`` by default.
        formats: of ``html md csv json latex png svg pdf``; all by default.
        frame: the run's estimates, if they are at hand; of one run only.
        gate: what a gate decided of it, for the page to show.

    Returns:
        The files written, the page to read first.

    Raises:
        ConfigError: there is no such run, no such format, or the folder cannot be written.
    """
    from symbench.read import report as reports

    reports.check_formats(formats or reports.FORMATS)
    if run is None or isinstance(run, str):
        runs = [open_run(run, results=results)]
    else:
        runs = [run] if isinstance(run, Run) else list(run)
    if not runs:
        raise ConfigError(Problem("write_report", "got no run", "one or more"))
    frames = [frame] if frame is not None and len(runs) == 1 else [opened.estimates() for opened in runs]
    folder = Path(output) if output else report_folder(runs)
    parts = [(opened.store, opened.manifest, each) for opened, each in zip(runs, frames, strict=True)]
    return reports.write_several(parts, folder, formats or reports.FORMATS, gate=gate, metrics=metrics_of(runs))


def metrics_of(runs: Sequence[Run]) -> Metrics:
    """The metrics of some runs' report."""
    return {name: row for run in runs for name, row in run.metrics.items()}


def report_folder(runs: Sequence[Run]) -> Path:
    """Where the report of some runs is written unless another folder is named."""
    name = "+".join(dict.fromkeys(run.manifest.run for run in runs))
    return runs[0].store.root / "reports" / name[:200]
