"""Comparing, promoting and gating runs: from names on the command line to records. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from symbench.algebra.metrics import METRICS, Metrics, shown_in
from symbench.algebra.metrics.brought import REFUSED, names_in, of_manifest, with_code
from symbench.base.errors import ConfigError, Problem
from symbench.base.records import BaselineRecord, CompareRecord, GateRecord, Manifest
from symbench.measure.store import Store
from symbench.measure.suite import Suite
from symbench.measure.suite.entries import NOT_MEASURED
from symbench.measure.suite.rules import Rule
from symbench.read import baseline as baselines
from symbench.read import compare as comparing
from symbench.read import gate as gates
from symbench.read.baseline import Baseline
from symbench.read.commits import NoBaseline
from symbench.read.gate import Against, Policy
from symbench.read.pairing.runs import Measured, Recorded


def opened(run: str | None, results: Path) -> Recorded:
    """A run by its id or its manifest's path; the newest where none is named.

    Raises:
        ConfigError: there is no such run.
    """
    store = Store(Path(run).resolve().parent.parent if run is not None and run.endswith(".json") else results)
    return Recorded(store, store.manifest(run))


def measured(name: str, results: Path) -> Measured:
    """A run by its id or manifest, or a baseline by its file or as ``git:REF:PATH``.

    Raises:
        ConfigError: there is neither, or it is broken.
    """
    if name.startswith("git:") or _is_baseline(Path(name)) or (name.endswith(".json") and not Path(name).exists()):
        return baselines.read(name)
    return opened(name, results)


def _is_baseline(path: Path) -> bool:
    """Whether a file that is there is meant as a baseline: anything but a manifest."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return path.parent.name != "runs"
    return not (isinstance(data, dict) and "cells" in data and "plan" in data)


def compare_runs(
    before: str | Measured,
    after: str | Measured,
    *,
    results: Path | str = "results",
    metrics: Sequence[str] = (),
    no_code: bool = False,
) -> CompareRecord:
    """Two runs, or a baseline and a run, paired on the same samples and elements.

    Args:
        before: A: a run's id or manifest, or a baseline's file or ``git:REF:PATH``, or what :func:`measured` gave.
        after: B.
        results: the results folder, for ids.
        metrics: names or globs; those that are compared without being asked for by default.
        no_code: load no metric that the runs' suites bring as code.

    Raises:
        ConfigError: there is no such run or metric.
    """
    first, second = (measured(run, Path(results)) if isinstance(run, str) else run for run in (before, after))
    known = {name: row for side in (second, first) for name, row in _metrics(side, no_code=no_code).items()}
    for pattern in metrics:
        if not comparing.named([pattern], known):
            raise ConfigError(Problem("--metric", f"{pattern!r} matches nothing", None, METRICS.near(pattern)))
    chosen = comparing.named(metrics, known) if metrics else shown_in("comparison", known)
    return comparing.compare(first, second, chosen)


def _metrics(side: Measured, *, no_code: bool) -> Metrics:
    """The metrics that there are for a run, those among them that its suite brings; a baseline brings none."""
    if isinstance(side, Recorded):
        return of_manifest(side.manifest, side.store.root, no_code=no_code)
    return dict(METRICS)


def set_baseline(
    run: str | None = None,
    *,
    reason: str,
    results: Path | str = "results",
    output: Path | None = None,
    force: bool = False,
) -> tuple[Path, BaselineRecord]:
    """Promote a run: later ones are compared with it. Nothing ever does this by itself.

    Args:
        run: its id; the newest by default.
        reason: why, for whoever reviews it.
        results: the results folder.
        output: the JSON to write; ``RESULTS/baselines/SUITE.json`` by default.
        force: take a run that is partial, limited, or of files that differed from the commit.

    Returns:
        The JSON's path, and what it holds.

    Raises:
        ConfigError: there is no such run, or it is no baseline.
    """
    found = opened(run, Path(results))
    path = output or default_baseline(found)
    return path, baselines.write(found.store, found.manifest, path, reason=reason, force=force)


def refusals(run: str | None, results: Path | str) -> list[Problem]:
    """Why a run is no baseline, unless somebody insists.

    Raises:
        ConfigError: there is no such run.
    """
    found = opened(run, Path(results))
    return baselines.refusals(found.manifest, found.store)


def default_baseline(run: Recorded) -> Path:
    """Where a suite's baseline is unless it says otherwise."""
    return run.store.root / "baselines" / f"{run.manifest.suite['name']}.json"


