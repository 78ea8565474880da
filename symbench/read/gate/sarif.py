"""A gate as SARIF 2.1.0: a result for everything that is not a pass, at the rule's line of the suite."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from symbench import __version__
from symbench.base.escape import one_line, printable
from symbench.base.records import GateRecord, MatchRecord
from symbench.read.gate.words import level, message, place, title, titles, unexplained, worst_first

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(record: GateRecord) -> str:
    """The document; the worst results come first, for those who read only so many.

    Level ``error`` is what keeps the gate from passing; ``warning`` and ``note`` are inconclusive matches that count
    as warnings and as passed. Where the gate did not pass and no match says why, a result of the rule ``gate`` does.
    """
    named = titles(record)
    results: list[dict[str, Any]] = []
    rules: dict[str, str] = {}
    taken: dict[str, int] = {}
    for match in worst_first(record):
        loud = level(match, record)
        if loud is None:
            continue
        rule = one_line(f"{match.metric}/{match.kind}")
        rules.setdefault(rule, one_line(f"{match.metric} against the {match.kind} of a gate"))
        text = f"{named[id(match)]}: {match.verdict}: {message(match)}"
        results.append(_result(rule, loud, text, _fingerprint(match, record, taken)) | _locations(match))
    reason = unexplained(record)
    if reason is not None:
        rules["gate"] = "The gate as a whole."
        results.append(_result("gate", "error", reason, _digest([record.suite, "gate"])))
    numbers = {rule: i for i, rule in enumerate(rules)}
    driver = {
        "name": "symbench",
        "version": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": text}} for rule, text in rules.items()],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"symbench-gate/{one_line(record.suite)}/"},
        "invocations": [{"executionSuccessful": record.exit_code != 3, "exitCode": record.exit_code}],
        "columnKind": "unicodeCodePoints",
        "results": [{**result, "ruleIndex": numbers[result["ruleId"]]} for result in results],
        "properties": {"verdict": record.verdict, "run": record.run, "baseline": record.baseline},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, allow_nan=False) + "\n"


def _result(rule: str, loud: str, text: str, fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "level": loud,
        "message": {"text": printable(text).replace("](", "] (")},  # else a link
        "partialFingerprints": {"symbenchMatch/v1": fingerprint, "primaryLocationLineHash": f"{fingerprint[:16]}:1"},
    }


def _locations(match: MatchRecord) -> dict[str, Any]:
    file, line = place(match)
    if file is None:
        return {}
    uri = quote(file, errors="replace")
    artifact = {"uri": f"file://{uri}"} if file.startswith("/") else {"uri": uri, "uriBaseId": "%SRCROOT%"}
    return {"locations": [{"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line}}}]}


def _fingerprint(match: MatchRecord, record: GateRecord, taken: dict[str, int]) -> str:
    """The same from run to run, whatever the numbers, the limit and the line are."""
    subject = [record.suite, match.kind, title(match), match.replica, match.output, match.elements]
    digest = _digest(subject)
    taken[digest] = taken.get(digest, 0) + 1
    return digest if taken[digest] == 1 else _digest([*subject, taken[digest]])


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
