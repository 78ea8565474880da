"""Throughput passes in full: every batch size with its percentiles, and the machines that took them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symbench.base.errors import ConfigError
from symbench.base.passes import PassRecord, TimedBatch
from symbench.base.records import Manifest
from symbench.measure.store import Store
from symbench.read import estimates
from symbench.read.numbers import rate, seconds
from symbench.read.report.material import Material, Part
from symbench.read.report.sheets import Entry, Group, Line, Sheet

COLUMNS = ["model", "batch", "samples per second", "p50", "p90", "p99", "forward passes", "passes"]
PLAIN = {"cpu": "the processor"}


def document(store: Store, manifest: Manifest) -> list[dict[str, Any]]:
    """Every pass of a run as plain data, without what it is identified by; one that failed has its reason."""
    found = []
    for status in manifest.passes:
        known: dict[str, Any] = status.model_dump()
        if status.file is not None:
            try:
                record = store.pass_of(status.key, status.file)
                own = record.model_dump(mode="json", exclude={"identity", "digest", "model", "dataset", "key"})
                known |= own
            except ConfigError as error:
                known |= {"status": "failed", "reason": str(error)}
        found.append(known)
    return found


def sheet(material: Material) -> Sheet | None:
    """A table of every batch size that was timed, a group for each dataset of each run; None without passes."""
    groups, data = [], []
    for part in material.parts:
        datasets = dict.fromkeys(status.dataset for status in part.manifest.passes)
        for dataset in datasets:
            lines, machines_of = [], dict[str, None]()
            for model, records in _models(part, dataset):
                machines_of |= {machines(records): None}
                for name, several in _sizes(records).items():
                    row = _row(several)
                    shown = part.names.get(model, model)
                    place = material.models.index(shown) if shown in material.models else None
                    lines.append(Line(shown, _entries(name, row), place))
                    data.append({"model": shown, "dataset": dataset, "timed": name, **row})
            title = f"{dataset}, run {part.letter}" if part.letter else dataset
            groups.append(Group(title, lines, ". ".join(machines_of)))
    if not data:
        return None
    return Sheet("forward-passes", "forward passes by batch size", COLUMNS, groups, data)


def _models(part: Part, dataset: str) -> Iterator[tuple[str, Sequence[PassRecord]]]:
    """The models that were timed on a dataset, each with the passes that its estimates are made from."""
    for model in dict.fromkeys(status.model for status in part.manifest.passes if status.dataset == dataset):
        found = estimates.taken(part.store, part.manifest.passes, model, dataset)
        if found.records:
            yield model, found.records


def _sizes(records: Sequence[PassRecord]) -> dict[str, list[TimedBatch]]:
    """The batches of some passes by what they are called: the headline's, single samples, the sweep's."""
    found: dict[str, list[TimedBatch]] = {}
    for record in records:
        found.setdefault("headline", []).append(record.throughput)
        if record.latency is not None:
            found.setdefault("single samples", []).append(record.latency)
        for each in record.sweep:
            found.setdefault(f"sweep, {each.batch}", []).append(each)
    return found


def _row(several: Sequence[TimedBatch]) -> dict[str, float | int]:
    """One batch size over passes: means of their medians and percentiles, in seconds for one forward pass."""
    batch = several[-1].batch
    p50, p90, p99 = (float(np.mean([getattr(one, name) for one in several])) for name in ("median", "p90", "p99"))
    speed = float(np.mean([batch / one.median for one in several]))
    count = sum(one.iterations for one in several)
    times = {"p50_seconds": p50, "p90_seconds": p90, "p99_seconds": p99}
    return {"batch": batch, "samples_per_second": speed, **times, "iterations": count, "passes": len(several)}


def _entries(name: str, row: Mapping[str, float | int]) -> list[Entry]:
    times = [row[f"{each}_seconds"] for each in ("p50", "p90", "p99")]
    return [
        Entry(f"{row['batch']:,}", name.partition(",")[0], order=row["batch"]),
        Entry(rate(row["samples_per_second"]), order=row["samples_per_second"]),
        *(Entry(seconds(value), order=value) for value in times),
        *(Entry(f"{row[key]:,}", order=row[key]) for key in ("iterations", "passes")),
    ]


def machines(records: Sequence[PassRecord]) -> str:
    """What took some passes, and what it was doing: ``cpu, Xeon, 2 threads, 2,100 MHz; 09:30, load 0.4 to 1.9``."""
    newest = records[-1]
    known, after = newest.environment, newest.after
    parts = [str(known[name]) for name in ("device", "processor") if known.get(name)]
    parts += [f"{known['threads']} thread{'s' * (known['threads'] > 1)}"] if known.get("threads") else []
    parts += [f"{after['processor_mhz']:,.0f} MHz"] if after.get("processor_mhz") else []
    card = after.get("card") or {}
    if card.get("sm_mhz"):
        most = f" of {card['most_sm_mhz']:,.0f}" if card.get("most_sm_mhz") else ""
        parts.append(f"accelerator at {card['sm_mhz']:,.0f}{most} MHz")
    return "; ".join([", ".join(parts), *map(_when, records)])


def _when(record: PassRecord) -> str:
    """When a pass was, and the load around it."""
    loads = [each["load"] for each in (record.before, record.after) if each.get("load") is not None]
    load = f", load {loads[0]:.1f} to {loads[1]:.1f} on {record.before.get('cores')} cores" if len(loads) == 2 else ""
    return record.started[:16].replace("T", " ") + load


def summary(material: Material) -> list[str]:
    """A sentence for each dataset: which model is fastest at the suite's batch size, and which slowest."""
    speeds: dict[tuple[str, str], dict[str, tuple[float, int, bool]]] = {}
    for part in material.parts:
        for dataset in dict.fromkeys(status.dataset for status in part.manifest.passes):
            for model, records in _models(part, dataset):
                row = _row([record.throughput for record in records])
                device = str(records[-1].environment.get("device"))
                noisy = any(record.remarks for record in records)
                mine = speeds.setdefault((dataset, PLAIN.get(device, device)), {})
                mine[part.names.get(model, model)] = (row["samples_per_second"], int(row["batch"]), noisy)
    return [_fastest(dataset, device, models) for (dataset, device), models in speeds.items()]


def _fastest(dataset: str, device: str, models: Mapping[str, tuple[float, int, bool]]) -> str:
    ranked = sorted(models, key=lambda model: models[model][0], reverse=True)
    first, last = ranked[0], ranked[-1]
    text = f"On {dataset}, {first} takes {rate(models[first][0])} samples per second on {device}"
    if len(ranked) > 1:
        text += f", {last} {rate(models[last][0])}"
    sizes = sorted({batch for _, batch, _ in models.values()})
    doubt = "; some passes are doubtful, see Cost" if any(noisy for *_, noisy in models.values()) else ""
    return f"{text} (batches of {' and '.join(map(str, sizes))}{doubt})."
