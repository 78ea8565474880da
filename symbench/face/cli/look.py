"""Commands that look: reports, names, a suite to start from, and what is here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from symbench.base.errors import ConfigError
from symbench.face.cli import complete
from symbench.face.cli.base import (
    EXIT_INCOMPLETE,
    Place,
    Verdict,
    cli,
    json_option,
    name_damaged,
    no_code_option,
    print_json,
    results_option,
    show,
    tell_left_out,
    write_new,
)
from symbench.face.terminal import say, tell

if TYPE_CHECKING:
    from symbench.base.records import GateRecord
    from symbench.face.api import Run


@cli.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete.runs)
@results_option
@click.option("--output", type=Place(), help="Where to write it. [default: RESULTS/reports/RUN]")
@click.option("--format", "format", help="Of html,md,csv,json,latex,png,svg,pdf, with commas between. [default: all]")
@click.option("--open", "open", is_flag=True, help="Show the page in a browser.")
@click.option("--exit-code", is_flag=True, help="Exit 3 where a cell failed or is not measured yet.")
@no_code_option
@json_option
def report(
    runs: tuple[str, ...],
    results: Path,
    output: Path | None,
    format: str | None,
    open: bool,
    exit_code: bool,
    no_code: bool,
    json: bool,
) -> int:
    """Write a run's report: a page of HTML, Markdown, CSV, JSON, LaTeX and figures.

    RUN is an id or the path of a manifest; the newest by default. Several are compared with the first, in one report.
    """
    from symbench.face import api
    from symbench.face.terminal import Progress
    from symbench.read import report as reports

    chosen = [name.strip() for name in format.split(",")] if format else list(reports.FORMATS)
    reports.check_formats(chosen)
    opened = [api.open_run(run, results=results, no_code=no_code) for run in runs or (None,)]
    frames = [run.estimates() for run in opened]
    gate = _judged(opened[0]) if len(opened) == 1 and "html" in chosen else None
    parts = [(run.store, run.manifest, frame) for run, frame in zip(opened, frames, strict=True)]
    files = reports.write_several(
        parts, output or api.report_folder(opened), chosen, gate=gate, metrics=api.metrics_of(opened)
    )
    if json:
        documents = [
            reports.document(run.store, run.manifest, frame) for run, frame in zip(opened, frames, strict=True)
        ]
        print_json(reports.together(documents))
    else:
        for run, frame in zip(opened, frames, strict=True):
            if len(opened) > 1:
                say(run.manifest.run)
            show(run, False, frame)
    Progress().line(f"report: {files[0]}" if files else "nothing written")
    if open and files:
        click.launch(str(files[0].resolve()))
    damaged = [name_damaged(run.store, run.manifest.cells) for run in opened]
    if exit_code:
        return Verdict(0 if all(run.whole for run in opened) else EXIT_INCOMPLETE)
    return EXIT_INCOMPLETE if any(damaged) else 0


def _judged(run: Run) -> GateRecord | None:
    """What the suite's rules say of a run; None where it has none, or they cannot be asked."""
    from symbench.read import judge

    if not run.manifest.suite.get("gates"):
        return None
    try:
        return judge.judge_run(run.manifest.run, results=run.store.root, no_code=run.no_code)
    except ConfigError as error:
        tell(f"no gate in the report: {error}")
        return None


@cli.command()
@click.option("--suite", "suite", multiple=True, metavar="NAME", help="Only runs of these suites; globs work.")
@results_option
@click.option("--output", type=Place(), metavar="DIR", help="Write a report of it as well.")
@click.option("--format", "format", help="Of html,md,csv,json,latex,png,svg,pdf, for --output. [default: all]")
@json_option
def leaderboard(suite: tuple[str, ...], results: Path, output: Path | None, format: str | None, json: bool) -> int:
    """Everything in the results folder as one table: the newest measurement of every model, dataset and symmetry.

    Exit status 3 where a cell is there and cannot be used.
    """
    from symbench.face import api
    from symbench.face.terminal import Progress
    from symbench.measure.store import Store
    from symbench.read import report as reports
    from symbench.read.report.leaderboard import together

    chosen = [name.strip() for name in format.split(",")] if format else list(reports.FORMATS)
    reports.check_formats(chosen)
    store = Store(results)
    manifest, left_out = together(store, suite)
    whole = api.Run(store, manifest)
    frame = whole.estimates()
    if output is not None:
        files = reports.write(store, whole.manifest, frame, output, chosen)
        Progress().line(f"leaderboard: {files[0]}" if files else "nothing written")
    show(whole, json, frame)
    return EXIT_INCOMPLETE if tell_left_out(left_out) else 0


@cli.command("list")
@click.argument(
    "kind", required=False, type=click.Choice(["groups", "presets", "actions", "datasets", "models", "metrics"])
)
@json_option
def list_names(kind: str | None, json: bool) -> None:
    """What can be named in a suite, with one line each."""
    from symbench.algebra.actions import ACTIONS
    from symbench.algebra.groups import GROUPS
    from symbench.algebra.metrics import METRICS
    from symbench.domains.common.datasets import DATASETS
    from symbench.domains.common.models import MODELS
    from symbench.domains.common.presets import PRESETS
    from symbench.face.terminal import show_columns

    tables = {
        "groups": GROUPS,
        "presets": PRESETS,
        "actions": ACTIONS,
        "datasets": DATASETS,
        "models": MODELS,
        "metrics": METRICS,
    }
    chosen = {kind: tables[kind]} if kind else tables
    found = [
        {"kind": plural, "name": name, "summary": row.summary, "options": list(row.options.model_fields)}
        for plural, table in chosen.items()
        for name, row in table  # type: ignore[attr-defined]
    ]
    if json:
        print_json({"schema_version": 1, "names": found})
        return
    for plural, table in chosen.items():
        say(plural)
        rows = [("  " + row["name"], _described(row)) for row in found if row["kind"] == plural]
        show_columns([*rows, *(("  " + name, reason) for name, reason in table.broken().items())])  # type: ignore[attr-defined]


def _described(row: dict[str, Any]) -> str:
    options = ", ".join(option for option in row["options"] if f"<{option}>" not in row["name"].lower())
    return f"{row['summary']} ({options})" if options else str(row["summary"])


@cli.command()
@click.argument("path", type=Place(), default=Path("suite.yaml"))
def new(path: Path) -> None:
    """Write a commented suite to start from. Never overwrites."""
    write_new(path, (Path(__file__).parent.parent / "template.yaml").read_text(encoding="utf-8"), "PATH")
    tell(f"wrote {path}; run it with: symbench run {path}")


@cli.command()
@results_option
@json_option
def doctor(results: Path, json: bool) -> None:
    """What is here: versions, devices, numeric flags, caches, extras, and what is broken."""
    from symbench.face.doctor import examine
    from symbench.face.terminal import show_examination

    found = examine(results)
    if json:
        print_json({"schema_version": 1, **found})
        return
    show_examination(found)
