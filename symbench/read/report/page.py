"""The report as one HTML page that needs nothing else: no network, no files beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from importlib import resources
from types import SimpleNamespace
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from symbench.algebra.metrics import MetricRow, Metrics, shown_in
from symbench.base.escape import csv_safe
from symbench.base.records import CompareRecord, GateRecord
from symbench.read.estimates import NOT_YET
from symbench.read.gate.words import sentence, waits
from symbench.read.numbers import scientific
from symbench.read.report import chance, classes, faults, gallery, headlines, pairs, ranks, sheets, speed, tables
from symbench.read.report.drawing import STUDIES, TRAINING, Drawn
from symbench.read.report.figures import FigureRow, in_order
from symbench.read.report.inline import Inliner
from symbench.read.report.material import Material, letter_of
from symbench.read.report.pieces import with_parted
from symbench.read.report.ranks import CLEAN, ORBIT
from symbench.read.report.sheets import Entry, Sheet
from symbench.read.report.style import GLYPHS
from symbench.read.report.tables import Board
from symbench.read.studies import Answer
from symbench.read.studies.sheet import sheet

SHORT = {
    "level", "replica", "better", "status", "reason", "n", "k", "unit", "floor", "output", "weight", "elements",
    "chance",
}  # fmt: skip
"""Columns that a figure's data in the page does without."""
WALLS_OPEN = 30


def figure_sections() -> dict[str, FigureRow]:
    """The sections that hold nothing but figures, each with the first row that names it."""
    found: dict[str, FigureRow] = {}
    for _, row in in_order():
        if row.section not in BEFORE | AFTER:
            found.setdefault(row.section, row)
    return found


BEFORE = {
    "summary": "Summary",
    STUDIES: "Studies",
    "comparison-0": "Comparison",
    "leaderboard": "Leaderboard",
    "robustness": "Ranks",
    "classes": "Classes",
}
AFTER = {
    "attribution": "Whose fault", "gallery": "Gallery", TRAINING: "Training", "cost": "Cost", "gate": "Gate",
    "failed": "Failures", "provenance": "Provenance",
}  # fmt: skip
"""What the page may have before and after the sections of figures, in its order: id and heading."""


