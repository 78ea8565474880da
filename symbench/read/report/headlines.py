"""What a run found, in sentences made from its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from symbench.algebra.metrics import role_of
from symbench.algebra.metrics.detection import NOTHING_FOUND
from symbench.base.errors import several
from symbench.base.records import CellStatus, GateRecord
from symbench.read.gate.words import FIRST, facts, waits
from symbench.read.gate.words import change as change_of
from symbench.read.numbers import percent
from symbench.read.report import chance
from symbench.read.report.pieces import Parted
from symbench.read.report.places import Places
from symbench.read.report.ranks import CLEAN, ORBIT, Ranked
from symbench.read.report.tables import Board, whole
from symbench.read.report.verdicts import EXACTNESS, NO_CAUSE, caused, unequal, where_exact

OVERLAP = role_of("worst overlap")
ENOUGH = 4
"""Sentences, where there is that much to say; the rest stand in the leaderboard."""
UNEQUAL = "Targets are moved otherwise than outputs, or lengths change, so that losses over the orbit are in doubt"
MOST_PLACES = 4
"""Symmetries and data sets that one model is named with; the others stand in the tables."""
MOST_CAUSED = 3
"""Sentences about models whose fault has a name; the others stand below their tables."""
NEWS = {"pass": "good", "fail": "bad", "error": "bad"}


def of(
    cells: Sequence[CellStatus],
    frame: pd.DataFrame,
    boards: Sequence[Board],
    ranked: Sequence[Ranked],
    gate: GateRecord | None,
    parted: Sequence[Parted] = (),
) -> list[tuple[str, str]]:
    """Sentences, each with its tone, the most important first.

    Args:
        cells: of the run.
        frame: its estimates.
        boards: its tables.
        ranked: its rankings.
        gate: what a gate decided.
        parted: models that respect some pieces of a group alone.
    """
    places = Places.of(frame)
    first = gate is not None and waits(gate)
    found = [] if gate is None or first else [(_gate(gate), NEWS.get(gate.verdict, "warn"))]
    failed = [cell for cell in cells if cell.status == "failed"]
    done = sum(cell.status == "done" for cell in cells)
    if failed:
        names = sorted({f"{cell.model} under {places.name(cell.symmetry, cell.dataset)}" for cell in failed})
        found.append((f"{len(failed)} of {several(len(cells), 'cell')} failed: {_some(names)}.", "bad"))
    elif done < len(cells):
        found.append((f"{done} of {several(len(cells), 'cell')} measured so far.", "warn"))
    found += _collapsed(frame, places)
    found += _silent(frame, places)
    wrong = [
        f"{row.model} under {places.name(str(row.symmetry), str(row.dataset), str(row.output))}"
        for row in unequal(whole(frame)).itertuples()
    ]
    if wrong:
        found.append((f"{UNEQUAL}: {_some(wrong)}.", "bad"))
    found += [(f"{text}.", "bad") for text in _caused(frame, places)]
    found += [(f"Under {places.name(*each.place)}, {each.model} {each.text}.", "bad") for each in parted]
    broken = _broken(frame, ranked, places)
    if broken:
        found.append((f"Broken far beyond rounding: {_some(broken)}.", "bad"))
    found += _breaks(ranked, places)
    found += _turned(ranked, places)
    exact = _exact(frame, places)
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
    why = (
        f" {failed.metric} of {failed.subject}: {change_of(failed) or facts(failed) or failed.reason}."
        if failed is not None
        else ""
    )
    return f"The gate {said}: {told or 'no rule matched'}.{why}"


def _collapsed(frame: pd.DataFrame, places: Places) -> list[tuple[str, str]]:
    """Who predicts one class only, and who else is no better than chance as it is."""
    one: dict[str, list[str]] = {}
    guessing: dict[tuple[str, str], str] = {}
    mine = whole(frame)
    for (dataset, symmetry, output), rows in mine.groupby(["dataset", "symmetry", "output"], sort=False):
        collapsed, level = chance.one_class(rows), chance.level(rows)
        for model in collapsed:
            one.setdefault(model, []).append(places.name(str(symmetry), str(dataset), str(output)))
        if ((rows["metric"] == OVERLAP) & rows["estimate"].notna()).any():
            continue  # of maps the share that is right is near chance where one class is most of them
        for row in rows[(rows["metric"] == CLEAN) & rows["estimate"].notna()].to_dict("records"):
            if row["model"] not in collapsed and not chance.beaten(row["low"], row["estimate"], level):
                shown = f"{row['model']} on {dataset} ({percent(row['estimate'])} %, chance {percent(level)} %)"
                guessing.setdefault((row["model"], str(dataset)), shown)
    found = []
    if one:
        counts = mine[mine["metric"] == chance.CLASSES]["model"].value_counts()
        named = [m if len(under) == counts[m] else f"{m} under {' and '.join(under)}" for m, under in one.items()]
        found.append((f"Predicts one class only, so that staying the same says nothing: {_some(named)}.", "bad"))
    if guessing:
        found.append((f"Not told from chance as it is: {_some(list(guessing.values()))}.", "bad"))
    return found


def _silent(frame: pd.DataFrame, places: Places) -> list[tuple[str, str]]:
    """Which detectors find no object that counts: nothing of them can change."""
    rows = whole(frame)
    if "remark" not in rows:
        return []
    rows = rows[rows["remark"].astype("string").str.contains(NOTHING_FOUND, regex=False, na=False)]
    found: dict[str, list[str]] = {}
    for row in rows.drop_duplicates(["model", "output", "symmetry", "dataset"]).itertuples():
        found.setdefault(str(row.model), []).append(places.name(str(row.symmetry), str(row.dataset), str(row.output)))
    said = f"Finds no objects as samples are, so that staying the same says nothing: {_some(_each_under(found))}."
    return [(said, "bad")] if found else []


def _breaks(ranked: Sequence[Ranked], places: Places) -> list[tuple[str, str]]:
    """What loses most, and what nothing moves; what is no better than chance has nothing to lose."""
    every = [(row, found) for found in ranked for row in found.rows.to_dict("records")]
    rows = [pair for pair in every if chance.beaten(pair[0][f"{CLEAN}_low"], pair[0][CLEAN], pair[0]["chance"])]
    if not rows:
        return []
    row, found = max(rows, key=lambda pair: pair[0][CLEAN] - pair[0][ORBIT])
    clean, orbit = float(row[CLEAN]), float(row[ORBIT])
    if clean - orbit < 0.005:
        if all(math.isnan(one["chance"]) for one, _ in rows) and len(rows) < len(every):
            return []  # of what is better than chance nothing is known
        who = "No model" if len(rows) == len(every) else "No model that is better than chance"
        return [(f"{who} loses more than half a point of accuracy over any orbit.", "good")]
    doubt = chance.words(row[f"{ORBIT}_low"], orbit, row[f"{ORBIT}_high"], row["chance"])
    text = f"What breaks most is {row['model']} under {places.name(found.symmetry, found.dataset, found.output)}:"
    of = found.of if found.of == "%" else f"{found.of} right"
    text += f" {percent(clean)} {of} as it is, {percent(orbit)} % over the orbit{doubt}."
    return [(text, "bad")]


def _turned(ranked: Sequence[Ranked], places: Places) -> list[tuple[str, str]]:
    """Where the best model as it is is beaten over the orbit, beyond doubt; it led in doubt where intervals meet."""
    changed, beaten = [], []
    for one in ranked:
        clean = one.rows.iloc[int(one.rows[CLEAN].argmax())]
        robust = one.rows.iloc[int(one.rows[ORBIT].argmax())]
        if not clean[f"{ORBIT}_high"] < robust[f"{ORBIT}_low"]:
            continue
        if not chance.beaten(robust[f"{ORBIT}_low"], robust[ORBIT], robust["chance"]):
            continue
        first, second = clean["model"], robust["model"]
        place = places.name(one.symmetry, one.dataset, one.output)
        if robust[f"{CLEAN}_high"] < clean[f"{CLEAN}_low"]:
            changed.append(f"under {place} from {first} to {second}")
        else:
            beaten.append(f"{first} is best as it is and loses to {second} over the orbit, under {place}")
    found = [(f"The best model changes once samples move: {_some(changed, 3)}.", "warn")] if changed else []
    return found + ([(f"{_some(beaten, 3)}.", "warn")] if beaten else [])


def _exact(frame: pd.DataFrame, places: Places) -> list[str]:
    """Each model that is exact somewhere, and where: what holds on one dataset may not hold on another."""
    found: dict[str, list[str]] = {}
    for (dataset, symmetry), group in frame[frame["symmetry"].notna()].groupby(["dataset", "symmetry"], sort=False):
        rows = group[(group["metric"] == EXACTNESS) & group["estimate"].notna()]
        for row in rows[rows["reason"].astype("string").str.startswith("exact", na=False)].itertuples():
            place = places.name(str(symmetry), str(dataset), str(row.output)) + where_exact(group)
            found.setdefault(str(row.model), []).append(place)
    return _each_under(found)


def _broken(frame: pd.DataFrame, ranked: Sequence[Ranked], places: Places) -> list[str]:
    """Each model that is broken somewhere without a known cause, where no loss of accuracy tells of it."""
    told = {(one.symmetry, one.dataset, one.output) for one in ranked}
    rows = frame[(frame["metric"] == EXACTNESS) & frame["reason"].astype("string").str.startswith(NO_CAUSE, na=False)]
    found: dict[str, list[str]] = {}
    for row in rows.drop_duplicates(["model", "output", "symmetry", "dataset"]).itertuples():
        at = str(row.symmetry), str(row.dataset), str(row.output)
        if at not in told:
            found.setdefault(str(row.model), []).append(places.name(*at))
    return _each_under(found)


def _each_under(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Models, each with the first of the places that something is said of."""
    return [f"{model} under {' and '.join(_first(under))}" for model, under in found.items()]


def _first(under: Sequence[str]) -> list[str]:
    rest = len(under) - MOST_PLACES
    return [*under[:MOST_PLACES], *([f"{rest} more"] if rest > 0 else [])]


def _caused(frame: pd.DataFrame, places: Places) -> list[str]:
    """What models that are broken do instead of what is declared: in a sentence each, the first of them."""
    rows = caused(frame).drop_duplicates(["model", "output", "symmetry", "dataset"]).head(MOST_CAUSED)
    return [
        f"{row.model} under {places.name(str(row.symmetry), str(row.dataset), str(row.output))} is broken: {row.why}"
        for row in rows.itertuples()
    ]


def _some(names: Sequence[str], most: int = 6) -> str:
    rest = [f"and {len(names) - most} more"] if len(names) > most else []
    return "; ".join([*names[:most], *rest])