def judge_run(
    run: str | None = None,
    *,
    results: Path | str = "results",
    suite: Suite | Path | str | None = None,
    baseline: str | None = None,
    policy: Policy | None = None,
    no_code: bool = False,
) -> GateRecord:
    """Judge a run by the rules of its suite.

    Args:
        run: its id or manifest; the newest by default, of the suite where one is given.
        results: the results folder.
        suite: take its rules; by default those that the suite had when it was run.
        baseline: a baseline's file, ``git:REF:PATH``, or a run; by default the suite's, or
            ``RESULTS/baselines/SUITE.json``.
        policy: what counts as passed.
        no_code: refuse rules on metrics that the suite brings as code.

    Raises:
        ConfigError: there is no such run, or no rule.
    """
    loaded = _loaded(suite)
    found = opened(run or (_newest(loaded, Path(results)) if loaded else None), Path(results))
    if loaded is not None:
        if loaded.name != found.manifest.suite["name"]:
            got = f"{found.name} is a run of {found.manifest.suite['name']!r}"
            raise ConfigError(Problem("--suite", got, f"a run of {loaded.name!r}"))
        if found.manifest.asked not in {None, loaded.asked()}:
            got = f"{found.name} is a run of another version of {loaded.name!r}"
            raise ConfigError(Problem("--suite", got, "a run of this one", "Run the suite again."))
        now = loaded.resolved()
        told = {**found.manifest.suite, **{key: now.get(key) for key in NOT_MEASURED}}
        rules_at = {"gates_at": loaded.gates_at(), "suite_file": loaded.shown_file}
        manifest = found.manifest.model_copy(update={"suite": told, **rules_at})
        found = Recorded(found.store, manifest)
    rules = [Rule.model_validate(rule) for rule in found.manifest.suite.get("gates", [])]
    if not rules:
        remedy = "Add rules under gates:, and name the suite with --suite or run it again."
        raise ConfigError(Problem(str(found.manifest.suite["name"]), "the suite has no gates", "a rule", remedy))
    folder = loaded.folder if loaded is not None else Path(_file(found.manifest)).parent
    return gates.judge(
        found,
        rules,
        _against(found, baseline, Path(results)),
        policy or Policy(),
        suite=_file(found.manifest),
        metrics=_ruled(found, folder, no_code=no_code),
    )


def _ruled(run: Recorded, folder: Path, *, no_code: bool) -> Metrics:
    """The metrics that rules may be about, those among them that the suite in ``folder`` brings.

    Raises:
        ConfigError: there are such, and no code is to be run.
    """
    names = names_in(run.manifest.suite)
    if names and no_code:
        raise ConfigError([Problem(f"metric {name}", REFUSED) for name in names])
    return with_code(names, folder, results=run.store.root)


def _loaded(suite: Suite | Path | str | None) -> Suite | None:
    if suite is None or isinstance(suite, Suite):
        return suite
    from symbench.measure import suite as suites

    return suites.load(suite)


def _newest(suite: Suite, results: Path) -> str | None:
    """The newest run of a suite; None leaves it to the store to say that there is none."""
    files = (results / "runs").glob(f"{suite.name}-*.json")
    named = sorted(path.stem for path in files if path.stem.rsplit("-", 2)[0] == suite.name)
    latest = results / "latest"
    newest = latest.read_text(encoding="utf-8").strip() if latest.is_file() else ""
    return newest if newest in named else named[-1] if named else None


def _file(manifest: Manifest) -> str:
    """The suite as commands take it."""
    if manifest.suite_file is not None:
        return manifest.suite_file
    return manifest.gates_at[0].rpartition(":")[0] if manifest.gates_at else f"{manifest.suite['name']}.yaml"


def _against(run: Recorded, named: str | None, results: Path) -> Against:
    """The baseline; a broken one is no reason to stop before the other rules are judged."""
    where = named or run.manifest.suite.get("baseline")
    if where is None:
        where = str(default_baseline(run))
    beside = Path(_file(run.manifest)).parent / where
    if named is None and not where.startswith("git:") and not Path(where).exists() and beside.exists():
        where = str(beside)
    try:
        return Against(where, measured(where, results))
    except NoBaseline:
        return Against(where)
    except ConfigError as error:
        return Against(where, broken=str(error))


def baselines_of(results: Path) -> list[tuple[Path, Baseline | ConfigError]]:
    """Every baseline of a results folder, or what is wrong with it."""
    found: list[tuple[Path, Baseline | ConfigError]] = []
    for path in sorted((results / "baselines").glob("*.json")):
        try:
            found.append((path, baselines.read(str(path))))
        except ConfigError as error:
            found.append((path, error))
    return found
