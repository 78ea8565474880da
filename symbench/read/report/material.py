"""What a report is made from: one run, or several under names that tell them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from string import ascii_uppercase
from typing import Any

import pandas as pd

from symbench.algebra.groups import built_in_family
from symbench.algebra.metrics import Metrics
from symbench.algebra.metrics.brought import of_manifest
from symbench.base.records import CellRecord, CellStatus, ElementRecord, Manifest
from symbench.measure.store import Store
from symbench.read.report.outputs import first_trainings, piece, side_by_side
from symbench.read.report.partly import at_the_edge, stepped
from symbench.read.report.pieces import Parted, groups_of, parted
from symbench.read.report.scene import Elements, Measured, Scene, Spot, scenes
from symbench.read.studies import Answer, answers


@dataclass(frozen=True)
class Part:
    """One run of a report.

    Attributes:
        store: holds its cells.
        manifest: itself.
        frame: its estimates.
        letter: A for the first of several; empty for the only one.
        names: what its models are called in the report; those that are a later training of one are left out.
    """

    store: Store
    manifest: Manifest
    frame: pd.DataFrame
    letter: str
    names: dict[str, str]


@dataclass(frozen=True)
class Material:
    """The runs of a report, and what follows from them.

    Attributes:
        parts: the runs.
        frame: all estimates, models by their names in the report.
        models: these names, in the order of the suites.
        cells: every cell, models by their names in the report.
        metrics: that may be shown, those among them that the suites bring as code.
    """

    parts: list[Part]
    frame: pd.DataFrame
    models: list[str]
    cells: list[CellStatus]
    metrics: Metrics

    @cached_property
    def answers(self) -> list[Answer]:
        """What the studies of the runs' suites came to."""
        return [each for part in self.parts for each in answers(part.store, part.manifest, self.metrics)]

    @cached_property
    def groups(self) -> dict[str, str]:
        """The group of every symmetry, by its name."""
        return {name: group for part in self.parts for name, group in groups_of(part.manifest).items()}

    @cached_property
    def parted(self) -> list[Parted]:
        """The models that respect some elements of a group alone, or the inside of the frame."""
        return [*parted(self.frame, self.groups), *stepped(self.frame, self.elements()), *at_the_edge(self.frame)]

    @cached_property
    def shown(self) -> pd.DataFrame:
        """The estimates as tables and figures show them."""
        return side_by_side(self.frame)

    @property
    def recipes(self) -> dict[str, str]:
        """How each model was trained, in words; models that came with weights are left out."""
        found = {}
        for part in self.parts:
            for model, entry in part.manifest.suite.get("models", {}).items():
                recipe = entry.get("train") if isinstance(entry, dict) else None
                if recipe and model in part.names:
                    found[part.names[model]] = _in_words(recipe)
        return found

    @property
    def built(self) -> dict[str, str]:
        """The width that a budget chose for each model, and the symmetry that it is wrapped by, in words."""
        found = {}
        for part in self.parts:
            for model, entry in part.manifest.suite.get("models", {}).items():
                words = _built(entry) if isinstance(entry, dict) and model in part.names else ""
                if words:
                    found[part.names[model]] = words
        return found

    def scenes(self) -> Iterator[Scene]:
        """What figures are drawn from."""
        return scenes(self.shown, self.elements(), self.models, self.metrics, self.measured())

    def measured(self) -> dict[Spot, list[Measured]]:
        """The cells of every symmetry on every dataset, a model once."""
        found: dict[Spot, list[Measured]] = {}
        for part in self.parts:
            for cell in (
                cell for cell in part.manifest.cells if cell.model in part.names and cell.status != "failed"
            ):
                there = found.setdefault((cell.symmetry, cell.dataset), [])
                name = part.names[cell.model]
                if all(each.model != name for each in there):
                    there.append(Measured(name, part.store, cell.key))
        return found

    def elements(self) -> dict[Spot, Elements]:
        """The elements of every symmetry on every dataset, those of all runs together."""
        found: dict[Spot, Elements] = {}
        for part in self.parts:
            seen = set()
            for cell in part.manifest.cells:
                place = (cell.symmetry, cell.dataset)
                record = part.store.cell(cell.key) if cell.status != "failed" and place not in seen else None
                if record is None:
                    continue
                seen.add(place)
                strata = {e.stratum for e in record.elements if e.stratum is not None}
                for stratum in (None, *sorted(strata)):
                    spot = place if stratum is None else (piece(place[0], stratum), place[1])
                    rows = pd.DataFrame(
                        [
                            {"element": e.label, "kind": e.kind, "size": e.size, **_piece_of(e), **e.parameters}
                            for e in record.elements
                            if stratum is None or e.stratum == stratum
                        ]
                    )
                    first = found.get(spot, Elements(rows, record.size_unit, family_of(record)))
                    rows = pd.concat([first.rows, rows]).drop_duplicates("element", ignore_index=True)
                    found[spot] = replace(first, rows=rows)
        return found