def render(
    material: Material, drawn: Sequence[Drawn], gate: GateRecord | None, comparisons: Sequence[CompareRecord]
) -> str:
    """The page.

    Args:
        material: the runs.
        drawn: their figures, with SVG.
        gate: what a gate decided, if one was asked.
        comparisons: of later runs with the first.
    """
    frame, models = material.shown, material.models
    boards = with_parted(tables.boards(frame, material.metrics), material.parted)
    ranked = ranks.of(tables.whole(frame))
    attribution = sheets.of_boards("attribution-table", "attribution", faults.boards(frame), models)
    by_class = sheets.of_boards("classes-table", "classes", classes.boards(frame, material.metrics), models)
    walls = gallery.walls([(part.store, part.manifest, part.names) for part in material.parts])
    failed = [(c.model, c.dataset, c.symmetry, c.reason or "") for c in material.cells if c.status == "failed"]
    filled, own = {figure.section for figure in drawn}, figure_sections()
    there = {
        "comparison-0": comparisons, "robustness": ranked, "classes": by_class,
        "attribution": attribution or "attribution" in filled, "gallery": walls, "studies": material.answers,
        "gate": gate, "failed": failed,
        **{name: name in filled for name in (TRAINING, *own)},
    }  # fmt: skip
    sections = BEFORE | {name: row.heading for name, row in own.items()} | AFTER
    present = {name: heading for name, heading in sections.items() if there.get(name, True)}
    inliner = Inliner()
    figures = [_figure(figure, inliner) for figure in drawn]
    script, css = (_asset(name) for name in ("page.js", "page.css"))
    return _environment().get_template("page.html.j2").render(
        title=" and ".join(dict.fromkeys(str(part.manifest.suite["name"]) for part in material.parts)),
        runs=[_run(part.letter, part.manifest) for part in material.parts],
        models=models,
        sections=list(present.items()),
        section_ids=present,
        headlines=[
            *((_summary(number, record) + ".", _tone(record)) for number, record in enumerate(comparisons)),
            *headlines.of(material.cells, frame, boards, ranked, gate, material.parted),
            *((sentence, "") for sentence in speed.summary(material)),
        ],
        glance=glance(boards, models, material.metrics),
        comparisons=[_comparison(number, record) for number, record in enumerate(comparisons)],
        studies=studied(material.answers, figures),
        leaderboard=sheets.leaderboard(boards, models),
        choices={
            "symmetry": list(dict.fromkeys(board.place[0] for board in boards)),
            "dataset": list(dict.fromkeys(board.place[1] for board in boards)),
        },
        ranks=sheets.ranking(ranked, models),
        figures=figures,
        figure_sections=own,
        faults=attribution,
        by_class=by_class,
        walls=_by_place(walls),
        walls_open=len(walls) <= WALLS_OPEN,
        any_drawn=any(each.drawn for wall in walls for each in wall.samples),
        costs=costs(frame, material),
        speed=speed.sheet(material),
        gate=None if gate is None else _gate(gate),
        failed=sheets.plain("failed-cells", "failed cells", ["model", "dataset", "symmetry", "reason"], failed),
        provenance=provenance(material),
        cells=sheets.plain(
            "cells", "cells", ["model", "dataset", "symmetry", "status", "key"],
            [(c.model, c.dataset, c.symmetry, c.status, c.key) for c in material.cells], "status",
        ),
        inliner=inliner,
        css=Markup(css),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )  # fmt: skip


