"""What a run looks like in a terminal: bars, tables and plain lines. Nothing else in symbench prints."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from symbench.base.escape import printable as printable
from symbench.base.events import Advanced, Event, Finished, Started

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from symbench.base.records import BaselineRecord, CompareRecord
    from symbench.read.report.tables import Board

EVERY_SECONDS = 30
"""How often progress is a line where there is no terminal."""
WIDTH = 140
"""Columns of tables where there is no terminal."""
_RESULTS: ContextVar[TextIO | None] = ContextVar("_RESULTS", default=None)


@contextmanager
def results_apart() -> Iterator[None]:
    """Results go to stdout for the time being, and all that anyone prints to stderr: models, data and plug-ins do."""
    token = _RESULTS.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _RESULTS.reset(token)


def results() -> TextIO:
    """Where results go."""
    return _RESULTS.get() or sys.stdout


def say(text: str, end: str = "\n") -> None:
    """A result, as it is."""
    results().write(text + end)
    results().flush()


def tell(text: str, end: str = "\n") -> None:
    """A line for people, on stderr."""
    sys.stderr.write(printable(text) + end)
    sys.stderr.flush()


class Progress:
    """Listens to a run: a bar on a terminal, else one line every 30 seconds; always on stderr."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.tasks: list[Task] = []
        self.last = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Advanced):
            self._advance(event)
        elif isinstance(event, Finished):
            self._finish()
        else:
            self.line(event.text)

    def line(self, text: str) -> None:
        """One line, above the bars."""
        bars = [task.bar for task in self.tasks if task.bar is not None]
        for bar in bars:
            bar.clear()
        self.stream.write(printable(text) + "\n")
        self.stream.flush()
        for bar in bars:
            bar.refresh()

    def _start(self, event: Started) -> None:
        task = Task(event)
        if self.stream.isatty():
            from tqdm import tqdm

            task.bar = tqdm(
                total=event.total, desc=event.task, unit=f" {event.unit}", file=self.stream, position=len(self.tasks),
                leave=False, dynamic_ncols=True, unit_scale=event.unit == "images",
            )  # fmt: skip
        self.tasks.append(task)

    def _advance(self, event: Advanced) -> None:
        if not self.tasks:
            return
        task = self.tasks[-1]
        task.done += event.steps
        if task.bar is not None:
            if event.note:
                task.bar.set_postfix_str(event.note, refresh=False)
            task.bar.update(event.steps)
        elif time.monotonic() - self.last >= EVERY_SECONDS:
            self.last = time.monotonic()
            note = f", {event.note}" if event.note else ""
            total = max(task.of.total, task.done)  # a control whose answer is not clear yet goes on
            self.line(f"{task.of.task}: {task.done} of {total} {task.of.unit}{note}")

    def _finish(self) -> None:
        if self.tasks:
            task = self.tasks.pop()
            if task.bar is not None:
                task.bar.close()


@dataclass
class Task:
    """A task under way: the innermost one advances.

    Attributes:
        of: what began.
        done: how much of it.
        bar: on a terminal.
    """

    of: Started
    done: int = 0
    bar: Any = None


