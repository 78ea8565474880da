"""What the commands share: the group, options, printing, and stopping."""

from __future__ import annotations

import json as json_module
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from symbench import __version__
from symbench.base.errors import ConfigError, Problem
from symbench.face.terminal import results_apart, say, tell

if TYPE_CHECKING:
    from pydantic import BaseModel

    from symbench.base.records import CellStatus
    from symbench.face.api import Choices, Run
    from symbench.face.terminal import Progress
    from symbench.read.estimates import Cells

EXIT_WORSE, EXIT_WRONG, EXIT_INCOMPLETE, EXIT_BUG, EXIT_INTERRUPTED = 1, 2, 3, 70, 130


class Verdict(int):
    """An exit status that was asked for as such: it stands, even where what was to be printed could not be."""


class Command(click.Command):
    """A command, which returns its exit status or None for 0. Whatever prints beside it prints to stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with results_apart():
            return super().invoke(ctx)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


class Place(click.Path):
    """A path. A leading ``~`` is the home folder: shells leave it in ``--results=~/here``."""

    def __init__(self, *, folder: bool = False, file: bool = False) -> None:
        super().__init__(path_type=Path, file_okay=not folder, dir_okay=not file)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, in a form that every library takes for what it is."""
        try:
            text = str(Path(value).expanduser()) if str(value).startswith("~") else str(value)
            if not self.file_okay:  # Parquet's library takes no other names
                text.encode()
        except RuntimeError:
            self.fail(f"{value!r} names a user that is not here", param, ctx)
        except UnicodeEncodeError:
            self.fail(f"{value!r} is no text in {sys.getfilesystemencoding()}: rename it", param, ctx)
        path = Path(os.fsdecode(super().convert(text, param, ctx)))
        return Path.cwd() / path if path.parts[:1] and path.parts[0].startswith("~") else path


results_option = click.option(
    "--results", type=Place(folder=True), default=Path("results"), show_default=True, help="The results folder."
)
json_option = click.option("--json", "json", is_flag=True, help="Print one JSON document to stdout.")
only_option = click.option(
    "--only", metavar="SELECT", help="Part of the suite: model=NAME,symmetry=NAME; globs work."
)
limit_option = click.option(
    "--limit", type=int, metavar="N", help="The first N samples only; such a run is no release."
)
device_option = click.option(
    "--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps, or cuda:0,cuda:1; overrides the suite."
)
no_code_option = click.option("--no-code", is_flag=True, help="Refuse suites that bring code of their own.")
trust_option = click.option(
    "--trust-pickle",
    is_flag=True,
    allow_from_autoenv=False,
    help="Let weights files run code while they are read.",
)


@click.group(cls=Group, context_settings={"auto_envvar_prefix": "SYMBENCH", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="symbench")
def cli() -> None:
    """Does my model respect this symmetry, and how sure are we?

    Every option can be set by a variable, SYMBENCH_RUN_DEVICE for --device of run, except those that grant trust.
    Exit status: 0 done, 1 a gate failed (or compare --exit-code found worse), 2 usage, suite or output wrong, 3 some
    cell failed or cannot be used, 4 a gate could not decide, 70 a bug of ours, 130 interrupted.
    """


def choices_of(**options: Any) -> Choices:
    """How to run, from the options of the command line."""
    from symbench.face.api import Choices

    return Choices(**options)


def results_hint(results: Path) -> str:
    """What to add to a command so that it finds the same results."""
    return "" if results == Path("results") else f" --results {results}"


def show(opened: Run, json: bool, frame: Any = None) -> None:
    """Print a run's tables, or one JSON document."""
    from symbench.algebra.metrics import METRICS
    from symbench.face.terminal import show_boards
    from symbench.read import report as reports
    from symbench.read.report import tables
    from symbench.read.report.pieces import groups_of, parted, with_parted
    from symbench.read.studies import answers

    for reason in METRICS.broken().values():
        tell(f"left out: {reason}")
    frame = opened.estimates() if frame is None else frame
    if json:
        print_json(reports.document(opened.store, opened.manifest, frame))
    else:
        for answer in answers(opened.store, opened.manifest, opened.metrics):
            say(f"{answer.title}\n{fill(answer.text, 100, break_on_hyphens=False)}\n")
        cost = tables.costs(frame, opened.metrics)
        found = list(parted(frame, groups_of(opened.manifest)))
        boards = with_parted(tables.boards(frame, opened.metrics), found)
        show_boards([*boards, *([cost] if cost.rows else [])])


def tell_left_out(faults: Sequence[str]) -> bool:
    """Name on stderr what cannot be used and was left out; whether there is something."""
    for fault in faults:
        tell(f"left out: {fault}")
    return bool(faults)


def print_json(document: Any) -> None:
    """Print strict JSON on one line, in ASCII: no stream's encoding can change it."""
    say(json_module.dumps(document, allow_nan=False))


def print_record(record: BaseModel) -> None:
    """Print a record as strict JSON; what is not finite is null."""
    print_json(json_module.loads(record.model_dump_json()))


def name_damaged(store: Cells, cells: Iterable[CellStatus]) -> bool:
    """Name on stderr every cell that was measured and cannot be used any more; whether there is one."""
    damaged = [cell for cell in cells if cell.status == "done" and store.cell(cell.key) is None]
    for cell in damaged:
        why = store.fault(cell.key) or "its folder is gone"
        name = f"{cell.model}/{cell.dataset}/{cell.symmetry} (cell {cell.key[:12]})"
        tell(f"{name} counts as not measured: {why}. Run the suite again.")
    return bool(damaged)


def write_new(path: Path, text: str, option: str) -> None:
    """Write a file that is not there yet, whole or not at all; ``option`` is what messages call it.

    Raises:
        ConfigError: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise ConfigError(Problem(option, f"{path} is there already", "a new file", "Name another.")) from error
    except OSError as error:
        got = f"{path} cannot be written: {error.strerror or error}"
        raise ConfigError(Problem(option, got, "a file that can")) from error


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