def _piece_of(element: ElementRecord) -> dict[str, str]:
    return {} if element.stratum is None else {"piece": element.stratum}


def _in_words(recipe: Mapping[str, Any]) -> str:
    """How a model was trained: ``15 epochs on 300 of digits, rotations of 50%, softened by turns``."""
    long = f"{recipe['steps']} steps" if "steps" in recipe else f"{recipe.get('epochs', '?')} epochs"
    long = "least squares" if recipe.get("optimiser") == "least-squares" else long
    some = f"{recipe['samples']} of " if "samples" in recipe else ""
    text = f"{long} on {some}{recipe.get('on', '?')}"
    augment, soften = recipe.get("augment"), recipe.get("soften")
    if isinstance(augment, Mapping) and augment.get("every"):
        text += f", all of {augment['symmetry']}"
    elif isinstance(augment, Mapping):
        text += f", {augment['symmetry']} of {augment['share']:.0%}"
    elif augment:
        text += f", {augment}"
    if recipe.get("self_supervised"):
        views = recipe["self_supervised"]["views"]
        text += f", without labels by views of {views['symmetry'] if isinstance(views, Mapping) else views}"
    text += f", softened by {soften['symmetry']}" if soften else ""
    if weights := recipe.get("loss_weights"):
        text += f", losses of {' and '.join(f'{name} times {weight:g}' for name, weight in weights.items())}"
    text += f", {recipe['dice']:g} times the Dice loss" if "dice" in recipe else ""
    return f"{text}, {recipe['together']} replicas together" if "together" in recipe else text


def _built(entry: Mapping[str, Any]) -> str:
    said = [
        f"width {entry.get('width', '?')} of a budget of {count:,.0f} {unit}"
        for unit, count in (entry.get("budget") or {}).items()
    ]
    ways = {"average": "averaged over", "canonicalise": "canonicalised by"}
    said += [f"{words} {entry[key]}" for key, words in ways.items() if entry.get(key)]
    if probe := entry.get("linear_probe"):
        said.append(
            f"linear probe of {'' if 'samples' not in probe else str(probe['samples']) + ' of '}{probe['on']}"
        )
    return ", ".join(said)


def family_of(record: CellRecord) -> str | None:
    """The family of the group that a cell is about; of older cells by the group's name, where it is one of ours."""
    if record.family is not None:
        return record.family
    group = (record.identity.get("symmetry") or {}).get("group")
    return built_in_family(group) if isinstance(group, str) else None


def letter_of(number: int) -> str:
    """A, B, C for the first, second and third of several runs; after Z they have numbers."""
    return ascii_uppercase[number] if number < len(ascii_uppercase) else str(number + 1)


def of(runs: Sequence[tuple[Store, Manifest, pd.DataFrame]], metrics: Metrics | None = None) -> Material:
    """Put runs together. A model that is the same in all runs that have it, cell by cell, is there once.

    Args:
        runs: each with its estimates.
        metrics: that may be shown; by default all that there are, and those that the suites bring.
    """
    known = metrics
    if known is None:
        known = {name: row for store, run, _ in runs for name, row in of_manifest(run, store.root).items()}
    letters = [letter_of(i) for i in range(len(runs))] if len(runs) > 1 else [""]
    keys: dict[str, list[frozenset[tuple[str, str, str]]]] = {}
    for _, manifest, _ in runs:
        for model in dict.fromkeys(cell.model for cell in manifest.cells):
            mine = frozenset((c.dataset, c.symmetry, c.key) for c in manifest.cells if c.model == model)
            keys.setdefault(model, []).append(mine)
    same = {model for model, sets in keys.items() if len(runs) == 1 or (len(sets) > 1 and len(set(sets)) == 1)}
    parts, frames, cells, taken = [], [], [], set()
    for letter, (store, manifest, frame) in zip(letters, runs, strict=True):
        later = set(frame["model"]) - set(first_trainings(frame)["model"])
        models = dict.fromkeys(cell.model for cell in manifest.cells if cell.model not in later)
        names = {model: model if model in same else f"{model} ({letter})" for model in models}
        fresh = {model for model, name in names.items() if name not in taken}
        taken |= set(names.values())
        parts.append(Part(store, manifest, frame, letter, names))
        kept = frame[frame["model"].isin(fresh)]
        frames.append(kept.assign(model=kept["model"].map(names)) if len(runs) > 1 else frame)
        cells += [
            cell.model_copy(update={"model": names.get(cell.model, cell.model)})
            for cell in manifest.cells
            if cell.model in fresh | later
        ]
    together = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    shown = list(dict.fromkeys(name for part in parts for name in part.names.values()))
    return Material(parts, together, shown, cells, known)
