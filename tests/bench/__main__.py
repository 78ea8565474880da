"""What symbench costs, side by side with doing without it, in one run: ``make bench``. Ratios, not seconds, count.

``python -m bench [PART ...] [--device cuda] [--quick]`` measures some parts, each a file beside this one; a GPU adds the
part that needs one. Every figure is printed with the least, the median and the most of its rounds, and all of them are
written to ``results/bench/<hardware>.json``, where parts that were not measured stay as they were.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

from bench.record import Record
from bench.table import Figure, show
from symbench.base.environment import pick_device

PARTS = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef figures(" in path.read_text())
ON_A_DEVICE = {"gpu"}
"""Parts that are left out on a processor unless they are named."""
RESULTS = Path(__file__).parents[2] / "results" / "bench"


def measured(part: str, device: str, *, quick: bool) -> Iterator[Figure]:
    """What a part measures, told of the device and of the hurry where it asks for them."""
    measure = importlib.import_module(f"bench.{part}").figures
    takes = inspect.signature(measure).parameters
    found: Iterator[Figure] = measure(
        **{name: value for name, value in (("device", device), ("quick", quick)) if name in takes}
    )
    return found


def main() -> None:
    """Measure the parts that are asked for."""
    asked = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all by default")
    asked.add_argument("--device", default="auto", help="where the part gpu runs: auto, cpu or cuda")
    asked.add_argument("--quick", action="store_true", help="small cases, to see that it works; nothing is written")
    asked.add_argument("--results", type=Path, default=RESULTS, help="where the figures are written")
    given = asked.parse_args()
    unknown = sorted(set(given.parts) - set(PARTS))
    if unknown:
        asked.error(f"got {unknown[0]!r}, expected one of {', '.join(PARTS)}")
    device = pick_device(given.device, where="--device")
    usual = [part for part in PARTS if part not in ON_A_DEVICE or device != "cpu"]
    record = Record.begun(device)
    for part in given.parts or usual:
        with record.part(part) as add:
            for figure in show(measured(part, device, quick=given.quick)):
                add(figure)
    if not given.quick:
        print(record.written(given.results))


if __name__ == "__main__":
    main()
