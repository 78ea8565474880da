"""All runs of a results folder as one: the newest measurement of every cell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from symbench.base.errors import ConfigError, Problem
from symbench.base.records import CellRecord, CellStatus, Manifest
from symbench.measure.store import Store, canonical, read_manifest
from symbench.read.pairing.runs import Recorded, faults

Found = tuple[Manifest, CellStatus, CellRecord]


def together(store: Store, suites: Sequence[str] = ()) -> tuple[Manifest, list[str]]:
    """One manifest of the newest measured cells of all whole runs.

    What has one name in several suites and is not the same keeps its suite's name beside it: models of another
    identity, datasets of another content, symmetries of other elements. Runs with ``--limit`` are left out.

    Args:
        store: the results folder.
        suites: glob patterns; all suites by default.

    Returns:
        The manifest, and what was left out because it cannot be used, a sentence each.

    Raises:
        ConfigError: no run fits, or nothing of them is measured.
    """
    readable, left_out = _all(store)
    manifests = [manifest for manifest in readable if not suites or _fits(manifest, suites)]
    newest: dict[tuple[str, str, str, str], Found] = {}
    for manifest in manifests:
        left_out += [said for said in faults(Recorded(store, manifest)) if said not in left_out]
        for cell in manifest.cells:
            record = store.cell(cell.key) if cell.status == "done" else None
            if record is not None:
                newest.setdefault(
                    (_suite(manifest), cell.model, cell.dataset, cell.symmetry), (manifest, cell, record)
                )
    if not newest:
        said = f" ({' '.join(left_out)})" if left_out else ""
        remedy = "Run 'symbench run SUITE' first."
        raise ConfigError(Problem(str(store.root), f"no measured run here{said}", None, remedy))
    found = list(newest.values())
    named = {kind: _names(found, kind) for kind in ("model", "dataset", "symmetry")}
    cells: dict[tuple[str, ...], CellStatus] = {}
    for manifest, cell, _ in found:
        names = {kind: named[kind][_suite(manifest), getattr(cell, kind)] for kind in named}
        cells.setdefault(tuple(names.values()), cell.model_copy(update=names))  # the newest comes first
    entries = {
        named["model"][_suite(manifest), name]: entry
        for manifest in reversed(manifests)
        for name, entry in manifest.suite.get("models", {}).items()
        if (_suite(manifest), name) in named["model"]
    }
    first = manifests[0]
    whole = first.model_copy(
        update={
            "run": "leaderboard",
            "suite": {"version": 1, "name": "leaderboard", "models": entries},
            "environment": _common([manifest.environment for manifest, _, _ in found]),
            "started": min(manifest.started for manifest, _, _ in found),
            "cells": list(cells.values()),
            "plan": ["/".join(names) for names in cells],
            "gates_at": [],
            "only": [],
            "status": "complete",
        }
    )
    return whole, left_out


def _common(environments: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all runs have in common of their surroundings; what differs is said to."""
    keys = dict.fromkeys(key for environment in environments for key in environment)
    found = {}
    for key in keys:
        values = [environment.get(key) for environment in environments]
        alike = all(value == values[0] for value in values)
        found[key] = values[0] if alike else None if isinstance(values[0], dict) else "several"
    return found


def _all(store: Store) -> tuple[list[Manifest], list[str]]:
    """Every manifest that can be read, the newest first, those of limited runs aside; and why others cannot."""
    found, broken = [], []
    for path in (store.root / "runs").glob("*.json"):
        try:
            manifest = read_manifest(path)
        except ConfigError as error:
            broken.append(str(error))
            continue
        if manifest.limit is None:
            when = manifest.finished or manifest.started
            found.append((when, path.stat().st_mtime_ns, manifest.run, manifest))  # times are in whole seconds
    return [manifest for *_, manifest in sorted(found, key=lambda each: each[:3], reverse=True)], broken


def _fits(manifest: Manifest, suites: Iterable[str]) -> bool:
    return any(fnmatchcase(_suite(manifest), pattern) for pattern in suites)


def _suite(manifest: Manifest) -> str:
    return str(manifest.suite["name"])


def _names(found: Sequence[Found], kind: str) -> dict[tuple[str, str], str]:
    """What each name of each suite is called: itself where it means the same thing everywhere."""
    meanings: dict[str, dict[str, str]] = {}
    for manifest, cell, record in found:
        part = {"model": ("model", "preprocessing", "outputs"), "dataset": ("dataset",), "symmetry": ("symmetry",)}[
            kind
        ]
        meaning = canonical({name: record.identity.get(name) for name in part})
        if kind == "symmetry":  # its values depend on the dataset's shape
            known = json.loads(meaning)["symmetry"] or {}
            known = {name: value for name, value in known.items() if name != "values"}
            # models are ranked under one symmetry, and only within one mode
            meaning = canonical({**known, "mode": (record.identity.get("numerics") or {}).get("mode")})
        meanings.setdefault(getattr(cell, kind), {})[_suite(manifest)] = meaning
    names = {}
    for name, by_suite in meanings.items():
        alike = len(set(by_suite.values())) == 1
        for suite in by_suite:
            names[suite, name] = name if alike else f"{name} ({suite})"
    return names
