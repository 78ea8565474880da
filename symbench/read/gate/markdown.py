"""A gate as Markdown, for the summary of a CI job."""

from __future__ import annotations

from symbench.base.escape import markdown as escape
from symbench.base.escape import markdown_code
from symbench.base.records import GateRecord, MatchRecord
from symbench.read.gate.words import blind, counts, headline, sentence, titles, worst_first

LIMIT = 1_000_000
"""Bytes. GitHub drops a summary of more than 1 MiB whole."""
MOST_NOTES = 20
HEADER = ["", "| verdict | what | found | run just this cell |", "|---|---|---|---|"]


def render(record: GateRecord, limit: int = LIMIT) -> str:
    """Headline, counts and a table, the worst first, in no more than ``limit`` bytes of UTF-8.

    What does not fit is left out row by row from the end, where the passes are, and counted in the last line.
    """
    named, matches = titles(record), worst_first(record)
    head, notes = _head(record), _notes(record)
    if _size([*head, *notes]) <= limit // 2:
        head += notes
    room = limit - _size([*head, *HEADER, *_more(record, matches)])
    rows: list[str] = []
    for match in matches:
        row = _row(match, named[id(match)])
        room -= _size([row])
        if room < 0:
            break
        rows.append(row)
    table = [*HEADER, *rows] if rows else []
    left = matches[len(rows) :]
    return "".join(f"{line}\n" for line in [*head, *table, *(_more(record, left) if left else [])])


def _size(lines: list[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _head(record: GateRecord) -> list[str]:
    about = [f"suite {escape(record.suite[:200])}"]
    named = (("run", record.run), ("baseline", record.baseline))
    about += [f"{name} {escape(value[:200])}" for name, value in named if value]
    about.append(f"exit status {record.exit_code}")
    return [f"## Symmetry {headline(record)}", "", f"{counts(record.rules, record)}.", "", f"{'; '.join(about)}."]


def _notes(record: GateRecord) -> list[str]:
    lines = [f"- {escape(note[:500])}" for note in record.notes[:MOST_NOTES]]
    if len(record.notes) > MOST_NOTES:
        lines.append(f"- and {len(record.notes) - MOST_NOTES:,} more notes")
    return ["", *lines] if lines else []


def _row(match: MatchRecord, name: str) -> str:
    warning = [f"warning: {blind(match)}"] if blind(match) else []
    found = "<br>".join(escape(text) for text in (sentence(match), *match.happened, *warning))
    replay = markdown_code(match.replay) if match.replay and match.verdict != "pass" else ""
    word = match.verdict if match.verdict == "pass" else f"**{match.verdict}**"
    return f"| {word} | {escape(name)} | {found} | {replay} |"


def _more(record: GateRecord, matches: list[MatchRecord]) -> list[str]:
    return ["", f"and {len(matches):,} more: {counts(matches, record)}"]