def studied(answers: Sequence[Answer], figures: Sequence[dict[str, Any]]) -> list[SimpleNamespace]:
    """Each answer with its figure, where it has one, and its table."""
    drawn = {figure["name"]: figure for figure in figures if figure["section"] == STUDIES}
    found = []
    for number, answer in enumerate(answers):
        heads, texts = sheet(answer)
        table = sheets.plain(f"study-table-{number}", answer.title, heads, texts) if texts else None
        found.append(
            SimpleNamespace(title=answer.title, text=answer.text, figure=drawn.get(f"study.{number}"), sheet=table)
        )
    return found


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("symbench.read", "report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )  # fmt: skip
    environment.globals["glyph"] = lambda model: GLYPHS[model % len(GLYPHS)]
    return environment


def _asset(name: str) -> str:
    return resources.files("symbench.read.report").joinpath("assets", name).read_text(encoding="utf-8")


def _run(letter: str, manifest: Any) -> dict[str, Any]:
    suite = json.dumps(manifest.suite, indent=1, ensure_ascii=False)
    return {"letter": letter, "run": manifest.run, "status": manifest.status, "limit": manifest.limit, "suite": suite}


def _figure(figure: Drawn, inliner: Inliner) -> dict[str, Any]:
    data = figure.data[[name for name in figure.data.columns if name not in SHORT]]
    csv = csv_safe(data).to_csv(index=False, float_format="%.6g")
    return {
        "section": figure.section, "title": figure.title, "name": figure.name,
        "svg": inliner(figure.svg, figure.alt),
        "csv": f"data:text/csv;charset=utf-8;base64,{base64.b64encode(csv.encode()).decode()}",
    }  # fmt: skip


def glance(boards: Sequence[Board], models: Sequence[str], metrics: Metrics | None = None) -> SimpleNamespace:
    """One number for each model and symmetry: accuracy over the orbit, else consistency, recall at 1 or E.

    A bar's first value is how much is lost, between 0 and 1.
    """
    known: dict[tuple[str, str], Entry] = {}
    several = len({board.place[1:] for board in boards}) > 1
    repeated = len({board.place[0] for board in boards}) < len(boards)
    columns, shown, glanced = [], set(), shown_in("glance", metrics)
    for board in boards:
        heading = board.title if several and repeated else board.place[0]
        metric = next((m for m in glanced if m in board.metrics), None)
        columns.append(heading)
        shown |= {metric} - {None}
        for name, why in board.failed:
            planned = why == NOT_YET
            known[name, heading] = Entry("not yet") if planned else Entry("failed", tone="none")
        for name, cells in board.rows:
            values = dict(zip(board.metrics, cells, strict=True))
            if metric is not None and values[metric].estimate is not None:
                text = values[metric].value + _doubt(board, name, values[metric], metric)
                nothing = name in board.collapsed or _guessed(board, values.get(CLEAN))  # to lose
                bar = None if nothing else (_lost(values, metric, glanced[metric]), 0.0, 0.0)
                known[name, heading] = Entry(text, order=values[metric].estimate, bar=bar)
    rows = [(name, [known.get((name, heading), Entry("–")) for heading in columns]) for name in models]
    note = " or ".join(row.label or row.heading or name for name, row in glanced.items() if name in shown)
    data: list[dict[str, Any]] = [
        {"model": name} | {heading: entry.order for heading, entry in zip(columns, entries, strict=True)}
        for name, entries in rows
    ]
    sheet = Sheet("glance", "what is left once samples move", ["model", *columns], [], data)
    return SimpleNamespace(columns=columns, rows=rows if columns else [], note=note, sheet=sheet)


def _doubt(board: Board, name: str, cell: tables.Cell, metric: str) -> str:
    """What keeps a number from being good news: the model predicts one class only, or chance would do as well."""
    if name in board.collapsed:
        return " (one class)"
    return " (chance)" if metric == ORBIT and _guessed(board, cell) else ""


def _guessed(board: Board, cell: tables.Cell | None) -> bool:
    """Whether an accuracy is no better than chance."""
    if cell is None or cell.estimate is None:
        return False
    return not chance.beaten(math.nan if cell.low is None else cell.low, cell.estimate, board.chance)


def _lost(values: dict[str, tables.Cell], metric: str, row: MetricRow) -> float:
    """How much is lost, from 0 to 1: of the accuracy as it is, or of the most that there can be."""
    value = values[metric].estimate or 0.0
    if row.better == "lower":
        return min(max(value, 0.0), 1.0)
    whole = (values[CLEAN].estimate or 0.0) if metric == ORBIT else row.limits[1] or 1.0
    return min(max(whole - value, 0.0), 1.0)


def costs(frame: pd.DataFrame, material: Material) -> Sheet:
    """What each model costs, training included."""
    board = tables.costs(frame, material.metrics)
    words = {"trained": material.recipes, "built": material.built}
    texts = {heading: known for heading, known in words.items() if known or heading == "trained"}
    columns = ["model", *board.columns[1:], *texts]
    lines, data = [], []
    for name, cells in board.rows:
        entries = [sheets.entry(cell, row) for cell, row in zip(cells, board.metrics.values(), strict=True)]
        said = {heading: known.get(name, "") for heading, known in texts.items()}
        entries += [Entry(text or "–", order=text) for text in said.values()]
        lines.append(sheets.Line(name, entries, material.models.index(name)))
        numbers = {metric: cell.estimate for metric, cell in zip(board.metrics, cells, strict=True)}
        data.append({"model": name, **numbers, **said})
    return Sheet("costs", "costs", columns, [sheets.Group("", lines, ". ".join(board.verdicts), board.note)], data)


def _gate(gate: GateRecord) -> dict[str, Any]:
    columns = ["verdict", "rule", "about", "estimate", "reason", "where"]
    rows = [
        (
            rule.verdict, rule.name, rule.subject, "–" if rule.estimate is None else scientific(rule.estimate),
            "; ".join([sentence(rule), *rule.happened]), rule.where or "",
        )
        for rule in gate.rules
    ]  # fmt: skip
    orders = [(*row[:3], rule.estimate, *row[4:]) for row, rule in zip(rows, gate.rules, strict=True)]
    sheet = sheets.plain("gate-rules", "gate verdicts", columns, rows, orders=orders)
    tone = sheets.TONES.get(gate.verdict, "warn")
    lines = [_toned(line) for line in sheet.groups[0].lines]
    sheet = Sheet(
        sheet.id, sheet.title, columns, [sheets.Group("", lines)],
        [rule.model_dump(mode="json") for rule in gate.rules], numbers=False,
    )  # fmt: skip
    return {
        "verdict": "no baseline yet" if waits(gate) else gate.verdict, "tone": tone, "baseline": gate.baseline,
        "exit_code": gate.exit_code, "notes": gate.notes, "sheet": sheet,
    }  # fmt: skip


def _toned(line: sheets.Line) -> sheets.Line:
    return sheets.Line(line.name, line.entries, tone=sheets.TONES.get(line.name, ""))


def _comparison(number: int, record: CompareRecord) -> dict[str, Any]:
    """A table of two runs, the later one under its own letter."""
    ordered, letter = pairs.ordered(record), letter_of(number + 1)
    columns, texts = pairs.headings(letter), [pairs.cells(row, letter) for row in ordered]
    orders = [
        (*text[:3], row.before, row.after, row.difference, row.p_adjusted, text[7])
        for text, row in zip(texts, ordered, strict=True)
    ]
    sheet = sheets.plain(f"comparison-{number}", "comparison", columns, texts, orders=orders)
    lines = [_toned(line) for line in sheet.groups[0].lines]
    data = [row.model_dump(mode="json") for row in ordered]
    sheet = Sheet(sheet.id, sheet.title, sheet.columns, [sheets.Group("", lines)], data, numbers=False)
    return {"title": f"A and {letter}", "summary": _summary(number, record), "sheet": sheet}


def _summary(number: int, record: CompareRecord) -> str:
    return pairs.summary(record, letter_of(number + 1))


def _tone(record: CompareRecord) -> str:
    marks = {row.mark for row in record.rows}
    return "bad" if "worse" in marks else "good" if "better" in marks else ""


def _by_place(walls: Sequence[gallery.Wall]) -> list[tuple[str, list[gallery.Wall]]]:
    places: dict[str, list[gallery.Wall]] = {}
    for wall in walls:
        places.setdefault(f"{wall.symmetry} on {wall.dataset}", []).append(wall)
    return list(places.items())


def provenance(material: Material) -> Sheet:
    """Where and when each run took place, with what."""
    facts: dict[str, list[str]] = {}
    for part in material.parts:
        manifest, environment = part.manifest, part.manifest.environment
        commit = environment.get("commit") or {}
        mine: dict[str, Any] = {
            "run": manifest.run, "status": manifest.status, "started": manifest.started,
            "finished": manifest.finished or "not yet", "cells": len(manifest.cells),
            "only": ", ".join(manifest.only), "limit": manifest.limit, "seed": manifest.suite.get("seed"),
            "device": environment.get("device"),
            "processor": environment.get("processor"), "threads": environment.get("threads"),
            "platform": environment.get("platform"), "python": environment.get("python"),
            "commit": f"{commit.get('id', '')}{' with changes' if commit.get('dirty') else ''}",
            **dict(sorted((environment.get("packages") or {}).items())),
        }  # fmt: skip
        for name, value in mine.items():
            facts.setdefault(name, [""] * len(material.parts))[material.parts.index(part)] = (
                "" if value is None else str(value)
            )
    rows = [(name, *values) for name, values in facts.items() if any(values)]
    headings = [part.letter or "value" for part in material.parts]
    return sheets.plain("provenance-table", "provenance", ["fact", *headings], rows)
