"""Commands that judge: comparisons, baselines, the gate, and the schemas of what they print."""

from __future__ import annotations

import json as json_module
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from symbench.cli.base import EXIT_INCOMPLETE, cli, json_option, print_json, results_option, tell_left_out
from symbench.errors import ConfigError, Problem

if TYPE_CHECKING:
    from symbench.records import GateRecord

EXIT_WORSE = 1


@cli.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--metric", "metric", multiple=True, metavar="NAME", help="Only these; globs work. May stand several times."
)
@click.option(
    "--format",
    "format",
    type=click.Choice(["text", "md", "csv", "json"]),
    default="text",
    show_default=True,
    help="How to print it; the worst rows first.",
)
@click.option("--exit-code", is_flag=True, help="Exit 1 where something got worse, 3 where B lacks what A has.")
@results_option
def compare(before: str, after: str, metric: tuple[str, ...], format: str, exit_code: bool, results: Path) -> None:
    """Compare two runs, or a baseline and a run, on the same samples and elements.

    A and B are ids, manifests, baseline files or git:REF:PATH. A difference counts as better or worse where it is
    one after Holm's correction over all rows; everything else is the same, inconclusive, or not comparable.
    """
    from symbench import judge
    from symbench.compare import METRICS_SHOWN
    from symbench.compare import faults as faults_of
    from symbench.report import pairs
    from symbench.terminal import show_pairs

    sides = [judge.measured(name, results) for name in (before, after)]
    record = judge.compare_runs(*sides, metrics=metric or METRICS_SHOWN)
    faults = [fault for side in sides for fault in faults_of(side)]
    if format == "json":
        click.echo(record.model_dump_json())
    elif format == "text":
        show_pairs(record)
    else:
        click.echo((pairs.markdown if format == "md" else pairs.csv)(record), nl=False)
    if exit_code and any(row.mark == "worse" for row in record.rows):
        raise click.exceptions.Exit(EXIT_WORSE)
    if exit_code and any(row.mark == "only in A" for row in record.rows):
        raise click.exceptions.Exit(EXIT_INCOMPLETE)
    tell_left_out(faults)


@cli.group()
def baseline() -> None:
    """Promote a run to what later ones are compared with, and look at what is promoted."""


@baseline.command("set")
@click.argument("run", required=False)
@click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever reviews it.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="[default: RESULTS/baselines/SUITE.json]"
)
@click.option("--force", is_flag=True, help="Take a partial or limited run, or one of uncommitted files.")
@results_option
def baseline_set(run: str | None, reason: str, output: Path | None, force: bool, results: Path) -> None:
    """Promote RUN, the newest by default. Commit the two files that this writes."""
    from symbench import judge

    path, record = judge.set_baseline(run, reason=reason, results=results, output=output, force=force)
    beside = path.with_suffix(".parquet")
    size = beside.stat().st_size / 2**20
    click.echo(f"{path} and {beside.name} ({size:.1f} MiB): {len(record.cells)} cells of {record.run}", err=True)


@baseline.command("show")
@click.argument("file", required=False)
@results_option
@json_option
def baseline_show(file: str | None, results: Path, json: bool) -> None:
    """What a baseline holds: FILE or git:REF:PATH; the only one of the results folder by default."""
    from symbench import baseline as baselines
    from symbench.terminal import show_baseline

    found = baselines.read(file or _only_baseline(results))
    if json:
        click.echo(found.record.model_dump_json())
        return
    show_baseline(found.record)


def _only_baseline(results: Path) -> str:
    files = sorted((results / "baselines").glob("*.json"))
    if len(files) != 1:
        got = f"there are {len(files)} baselines in {results / 'baselines'}"
        raise ConfigError(Problem("baseline show", got, "the name of a file", "'symbench baseline list' lists them."))
    return str(files[0])


