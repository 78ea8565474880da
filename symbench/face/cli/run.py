"""Commands that run a suite, or check that it can be run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from symbench.base.errors import CellError, ConfigError, several
from symbench.face.cli import complete
from symbench.face.cli.base import (
    EXIT_INCOMPLETE,
    Place,
    choices_of,
    cli,
    device_option,
    interruptible,
    json_option,
    limit_option,
    no_code_option,
    only_option,
    print_json,
    results_hint,
    results_option,
    show,
    trust_option,
    write_new,
)
from symbench.face.terminal import tell

if TYPE_CHECKING:
    from symbench.face.api import Choices
    from symbench.face.forecast import Margin
    from symbench.measure.execution.ledger import Ledger
    from symbench.measure.plan.document import Cell
    from symbench.measure.plan.workspace import Workspace
    from symbench.measure.suite import Suite


@cli.command()
@click.argument("suite", type=Place(), required=False)
@click.option(
    "--model",
    "model",
    multiple=True,
    metavar="USE",
    help="No suite: a model, as under use: in one.",
    shell_complete=complete.names_of("symbench.domains.common.models:MODELS", or_file=True),
)
@click.option(
    "--data",
    "data",
    multiple=True,
    metavar="USE",
    help="No suite: a folder, a file, or a dataset.",
    shell_complete=complete.names_of("symbench.domains.common.datasets:DATASETS", or_file=True),
)
@click.option(
    "--symmetry",
    "symmetry",
    multiple=True,
    metavar="NAME",
    help="No suite: a preset or a group.",
    shell_complete=complete.names_of("symbench.domains.common.presets:PRESETS", "symbench.algebra.groups:GROUPS"),
)
@click.option(
    "--size", type=click.IntRange(1, 8192), metavar="PX", help="No suite: how long a side is of what models see."
)
@click.option("--pretrained", is_flag=True, help="No suite: models of libraries with their pretrained weights.")
@click.option(
    "--save-suite",
    type=Place(),
    metavar="FILE",
    help="Write the suite that is run. Never overwrites; not with --dry-run.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done: cells, passes, time and disk. Does nothing.")
@results_option
@only_option
@limit_option
@device_option
@click.option(
    "--batch-size", type=int, metavar="N", help="Samples in one forward pass, rather than what suits the device."
)
@click.option(
    "--passes",
    type=int,
    metavar="N",
    help="Throughput passes that there are to be on this hardware; those that lack are added. [default: the suite's]",
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails.")
@no_code_option
@trust_option
@json_option
def run(
    suite: Path | None,
    model: tuple[str, ...],
    data: tuple[str, ...],
    symmetry: tuple[str, ...],
    size: int | None,
    pretrained: bool,
    save_suite: Path | None,
    dry_run: bool,
    json: bool,
    batch_size: int | None,
    **options: Any,
) -> int:
    """Train what is untrained, measure what is unmeasured, print the tables.

    The same command resumes what was interrupted, and does nothing where nothing has changed. Models trained by the
    suite are kept in SYMBENCH_CACHE_DIR. Without a suite, --model, --data and --symmetry say what to measure; each
    may stand several times.
    """
    from symbench.face import api
    from symbench.face.terminal import Progress

    named = {"models": model, "data": data, "symmetries": symmetry}
    if dry_run and save_suite is not None:
        raise click.UsageError("--dry-run writes nothing: leave --save-suite out")
    more = {"size": size, "pretrained": pretrained}
    loaded, text = _given_suite(suite, named, more, save_suite, no_code=options["no_code"])
    choices = choices_of(batch=batch_size, **options)
    if dry_run:
        _dry_run(loaded, choices, json)
        return 0
    progress = Progress()
    saved = nullcontext() if save_suite is None else _saved(save_suite, text)
    with saved, interruptible(progress) as stop:
        done = api.run(loaded, choices=choices, listen=progress, stopped=stop.asked)
    show(done, json)
    progress.line(f"run {done.manifest.run}; figures and tables: symbench report{results_hint(options['results'])}")
    return 0 if done.manifest.status == "complete" else EXIT_INCOMPLETE


def _given_suite(
    suite: Path | None,
    named: dict[str, tuple[str, ...]],
    more: dict[str, Any],
    save: Path | None,
    *,
    no_code: bool,
) -> tuple[Path | Suite, str]:
    """The suite's file, or one made of what was named instead, with its text."""
    asked = any(named.values())
    if suite is not None and (asked or any(more.values()) or save is not None):
        raise click.UsageError("name a suite, or --model, --data and --symmetry with what belongs to them: not both")
    if suite is not None:
        return suite, ""
    if not asked:
        raise click.UsageError("name a suite, or --model, --data and --symmetry")
    from symbench.base.document import parse
    from symbench.measure import suite as suites
    from symbench.measure.suite.compose import composed

    place = save or Path("command line")
    text = composed(named["models"], named["data"], named["symmetries"], folder=place.parent, **more)
    return suites.checked(parse(text, place), place.parent.resolve(), no_code=no_code), text


