"""The figures of one machine as a file: what the hardware is, and for each part when and of what it was measured."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.table import Figure
from symbench.base.environment import commit, describe, device_name, processor

SCHEMA_VERSION = 1
VERSIONS = ("symbench", "torch", "torchvision", "numpy")


@dataclass
class Record:
    """What has been measured on this machine.

    Attributes:
        hardware: device, processor, cores and threads; no names of machines.
        parts: of each part that was measured its figures, the load before and after, versions and commit.
    """

    hardware: dict[str, Any]
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def begun(cls, device: str) -> Record:
        """A record without figures."""
        name = device_name(device)
        what = {"device": name, "processor": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
        return cls(what)

    @contextmanager
    def part(self, name: str) -> Iterator[Callable[[Figure], None]]:
        """Take figures of a part; what came before one that fails is kept."""
        packages, found = describe("cpu")["packages"], list[dict[str, Any]]()
        before = os.getloadavg()[0]
        try:
            yield lambda figure: found.append(figure.document())
        finally:
            self.parts[name] = {
                "load": {"before": before, "after": os.getloadavg()[0]},
                "versions": {"python": platform.python_version(), **{p: packages[p] for p in VERSIONS}},
                "commit": commit(Path(__file__).parent),
                "figures": found,
            }

    def written(self, folder: Path) -> Path:
        """Write the record beside what other parts gave on this hardware; where."""
        device, chip, cores = (self.hardware[key] for key in ("device", "processor", "cores"))
        name = f"{chip if device == 'cpu' else device} {cores} cores"
        path = folder / f"{slug(name)}.json"
        before = json.loads(path.read_text()).get("parts", {}) if path.exists() else {}
        document = {
            "schema_version": SCHEMA_VERSION,
            "hardware": self.hardware,
            "parts": dict(sorted({**before, **self.parts}.items())),
        }
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        return path


def slug(name: str) -> str:
    """A name as part of a file's: ``intel-xeon-processor-2-cores``."""
    plain = re.sub(r"\((r|tm)\)", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
