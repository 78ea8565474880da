"""A gate as workflow commands, which GitHub shows at the suite's lines in a pull request."""

from __future__ import annotations

from symbench.base.escape import printable
from symbench.base.records import GateRecord, MatchRecord
from symbench.read.gate.words import level, message, place, titles, unexplained, worst_first

COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
MOST = 10
"""GitHub shows so many of each level from one step."""


def render(record: GateRecord) -> str:
    """A line for each match that did not pass, the worst first, at most 10 of each level; empty where all passed."""
    named = titles(record)
    found: dict[str, list[str]] = {command: [] for command in COMMANDS.values()}
    for match in worst_first(record):
        loud = level(match, record)
        if loud is not None:
            found[COMMANDS[loud]].append(_match(COMMANDS[loud], match, named[id(match)]))
    reason = unexplained(record)
    if reason is not None:
        found["error"].append(_command("error", {"title": "symbench gate"}, reason))
    room = dict.fromkeys(found, MOST)
    hidden = {command: len(lines) - MOST for command, lines in found.items() if len(lines) > MOST}
    if hidden:
        room["notice"] -= 1
        hidden |= {"notice": len(found["notice"]) - room["notice"]} if len(found["notice"]) > room["notice"] else {}
    lines = [line for command, all_lines in found.items() for line in all_lines[: room[command]]]
    if hidden:
        rest = ", ".join(f"{count:,} more of level {command}" for command, count in hidden.items())
        lines.append(_command("notice", {"title": "symbench gate"}, f"not shown here: {rest}"))
    return "".join(f"{line}\n" for line in lines)


def _match(command: str, match: MatchRecord, name: str) -> str:
    file, line = place(match)
    properties = {} if file is None else {"file": file, "line": str(line)}
    return _command(command, {**properties, "title": f"{match.verdict}: {name}"}, message(match))


def _command(command: str, properties: dict[str, str], message: str) -> str:
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{command} {given}::{_data(message)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
