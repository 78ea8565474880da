"""What a machine is doing while something is timed: load and clocks, as far as the system tells."""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

CARD = {
    "sm_mhz": "clocks.sm", "memory_mhz": "clocks.mem", "most_sm_mhz": "clocks.max.sm", "celsius": "temperature.gpu",
    "watts": "power.draw",
}  # fmt: skip
"""What is asked of an accelerator's own tool, and what it calls that."""


def state(device: str) -> dict[str, Any]:
    """Load of the last minute, cores, the processor's clock in MHz, and an accelerator's; null where not known."""
    return {
        "load": load(),
        "cores": os.cpu_count(),
        "processor_mhz": processor_mhz(),
        **({"card": card(device)} if device.startswith("cuda") else {}),
    }


def load() -> float | None:
    """How many processes wanted to run, on average over the last minute."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):  # not on every system
        return None


def processor_mhz(cpuinfo: Path = Path("/proc/cpuinfo")) -> float | None:
    """The median over cores."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return statistics.median(found) if found else None


def card(device: str) -> dict[str, float | None] | None:
    """Clocks, temperature and power of a CUDA device by ``nvidia-smi``; None where there is no such tool."""
    import torch

    name = str(getattr(torch.cuda.get_device_properties(device), "uuid", ""))
    which = ["-i", name if name.startswith("GPU-") else f"GPU-{name}"] if name else []
    query = ["nvidia-smi", f"--query-gpu={','.join(CARD.values())}", "--format=csv,noheader,nounits", *which]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parsed(done.stdout) if done.returncode == 0 else None


def parsed(text: str) -> dict[str, float | None]:
    """The tool's first line as numbers; None for what it does not know, as ``[N/A]``."""
    values = (text.splitlines() or [""])[0].split(",")
    return {name: _number(value) for name, value in zip(CARD, values, strict=False)}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