def show_boards(boards: Iterable[Board], stream: TextIO | None = None) -> None:
    """Print boards as tables, with their notes below and their summary above."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = stream or results()
    console = Console(file=out, width=_columns(out), highlight=False, soft_wrap=False)
    for board in boards:
        console.print(Text(printable(board.title), style="bold"))
        table = Table(box=None, pad_edge=False)
        for i, heading in enumerate(board.columns):
            table.add_column(heading, justify="left" if i == 0 else "right", no_wrap=i == 0)
        for name, cells in board.rows:
            shown = [
                Text.assemble(
                    c.value, *([("\n" + c.detail, "dim")] if c.detail.startswith(("[", "at the floor")) else [])
                )
                for c in cells
            ]
            table.add_row(Text(printable(name), style="bold"), *shown)
        if board.rows:
            console.print(table)
        for name, reason in board.failed:
            console.print(Text(f"{printable(name)}: no numbers: {printable(reason)}", style="red"))
        console.print(Text(board.note, style="dim"))
        for verdict in board.verdicts:
            console.print(Text(printable(verdict), style="dim"))
        if board.summary:
            console.print(Text(printable(board.summary)))
        console.print()


def _columns(out: TextIO) -> int | None:
    """Columns of a stream; None leaves it to rich, which knows COLUMNS."""
    if not out.isatty():
        return WIDTH
    try:
        return None if "COLUMNS" in os.environ else os.get_terminal_size(out.fileno()).columns or None
    except (OSError, ValueError):
        return None


def show_columns(rows: Sequence[tuple[str, ...]], stream: TextIO | None = None) -> None:
    """Print rows in aligned columns, the last one unbounded."""
    out = stream or results()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)] if rows else []
    for row in rows:
        padded = [printable(cell).ljust(width) for cell, width in zip(row, widths, strict=False)]
        out.write("  ".join([*padded, printable(row[-1])]).rstrip() + "\n")


def show_examination(found: dict[str, Any], stream: TextIO | None = None) -> None:
    """Print what ``doctor`` found: one line for each thing, what is wrong last."""
    rows: list[tuple[str, str]] = [("symbench", f"{found['symbench']} on Python {found['python']}")]
    rows += [(name, version or "not installed") for name, version in found["packages"].items() if name != "symbench"]
    for device in found["devices"]:
        memory = f", {device['memory'] / 2**30:.0f} GiB" if device["memory"] else ""
        rows.append((device["name"], f"{device['is']}{memory}"))
    rows.append(("device auto", ", ".join(found["auto"])))
    rows += [(name.replace("_", " "), str(value)) for name, value in found["numeric_flags"].items()]
    for name, facts in found["folders"].items():
        if facts["error"]:
            rows.append((name, f"{facts['path']}: {facts['error']}"))
            continue
        limit = f" of at most {_bytes(facts['limit'])}" if facts.get("limit") else ""
        writable = "" if facts["writable"] else "; cannot be written"
        held = f"{_bytes(facts['bytes'])}{limit}, {_bytes(facts['free'])} free{writable}"
        rows.append((name, f"{facts['path']}: {held}"))
    for name, facts in found["extras"].items():
        state = "installed" if facts["installed"] else f"not installed: {facts['install']}"
        state = f"cannot be imported: {facts['error']}" if facts["error"] else state
        rows.append((f"extra {name}", f"{state} ({facts['for']})"))
    rows += [(f"broken: {name}", reason) for name, reason in found["broken"].items()]
    show_columns(rows, stream)


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def show_pairs(record: CompareRecord, stream: TextIO | None = None) -> None:
    """Print two runs side by side, the worst first, and how many rows have each mark."""
    from symbench.read.report import pairs

    rows = [pairs.cells(row) for row in pairs.ordered(record)]
    if rows:
        show_columns([pairs.headings(), *rows], stream)
    (stream or results()).write(printable(pairs.summary(record)) + "\n")


def show_baseline(record: BaselineRecord, stream: TextIO | None = None) -> None:
    """Print what a baseline holds: where it is from, and its estimates."""
    from symbench.read.numbers import scientific

    facts = [("suite", record.suite), ("run", record.run), ("created", record.created), ("reason", record.reason)]
    commit = record.environment.get("commit") or {}
    facts.append(("commit", f"{commit.get('id', 'none')}{' and changes' if commit.get('dirty') else ''}"))
    show_columns(facts, stream)
    metrics = list(dict.fromkeys(metric for cell in record.cells for metric in cell.estimates))
    rows: list[tuple[str, ...]] = [("model", "dataset", "symmetry", *metrics)]
    for cell in record.cells:
        found = [(cell.estimates.get(metric) or [None])[0] for metric in metrics]
        numbers = ("-" if value is None else scientific(value) for value in found)
        rows.append((cell.model, cell.dataset, cell.symmetry, *numbers))
    show_columns(rows, stream)
