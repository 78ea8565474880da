"""Whether outputs are finite: noted as they come and asked for once, so that a device is not waited for each time."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from symbench.base.errors import ModelError, Problem


@dataclass
class Finite:
    """What has been seen of a model's outputs.

    Attributes:
        model: its name, for messages.
        seen: how many inputs each output has been looked at for.
        bad: of how many of these it was NaN or infinite, on the device.
        vast: whether a square of an output overflowed, on the device.
    """

    model: str
    seen: dict[str, int] = field(default_factory=dict)
    bad: dict[str, Tensor] = field(default_factory=dict)
    vast: dict[str, Tensor] = field(default_factory=dict)

    def look(self, name: str, value: Tensor) -> None:
        """Look at an output ``(n, ...)``."""
        bad = (~torch.isfinite(value)).reshape(len(value), -1).any(1).sum()
        self.bad[name] = self.bad[name] + bad if name in self.bad else bad
        self.seen[name] = self.seen.get(name, 0) + len(value)

    def square(self, name: str, squares: Tensor) -> None:
        """Look at squares of what an output was compared with."""
        vast = ~torch.isfinite(squares).all()
        self.vast[name] = self.vast[name] | vast if name in self.vast else vast

    def settle(self) -> None:
        """Refuse what was seen, if any of it was not finite.

        Raises:
            ModelError: with the output, and for how many inputs.
        """
        for name, count in self.bad.items():
            bad = int(count)
            if bad:
                got = f"output {name!r} is NaN or infinite for {bad} of {self.seen[name]} inputs"
                raise ModelError(Problem(self.model, got, "finite numbers"))
        for name, vast in self.vast.items():
            if bool(vast):
                got = f"output {name!r} is so large that its square overflows"
                raise ModelError(Problem(self.model, got, "outputs below 1e150"))
