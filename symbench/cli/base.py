"""What the commands share: the group, options, printing, and stopping."""

from __future__ import annotations

import json as json_module
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from symbench import __version__

if TYPE_CHECKING:
    from symbench.api import Choices, Run
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
    Exit status: 0 done, 1 a gate failed, 2 usage or suite wrong, 3 some cell failed, 4 a gate could not decide,
    70 a bug of ours, 130 interrupted.
    """


def choices_of(**options: Any) -> Choices:
    """How to run, from the options of the command line."""
    from symbench.api import Choices

    return Choices(**options)


def results_hint(results: Path) -> str:
    """What to add to a command so that it finds the same results."""
    return "" if results == Path("results") else f" --results {results}"


def show(opened: Run, json: bool, frame: Any = None) -> None:
    """Print a run's tables, or one JSON document."""
    from symbench import report as reports
    from symbench.metrics import METRICS
    from symbench.report import tables
    from symbench.terminal import printable, show_boards

    for reason in METRICS.broken().values():
        click.echo(f"left out: {printable(reason)}", err=True)
    with redirect_stdout(sys.stderr):
        frame = opened.estimates() if frame is None else frame
    if json:
        print_json(reports.document(opened.manifest, frame))
    else:
        show_boards([*tables.boards(frame), tables.costs(frame)])


def tell_left_out(faults: Sequence[str]) -> None:
    """Name what cannot be used; a command that had to leave something out is incomplete."""
    from symbench.terminal import printable

    for fault in faults:
        click.echo(f"left out: {printable(fault)}", err=True)
    if faults:
        raise click.exceptions.Exit(EXIT_INCOMPLETE)


def print_json(document: Any) -> None:
    """Print strict JSON on one line."""
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
