"""The command line: parse, call, print, exit status."""

from __future__ import annotations

import json as json_module
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from symbench import __version__
from symbench.errors import ConfigError, Problem, SymbenchError

if TYPE_CHECKING:
    from symbench.api import Choices, Run
    from symbench.plan.resolve import Cell, Plan
    from symbench.store import Store
    from symbench.terminal import Progress

EXIT_INCOMPLETE, EXIT_BUG, EXIT_INTERRUPTED = 3, 70, 130

results_option = click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), default=Path("results"), show_default=True,
    help="The results folder.",
)  # fmt: skip
json_option = click.option("--json", "json", is_flag=True, help="Print one JSON document to stdout.")
only_option = click.option(
    "--only", metavar="SELECT", help="Part of the suite: model=NAME,symmetry=NAME; globs work."
)
limit_option = click.option(
    "--limit", type=int, metavar="N", help="The first N samples only; such a run is no release."
)
device_option = click.option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps; overrides the suite.")
no_code_option = click.option("--no-code", is_flag=True, help="Refuse suites that bring code of their own.")
trust_option = click.option(
    "--trust-pickle",
    is_flag=True,
    allow_from_autoenv=False,
    help="Let weights files run code while they are read.",
)


@click.group(context_settings={"auto_envvar_prefix": "SYMBENCH", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="symbench")
def cli() -> None:
    """Does my model respect this symmetry, and how sure are we?

    Every option can be set by a variable, SYMBENCH_RUN_DEVICE for --device of run, except those that grant trust.
    Exit status: 0 done, 2 usage or suite wrong, 3 some cell failed, 70 a bug of ours, 130 interrupted.
    """


@cli.command()
@click.argument("suite", type=click.Path(path_type=Path))
@results_option
@only_option
@limit_option
@device_option
@click.option(
    "--batch-size", type=int, default=256, show_default=True, metavar="N", help="Images in one forward pass."
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails.")
@no_code_option
@trust_option
@json_option
def run(suite: Path, json: bool, batch_size: int, **options: Any) -> None:
    """Train what is untrained, measure what is unmeasured, print the tables.

    The same command resumes what was interrupted, and does nothing where nothing has changed. Models trained by the
    suite are kept in SYMBENCH_CACHE_DIR.
    """
    from symbench import api
    from symbench.terminal import Progress

    progress = Progress()
    with interruptible(progress) as stop, redirect_stdout(sys.stderr):  # a model may print
        done = api.run(suite, choices=_choices(batch=batch_size, **options), listen=progress, stopped=stop.asked)
    _show(done, json)
    progress.line(f"run {done.manifest.run}; figures and tables: symbench report{_results_hint(options['results'])}")
    if done.manifest.status != "complete":
        raise click.exceptions.Exit(EXIT_INCOMPLETE)


@cli.command()
@click.argument("run", required=False)
@results_option
@click.option("--output", type=click.Path(path_type=Path), help="Where to write it. [default: RESULTS/reports/RUN]")
@click.option("--format", "format", help="Of md,csv,json,png,svg, with commas between. [default: all]")
@json_option
def report(run: str | None, results: Path, output: Path | None, format: str | None, json: bool) -> None:
    """Write a run's report: Markdown, CSV, JSON and figures. RUN is an id; the newest by default."""
    from symbench import api
    from symbench.terminal import Progress

    opened = api.open_run(run, results=results)
    with redirect_stdout(sys.stderr):  # a plug-in's metric may print
        frame = opened.estimates()
    chosen = [name.strip() for name in format.split(",")] if format else None
    files = api.write_report(opened, output=output, formats=chosen, frame=frame)
    _show(opened, json, frame)
    Progress().line(f"report: {files[0]}" if files else "nothing written")
    if not opened.whole:
        raise click.exceptions.Exit(EXIT_INCOMPLETE)


@cli.command()
@click.argument("suite", type=click.Path(path_type=Path))
@results_option
@only_option
@limit_option
@device_option
@no_code_option
@trust_option
@json_option
def validate(suite: Path, json: bool, **options: Any) -> None:
    """Check a suite: load its data and code, build its models, list its cells. Measures and writes nothing."""
    from symbench import api
    from symbench.store import Store
    from symbench.terminal import show_columns

    with redirect_stdout(sys.stderr):  # a model may print
        plan, device = api.prepare(suite, _choices(**options))
    store = Store(options["results"])
    rows = [{**cell.pair.names(), "key": cell.key, **_planned(plan, store, cell)} for cell in plan.cells]
    if json:
        _print_json({"schema_version": 1, "suite": plan.suite.name, "device": device, "cells": rows})
        return
    heading = ("model", "dataset", "symmetry", "K", "chosen by", "state")
    keys = ("model", "dataset", "symmetry", "elements", "chosen_by", "state")
    show_columns([heading, *(tuple("-" if row[key] is None else str(row[key]) for key in keys) for row in rows)])
    failing = sum(row["elements"] is None for row in rows)
    if failing:
        click.echo(f"{suite}: {failing} of {len(rows)} cells will fail", err=True)
        raise click.exceptions.Exit(EXIT_INCOMPLETE)
    click.echo(f"{suite} is right: {len(rows)} cells on {device}", err=True)


def _planned(plan: Plan, store: Store, cell: Cell) -> dict[str, Any]:
    from symbench.engines import local

    broken = plan.broken_reason(cell.pair)
    if broken is not None:
        return {"elements": None, "chosen_by": None, "state": f"will fail: {broken}"}
    elements = plan.symmetry_of(cell).elements
    state = "measured" if local.finished(plan, store, cell) else "to be measured"
    return {"elements": len(elements) - 1, "chosen_by": elements.how, "state": state}


@cli.command("list")
@click.argument(
    "kind", required=False, type=click.Choice(["groups", "presets", "actions", "datasets", "models", "metrics"])
)
@json_option
def list_names(kind: str | None, json: bool) -> None:
    """What can be named in a suite, with one line each."""
    from symbench.actions import ACTIONS
    from symbench.datasets import DATASETS
    from symbench.groups import GROUPS
    from symbench.metrics import METRICS
    from symbench.models import MODELS
    from symbench.presets import PRESETS
    from symbench.terminal import show_columns

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
        _print_json({"schema_version": 1, "names": found})
        return
    for plural, table in chosen.items():
        click.echo(plural)
        rows = [("  " + row["name"], _described(row)) for row in found if row["kind"] == plural]
        show_columns([*rows, *(("  " + name, reason) for name, reason in table.broken().items())])  # type: ignore[attr-defined]


def _described(row: dict[str, Any]) -> str:
    options = ", ".join(option for option in row["options"] if f"<{option}>" not in row["name"].lower())
    return f"{row['summary']} ({options})" if options else str(row["summary"])


@cli.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("suite.yaml"))
def new(path: Path) -> None:
    """Write a commented suite to start from. Never overwrites."""
    template = (Path(__file__).parent / "template.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template)
    except FileExistsError as error:
        raise ConfigError(Problem(str(path), "is there already", "a new file", "Name another.")) from error
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be written: {error.strerror}", "a file that can")) from error
    click.echo(f"wrote {path}; run it with: symbench run {path}", err=True)


def _choices(**options: Any) -> Choices:
    from symbench.api import Choices

    return Choices(**options)


def _results_hint(results: Path) -> str:
    return "" if results == Path("results") else f" --results {results}"


def _show(opened: Run, json: bool, frame: Any = None) -> None:
    from symbench import report as reports
    from symbench.metrics import METRICS
    from symbench.report import tables
    from symbench.terminal import printable, show_boards

    for reason in METRICS.broken().values():
        click.echo(f"left out: {printable(reason)}", err=True)
    with redirect_stdout(sys.stderr):
        frame = opened.estimates() if frame is None else frame
    if json:
        _print_json(reports.document(opened.manifest, frame))
    else:
        show_boards([*tables.boards(frame), tables.costs(frame)])


def _print_json(document: Any) -> None:
    click.echo(json_module.dumps(document, allow_nan=False))


class Stop:
    """Whether the user asked to stop: one Ctrl-C or SIGTERM finishes the part in hand, two abort."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.signals = 0

    def asked(self) -> bool:
        """Whether to stop at the next good moment."""
        return self.signals > 0

    def __call__(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        del number, frame
        self.signals += 1
        if self.signals > 1:
            raise KeyboardInterrupt
        self.progress.line("stopping after the part in hand (a training is dropped); once more to abort")


@contextmanager
def interruptible(progress: Progress) -> Iterator[Stop]:
    """Catch Ctrl-C and SIGTERM for the time being."""
    stop = Stop(progress)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the codes of README; click's own handling would exit 1 for too much."""
    sys.exit(_status(arguments))


def _status(arguments: list[str] | None) -> int:
    try:
        result = cli.main(args=arguments, prog_name="symbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        asked_nothing = type(error).__name__ == "NoArgsIsHelpError"  # click before 8.2 has no such class
        error.show(file=sys.stdout if asked_nothing else None)
        return 0 if asked_nothing else 2
    except SymbenchError as error:
        from symbench.terminal import printable

        click.echo("\n".join(printable(str(problem)) for problem in error.problems), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("aborted; what was finished is kept, and the same command resumes", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more: not an error
        return 0
    except (Exception, SystemExit):
        if type(sys.stdout).__name__.endswith(
            "PacifyFlushWrapper"
        ):  # what click leaves behind for a reader that went away
            return 0
        _report_bug()
        return EXIT_BUG


def _report_bug() -> None:
    import platform
    import traceback

    click.echo(traceback.format_exc(), err=True)
    click.echo(
        f"This is a bug of symbench {__version__} (Python {platform.python_version()}, {platform.system()}). "
        "Please report it with the lines above and your suite. What was finished is kept.",
        err=True,
    )