@baseline.command("list")
@results_option
@json_option
def baseline_list(results: Path, json: bool) -> None:
    """The baselines of the results folder."""
    from symbench import judge
    from symbench.terminal import show_columns

    rows: list[dict[str, Any]] = []
    for path, found in judge.baselines_of(results):
        if isinstance(found, ConfigError):
            rows.append({"file": str(path), "broken": str(found)})
        else:
            r = found.record
            facts = {"suite": r.suite, "run": r.run, "created": r.created, "reason": r.reason}
            rows.append({"file": str(path), **facts, "cells": len(r.cells)})
    if json:
        print_json({"schema_version": 1, "baselines": rows})
        return
    if not rows:
        click.echo(f"no baseline in {results / 'baselines'}; 'symbench baseline set' makes one", err=True)
    for row in rows:
        click.echo(f"broken: {row['broken']}") if "broken" in row else None
    shown = [
        (r["file"], r["created"], f"{r['cells']} cells", r["run"], r["reason"]) for r in rows if "broken" not in r
    ]
    show_columns(shown)


file_option = click.Path(path_type=Path, dir_okay=False)


@cli.command()
@click.argument("run", required=False)
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take this suite's rules. [default: those it was run with]",
)
@click.option(
    "--baseline", metavar="FILE|RUN|git:REF:PATH", help="[default: the suite's, or RESULTS/baselines/SUITE.json]"
)
@click.option(
    "--inconclusive",
    type=click.Choice(["fail", "warn", "pass"]),
    help="What inconclusive verdicts count as. [default: exit 4]",
)
@click.option(
    "--no-baseline",
    type=click.Choice(["fail", "pass"]),
    help="What rules against a missing baseline come to. [default: exit 4]",
)
@click.option(
    "--junit", type=file_option, metavar="FILE", help="Write JUnit XML: one test case for each rule and match."
)
@click.option(
    "--markdown",
    type=file_option,
    metavar="FILE",
    help="Write Markdown; appended where FILE is $GITHUB_STEP_SUMMARY.",
)
@click.option("--sarif", type=file_option, metavar="FILE", help="Write SARIF, pointing at the suite's lines.")
@click.option("--annotations", is_flag=True, help="Print workflow commands that annotate the suite, to stderr.")
@results_option
@json_option
def gate(
    run: str | None,
    suite: Path | None,
    baseline: str | None,
    inconclusive: Literal["fail", "warn", "pass"] | None,
    no_baseline: Literal["fail", "pass"] | None,
    annotations: bool,
    results: Path,
    json: bool,
    **files: Path | None,
) -> None:
    """Judge a run by its suite's rules. RUN is an id; the newest by default.

    Exit status: 0 all passed, 1 some failed, 2 the baseline or a rule is broken, 3 some cell failed, 4 it could not
    be decided: inconclusive, not comparable, or missing.
    """
    from symbench import judge
    from symbench.gate import Policy, text
    from symbench.gate.annotations import render as annotations_of

    policy = Policy(inconclusive, no_baseline)
    record = judge.judge_run(run, results=results, suite=suite, baseline=baseline, policy=policy)
    _write(record, files)
    if annotations:
        click.echo(annotations_of(record), err=True, nl=False)
    if json:
        click.echo(record.model_dump_json())
    else:
        for line in text.lines(record):
            click.echo(line)
    if record.exit_code:
        raise click.exceptions.Exit(record.exit_code)


def _write(record: GateRecord, files: dict[str, Path | None]) -> None:
    """The files that were asked for."""
    from symbench.gate import junit, markdown, sarif
    from symbench.store import write_text

    for name, render in (("junit", junit.render), ("markdown", markdown.render), ("sarif", sarif.render)):
        path = files.get(name)
        if path is None:
            continue
        try:
            if name == "markdown" and str(path) == os.environ.get("GITHUB_STEP_SUMMARY"):
                with path.open("a", encoding="utf-8") as file:
                    file.write(render(record))
            else:
                write_text(path, render(record))
        except OSError as error:
            raise ConfigError(Problem(f"--{name}", f"{path} cannot be written: {error.strerror or error}")) from error


@cli.command()
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """Print the schema of a file or of a command's JSON; the names without one."""
    folder = Path(__file__).parent.parent / "schemas"
    known = {path.stem.rpartition("-")[0]: path for path in sorted(folder.glob("*-1.json"))}
    if name is None:
        click.echo("\n".join(known))
        return
    if name not in known:
        from symbench.errors import near_miss, one_of

        raise ConfigError(Problem("schema", f"got {name!r}", f"one of {one_of(known)}", near_miss(name, known)))
    click.echo(json_module.dumps(json_module.loads(known[name].read_text(encoding="utf-8"))))
