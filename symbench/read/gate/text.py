"""A gate as plain lines for a terminal."""

from __future__ import annotations

from symbench.base.escape import one_line
from symbench.base.records import GateRecord
from symbench.read.gate.words import again, blind, counts, headline, sentence, titles, worst_first


def lines(record: GateRecord) -> list[str]:
    """One line for each match, the worst first, what to do below those that did not pass, and a summary."""
    named = titles(record)
    width = max((len(match.verdict) for match in record.rules), default=0)
    rows = []
    for match in worst_first(record):
        rows.append((match.verdict.upper(), f"{named[id(match)]}: {sentence(match)}"))
        rows += [("", sentence) for sentence in match.happened]
        if match.verdict != "pass" and match.replay:
            rows.append(("", f"{again(match)}: {match.replay}"))
        if warning := blind(match):
            rows.append(("", f"warning: {warning}"))
    run = f"; run {record.run}" if record.run else ""
    summary = f"{headline(record)}: {counts(record.rules, record)}{run}; exit status {record.exit_code}"
    below = [*(f"note: {note}" for note in record.notes), summary]
    return [f"{word:{width}}  {one_line(text)}" for word, text in rows] + [one_line(text) for text in below]
