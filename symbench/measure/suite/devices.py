"""How a suite names the devices to compute on."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

DEVICE = r"^(auto|(cpu|mps|cuda(:[0-9]+)?)(,(cpu|mps|cuda(:[0-9]+)?))*)$"
IN_WORDS = "auto, cpu, mps, cuda or cuda:N, or several of them"


def _with_commas(devices: object) -> object:
    """A list of devices as the command line has them."""
    if isinstance(devices, list) and all(isinstance(each, str) for each in devices):
        return ",".join(devices)
    return devices.replace(" ", "") if isinstance(devices, str) else devices


Devices = Annotated[str, Field(pattern=DEVICE), BeforeValidator(_with_commas)]
"""One, or several of one kind: a list, or with commas between them, as they are kept."""
