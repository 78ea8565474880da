"""Commands that judge: comparisons, baselines, the gate, and the schemas of what they print."""

from __future__ import annotations

import json as json_module
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from symbench.base.errors import ConfigError, Problem
from symbench.face.cli import complete
from symbench.face.cli.base import (
    EXIT_INCOMPLETE,
    EXIT_WORSE,
    EXIT_WRONG,
    Place,
    Verdict,
    cli,
    json_option,
    name_damaged,
    no_code_option,
    print_json,
    print_record,
    results_option,
)
from symbench.face.terminal import say, tell

if TYPE_CHECKING:
    from symbench.base.records import CompareRecord, GateRecord

run_argument = click.argument("run", required=False, shell_complete=complete.runs)


@cli.command()
@click.argument("before", metavar="A", shell_complete=complete.runs)
@click.argument("after", metavar="B", shell_complete=complete.runs)
@click.option(
    "--metric",
    "metric",
    multiple=True,
    metavar="NAME",
    help="Only these; globs work. May stand several times.",
    shell_complete=complete.names_of("symbench.algebra.metrics:METRICS"),
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
@no_code_option
@results_option
def compare(
    before: str, after: str, metric: tuple[str, ...], format: str, exit_code: bool, no_code: bool, results: Path
) -> int:
    """Compare two runs, or a baseline and a run, on the same samples and elements.

    A and B are ids, manifests, baseline files or git:REF:PATH. A difference counts as better or worse where it is
    one after Holm's correction over all rows; everything else is the same, inconclusive, or not comparable. Exit
    status 3 where a cell was measured and cannot be used.
    """
    from symbench.face.terminal import show_pairs
    from symbench.read import judge
    from symbench.read.report import pairs

    sides = [judge.measured(name, results) for name in (before, after)]
    record = judge.compare_runs(*sides, metrics=metric, no_code=no_code)
    if format == "json":
        print_record(record)
    elif format == "text":
        show_pairs(record)
    else:
        say((pairs.markdown if format == "md" else pairs.csv)(record), end="")
    damaged = [name_damaged(side, side.cells) for side in {side.name: side for side in sides}.values()]
    if exit_code:
        return Verdict(_changed(record) or (EXIT_INCOMPLETE if any(damaged) else 0))
    return EXIT_INCOMPLETE if any(damaged) else 0


def _changed(record: CompareRecord) -> int:
    marks = {row.mark for row in record.rows}
    return EXIT_WORSE if "worse" in marks else EXIT_INCOMPLETE if "only in A" in marks else 0


@cli.group()
def baseline() -> None:
    """Promote a run to what later ones are compared with, and look at what is promoted."""


@baseline.command("set")
@run_argument
@click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever reviews it.")
@click.option("--output", type=Place(), metavar="FILE", help="[default: RESULTS/baselines/SUITE.json]")
@click.option("--force", is_flag=True, help="Take a partial or limited run, or one of uncommitted files.")
@results_option
def baseline_set(run: str | None, reason: str, output: Path | None, force: bool, results: Path) -> None:
    """Promote RUN, the newest by default. Commit the two files that this writes."""
    from symbench.read import judge

    if force:
        for problem in judge.refusals(run, results):
            tell(f"taken all the same: {problem.where}: {problem.got}")
    path, record = judge.set_baseline(run, reason=reason, results=results, output=output, force=force)
    beside = path.with_suffix(".parquet")
    size = beside.stat().st_size / 2**20
    tell(f"{path} and {beside.name} ({size:.1f} MiB): {len(record.cells)} cells of {record.run}")


@baseline.command("show")
@click.argument("file", required=False)
@results_option
@json_option
def baseline_show(file: str | None, results: Path, json: bool) -> None:
    """What a baseline holds: FILE or git:REF:PATH; the only one of the results folder by default."""
    from symbench.face.terminal import show_baseline
    from symbench.read import baseline as baselines

    found = baselines.read(file or _only_baseline(results))
    if json:
        print_record(found.record)
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
    from symbench.face.terminal import printable, show_columns
    from symbench.read import judge

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
        tell(f"no baseline in {results / 'baselines'}; 'symbench baseline set' makes one")
    for row in rows:
        if "broken" in row:
            say(printable(f"broken: {row['broken']}"))
    shown = [
        (r["file"], r["created"], f"{r['cells']} cells", r["run"], r["reason"]) for r in rows if "broken" not in r
    ]
    show_columns(shown)


file_option = Place(file=True)


@cli.command()
@run_argument
@click.option(
    "--suite",
    type=Place(),
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
@no_code_option
@results_option
@json_option
def gate(
    run: str | None,
    suite: Path | None,
    baseline: str | None,
    inconclusive: Literal["fail", "warn", "pass"] | None,
    no_baseline: Literal["fail", "pass"] | None,
    annotations: bool,
    no_code: bool,
    results: Path,
    json: bool,
    **files: Path | None,
) -> int:
    """Judge a run by its suite's rules. RUN is an id; the newest by default.

    Exit status: 0 all passed, 1 some failed, 2 the baseline or a rule is broken, 3 some cell failed, 4 it could not
    be decided: inconclusive, not comparable, or missing.
    """
    from symbench.read import judge
    from symbench.read.gate import Policy, text
    from symbench.read.gate.annotations import render as annotations_of

    policy = Policy(inconclusive, no_baseline)
    record = judge.judge_run(run, results=results, suite=suite, baseline=baseline, policy=policy, no_code=no_code)
    lost = _write(record, files)
    if lost and record.exit_code == 0:  # a verdict that asks for something stands
        record = record.model_copy(update={"exit_code": EXIT_WRONG})
    if json:
        print_record(record)
    else:
        say("\n".join(text.lines(record)))
    if annotations:
        tell(annotations_of(record), end="")
    for problem in lost:
        tell(str(problem))
    return Verdict(record.exit_code)


def _write(record: GateRecord, files: dict[str, Path | None]) -> list[Problem]:
    """Write the files that were asked for; what is said of those that cannot be."""
    from symbench.measure.store import write_text
    from symbench.read.gate import junit, markdown, sarif

    lost = []
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
            lost.append(Problem(f"--{name}", f"{path} cannot be written: {error.strerror or error}"))
    return lost


@cli.command()
@click.argument(
    "name", required=False, shell_complete=lambda _, __, typed: [n for n in _schemas() if n.startswith(typed)]
)
def schema(name: str | None) -> None:
    """Print the schema of a file or of a command's JSON; the names without one."""
    known = _schemas()
    if name is None:
        say("\n".join(known))
        return
    if name not in known:
        from symbench.base.errors import near_miss, one_of

        raise ConfigError(Problem("schema", f"got {name!r}", f"one of {one_of(known)}", near_miss(name, known)))
    print_json(json_module.loads(known[name].read_text(encoding="utf-8")))


def _schemas() -> dict[str, Path]:
    folder = Path(__file__).parents[2] / "base" / "schemas"
    return {path.stem.rpartition("-")[0]: path for path in sorted(folder.glob("*-1.json"))}
