"""What controls may cost, and which of their sizes they get for it.

Costs are counted in forward passes of one sample in the suite's dtype. Everything is decided from counts and FLOPs
before anything runs, and never by the clock: on any machine of one type of device a cell's controls have the same
sizes to choose from. First each control gets the size that it begins with, in the order of what they tell; what is
left lets them go on, in the same order, where their answer is not clear by then. What one does not need is not passed
on: the size of a control may not hang on the rounding of another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from symbench.measure.suite.controls import Controls

SPEED = {"cpu": 2e10, "cuda": 5e12, "mps": 1e12}
"""FLOP in a second by the type of device: what turns the floor's seconds into a number of passes. Far from the best
that each can do, as single samples and small layers are; other types count as the slowest."""
LEAST, UNKNOWN = 1e7, 1e9
"""FLOP that one pass counts as at least, since calling anything takes time; and where nobody can count them."""
WIDE = {"cpu": 3.5, "cuda": 2.0}
"""What a float64 pass costs beside one in float32, by the type of device. On two CPU cores 3.2 (EfficientNet-B0) to
5.5 (dense convolutions) were measured."""
FORWARD = 3.0
"""What a forward-mode derivative costs beside a pass in the same dtype."""


@dataclass(frozen=True)
class Size:
    """How much of a control is run.

    Attributes:
        samples: on how many.
        elements: under how many; of geometry, how many other sizes of the image are tried.
        passes: what all of it costs, what smaller sizes have run included.
    """

    samples: int
    elements: int
    passes: float


@dataclass(frozen=True)
class Plan:
    """What a control may run, before it runs.

    Attributes:
        name: of the control.
        sizes: from the least that says anything to all that ``controls: full`` runs; empty where it does not apply.
        begin: the number of the size that it begins with where the budget allows it.
        must: whether its least size is run whatever the budget.
        certain: whether it runs in any case, and does not wait for another to find something.
    """

    name: str
    sizes: Sequence[Size]
    begin: int = 0
    must: bool = False
    certain: bool = True


@dataclass(frozen=True)
class Share:
    """What a control got.

    Attributes:
        plan: what it may run.
        sizes: those of its sizes that it runs one after the other, until its answer is clear; none without a budget.
        remedy: the suite's option with which it would get what it lacks.
    """

    plan: Plan
    sizes: Sequence[Size]
    remedy: str


@dataclass(frozen=True)
class Budget:
    """The passes that the controls of a cell may cost.

    Attributes:
        passes: how many.
        own: the cell's own, its samples times its elements, the identity among them.
        full: every control runs its last size at once, whatever it costs.
    """

    passes: float
    own: int
    full: bool = False

    @classmethod
    def of(cls, controls: Controls, own: int, device: str, flops: float | None) -> Budget:
        """Of a cell.

        Args:
            controls: what the suite says.
            own: the cell's own passes.
            device: where it runs, as torch names it.
            flops: of one sample's forward pass; None where they are not known.
        """
        floor = controls.floor
        if isinstance(floor, str):
            speed = SPEED.get(device.partition(":")[0], min(SPEED.values()))
            floor = float(floor.removesuffix("s")) * speed / max(UNKNOWN if flops is None else flops, LEAST)
        return cls(math.inf if controls.full else max(controls.share * own, floor), own, controls.full)

    def shares(self, plans: Sequence[Plan]) -> dict[str, Share]:
        """What each control gets, by its name.

        Args:
            plans: in the order in which the budget is spent.
        """
        if self.full:
            return {plan.name: Share(plan, plan.sizes[-1:], "") for plan in plans}
        plans = [plan for plan in plans if plan.sizes] + [plan for plan in plans if not plan.sizes]
        last, spent = self._begun(plans)
        last = self._grown(plans, last, spent)
        begins = [plan.sizes[plan.begin].passes if plan.sizes else 0.0 for plan in plans]
        found, grown = {}, sum(begins)
        for number, plan in enumerate(plans):
            grown += plan.sizes[-1].passes - begins[number] if plan.sizes else 0.0
            needed = grown if last[number] >= plan.begin else sum(begins[: number + 1])
            sizes = plan.sizes[min(plan.begin, last[number]) : last[number] + 1] if last[number] >= 0 else ()
            found[plan.name] = Share(plan, sizes, self._remedy(needed))
        return found

    def _begun(self, plans: Sequence[Plan]) -> tuple[list[int], float]:
        """The largest size of each control up to the one that it begins with, -1 for none; and what all cost."""
        last, spent = [], 0.0
        for plan in plans:
            number = _largest(plan.sizes[: plan.begin + 1], self.passes - spent)
            last.append(max(number, 0) if plan.must and plan.sizes else number)
            spent += plan.sizes[last[-1]].passes if last[-1] >= 0 else 0.0
        return last, spent

    def _grown(self, plans: Sequence[Plan], last: Sequence[int], spent: float) -> list[int]:
        """How far each may go on with what is left."""
        grown = []
        for plan, number in zip(plans, last, strict=True):
            if number == plan.begin and plan.sizes:
                before = plan.sizes[number].passes
                number = max(number, _largest(plan.sizes, self.passes - spent + before))
                spent += plan.sizes[number].passes - before
            grown.append(number)
        return grown

    def _remedy(self, needed: float) -> str:
        """The option that allows so many passes: a share of two digits, or all of them."""
        share = math.ceil(100 * needed / self.own) / 100
        return f"controls: {{share: {share:g}}}" if share <= 1 else "controls: full"


def _largest(sizes: Sequence[Size], passes: float) -> int:
    """The number of the last size that costs no more; -1 where none does."""
    return max((number for number, size in enumerate(sizes) if size.passes <= passes), default=-1)


def wider(device: str, wide: bool) -> float:
    """What a float64 pass costs in passes of the suite's dtype; 1 where that is float64 itself."""
    return 1.0 if wide else WIDE.get(device.partition(":")[0], max(WIDE.values()))