@contextmanager
def _saved(place: Path, text: str) -> Iterator[None]:
    """Write a suite to a new file before it is run; it goes again where it turns out that it cannot be run."""
    write_new(place, text, "--save-suite")
    try:
        yield
    except (ConfigError, CellError):
        place.unlink(missing_ok=True)
        raise
    tell(f"wrote {place}")


def _dry_run(suite: Path | Suite, choices: Choices, json: bool) -> None:
    from symbench.face import api
    from symbench.face.terminal import Progress, show_columns

    forecast = api.forecast(suite, choices, Progress())
    if json:
        print_json({"schema_version": 1, **forecast.document()})
        return
    show_columns(forecast.table())
    tell(forecast.summary())


@cli.command()
@click.argument("suite", type=Place())
@results_option
@only_option
@limit_option
@device_option
@no_code_option
@trust_option
@json_option
def validate(suite: Path, json: bool, **options: Any) -> int:
    """Check a suite: load its data and code, build its models, list its cells. Measures and writes nothing."""
    from symbench.face import api, forecast
    from symbench.face.terminal import Progress, show_columns

    space, ledger = api.prepare(suite, choices_of(**options), Progress(), forward=True)
    plan, device = space.plan, ", ".join(ledger.settings.all)
    rows = [{**cell.pair.names(), "key": cell.key, **_planned(space, ledger, cell)} for cell in plan.cells]
    margins = forecast.margins(plan)
    failing = sum(row["elements"] is None for row in rows)
    if json:
        told = [margin.document() for margin in margins]
        print_json({"schema_version": 1, "suite": plan.suite.name, "device": device, "cells": rows, "margins": told})
    else:
        heading = ("model", "dataset", "symmetry", "K", "chosen by", "state")
        keys = ("model", "dataset", "symmetry", "elements", "chosen_by", "state")
        show_columns([heading, *(tuple("-" if row[key] is None else str(row[key]) for key in keys) for row in rows)])
        for margin in margins:
            _tell(margin)
    if failing:
        tell(f"{suite}: {failing} of {several(len(rows), 'cell')} will fail")
        return EXIT_INCOMPLETE
    tell(f"{suite} is right: {several(len(rows), 'cell')} on {device}")
    return 0


def _tell(margin: Margin) -> None:
    """What a rule can tell."""
    tell(margin.sentence)


def _planned(space: Workspace, ledger: Ledger, cell: Cell) -> dict[str, Any]:
    broken = space.broken_reason(cell)
    if broken is not None:
        return {"elements": None, "chosen_by": None, "state": f"will fail: {broken}"}
    elements = space.symmetry_of(cell.pair).elements
    state = "measured" if ledger.done(space, cell) else "to be measured"
    return {"elements": len(elements) - 1, "chosen_by": elements.how, "state": state}
