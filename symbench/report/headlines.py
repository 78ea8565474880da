"""What a run found, in sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from symbench.gate.words import FIRST, waits
from symbench.gate.words import change as told_of
from symbench.records import CellStatus, GateRecord
from symbench.report.ranks import Ranked
from symbench.report.tables import Board, percent

ENOUGH = 4
"""Sentences, where there is that much to say; the rest stand in the leaderboard."""
NEWS = {"pass": "good", "fail": "bad", "error": "bad"}


def of(
    cells: Sequence[CellStatus],
    frame: pd.DataFrame,
    boards: Sequence[Board],
    ranked: Sequence[Ranked],
    gate: GateRecord | None,
) -> list[tuple[str, str]]:
    """Sentences, each with its tone, the most important first.

    Args:
        cells: of the run.
        frame: its estimates.
        boards: its tables.
        ranked: its rankings.
        gate: what a gate decided.
    """
    first = gate is not None and waits(gate)
    found = [] if gate is None or first else [(_gate(gate), NEWS.get(gate.verdict, "warn"))]
    failed = [cell for cell in cells if cell.status == "failed"]
    done = sum(cell.status == "done" for cell in cells)
    if failed:
        names = sorted({f"{cell.model} under {cell.symmetry}" for cell in failed})
        found.append((f"{len(failed)} of {len(cells)} cells failed: {_some(names)}.", "bad"))
    elif done < len(cells):
        found.append((f"{done} of {len(cells)} cells are measured so far.", "warn"))
    found += _breaks(ranked)
    found += _turned(ranked)
    exact = _exact(frame)
    if exact:
        found.append((f"Exact by construction, in float64: {_some(exact)}.", "good"))
    rest = [(board.summary, "") for board in boards if board.summary]
    last = [(_gate(gate), "")] if gate is not None and first else []  # nothing has gone wrong: results come first
    return found + rest[: max(ENOUGH - len(found), 0)] + last


def _gate(gate: GateRecord) -> str:
    if waits(gate):
        passed = sum(rule.verdict == "pass" for rule in gate.rules)
        others = (
            f"{passed} of {len(gate.rules)} checks pass; {gate.waiting} compare" if passed else "The gate compares"
        )
        return f"{others} with a baseline, which does not exist yet: {FIRST}."
    counts: dict[str, int] = {}
    for rule in gate.rules:
        counts[rule.verdict] = counts.get(rule.verdict, 0) + 1
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    said = {"pass": "passed", "fail": "failed"}.get(
        gate.verdict, "could not decide" if gate.exit_code == 4 else "is broken"
    )
    failed = next((rule for rule in gate.rules if rule.verdict == "fail"), None)
    why = f" {failed.metric} of {failed.subject}: {told_of(failed) or failed.reason}." if failed is not None else ""
    return f"The gate {said}: {told or 'no rule matched'}.{why}"


def _breaks(ranked: Sequence[Ranked]) -> list[tuple[str, str]]:
    """What loses most, and what nothing moves."""
    rows = [(row, found) for found in ranked for row in found.rows.to_dict("records")]
    if not rows:
        return []
    row, found = max(rows, key=lambda pair: pair[0]["accuracy"] - pair[0]["orbit_accuracy"])
    clean, orbit = float(row["accuracy"]), float(row["orbit_accuracy"])
    if clean - orbit < 0.005:
        return [("No model loses more than half a point of accuracy over any orbit.", "good")]
    text = f"What breaks most is {row['model']} under {found.symmetry}:"
    text += f" {percent(clean)} % as it is, {percent(orbit)} % over the orbit."
    return [(text, "bad")]


def _turned(ranked: Sequence[Ranked]) -> list[tuple[str, str]]:
    """Where the best model as it is is beaten over the orbit, beyond doubt; it led in doubt where intervals meet."""
    changed, beaten = [], []
    for one in ranked:
        clean = one.rows.iloc[int(one.rows["accuracy"].argmax())]
        robust = one.rows.iloc[int(one.rows["orbit_accuracy"].argmax())]
        if not clean["orbit_accuracy_high"] < robust["orbit_accuracy_low"]:
            continue
        first, second = clean["model"], robust["model"]
        if robust["accuracy_high"] < clean["accuracy_low"]:
            changed.append(f"under {one.symmetry} from {first} to {second}")
        else:
            beaten.append(f"{first} is best as it is and loses to {second} over the orbit, under {one.symmetry}")
    found = [(f"The best model changes once samples move: {_some(changed, 3)}.", "warn")] if changed else []
    return found + ([(f"{_some(beaten, 3)}.", "warn")] if beaten else [])


def _exact(frame: pd.DataFrame) -> list[str]:
    rows = frame[(frame["metric"] == "equivariance_error_float64") & frame["estimate"].notna()]
    rows = rows[rows["reason"].astype("string").str.startswith("exact", na=False)].drop_duplicates(
        ["model", "symmetry"]
    )
    return [f"{model} under {', '.join(mine['symmetry'])}" for model, mine in rows.groupby("model", sort=False)]


def _some(names: Sequence[str], most: int = 6) -> str:
    rest = [f"and {len(names) - most} more"] if len(names) > most else []
    return "; ".join([*names[:most], *rest])
