"""Replicas that are trained together: a step of all of them is one pass of their networks and one of the optimiser.

Everything else is each replica's own, and what it would be if it were trained alone: samples, batches and their
order, elements, loss, validation, curve and end. One that has ended or failed stays in the pass, so that the rounding
of the others does not depend on it, and is no longer looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symbench.base.identity import Reads
from symbench.measure.assemble import origin_document
from symbench.measure.objective import Objective
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import Suite
from symbench.measure.training.augment import Tensors, shown_under
from symbench.measure.training.optimiser import optimiser_of, schedule_of
from symbench.measure.training.partial import Session
from symbench.measure.training.setting import Setting, objective_of, setting_of
from symbench.measure.training.stack import Stack, refusal
from symbench.measure.training.steps import Training, check_finite, failing

OF_A_MODULE = frozenset({"state", "attributes"})
"""What a recipe says of its origin that differs from replica to replica, where the code is not ours."""


@dataclass(frozen=True)
class Replica:
    """A model of a workspace, which is one of those that are trained together.

    Attributes:
        space: has it in its suite and in its plan.
        name: what it is called there.
    """

    space: Workspace
    name: str


def block_of(space: Workspace, name: str) -> list[Replica]:
    """The replicas that a model is trained together with, itself among them, by their seeds; empty for none.

    Those that the suite does not have are made up, for the block follows from the recipe alone: see
    :attr:`symbench.measure.suite.Recipe.block`. Data that is loaded for one is loaded for all.
    """
    entry = space.suite.models[name]
    return [] if entry.train is None else [_replica(space, name, seed) for seed in entry.train.block]


def _replica(space: Workspace, name: str, seed: int) -> Replica:
    plan, entry, facts = space.plan, space.suite.models[name], space.plan.models[name]
    if entry.train is None or facts.recipe is None:
        raise ValueError(f"{name} is not trained")
    called = name if seed == entry.train.seed else _called(space.suite, name, seed)
    if called in plan.recipes:
        return Replica(space, called)
    made = entry.model_copy(update={"train": entry.train.model_copy(update={"seed": seed})})
    suite = plan.suite.model_copy(update={"models": {**plan.suite.models, called: made}})
    recipe = {**facts.recipe, "recipe": {**facts.recipe["recipe"], "seed": seed}}
    models = {**plan.models, called: replace(facts, recipe=recipe)}
    other = replace(space, plan=replace(plan, suite=suite, models=models))
    if facts.recipe["origin"].keys() & OF_A_MODULE:
        reads = Reads()
        recipe["origin"] = origin_document(suite, called, other.new_module(called, entry.train.on, reads), reads)
    return Replica(other, called)


def _called(suite: Suite, name: str, seed: int) -> str:
    """The replica of another seed that the same sweep made; or a name for one that the suite does not have."""
    own = suite.models[name].swept
    for other, entry in suite.models.items():
        swept = entry.swept
        alike = own is not None and swept is not None and (own.of, own.point) == (swept.of, swept.point)
        if alike and entry.train is not None and entry.train.seed == seed:
            return other
    return f"{name} with seed {seed}"


def begun_together(block: Sequence[Replica], device: str) -> tuple[list[Training], Stack] | str:
    """Trainings of a block before their first step; or why its replicas cannot be trained together, in words.

    Raises:
        CellError: a model cannot be built, or the training split has too few samples.
    """
    settings: list[Setting] = []
    for each in block:
        settings.append(setting_of(each.space, each.name, settings[0] if settings else None))
    modules = [
        each.space.new_module(each.name, setting.recipe.on) for each, setting in zip(block, settings, strict=True)
    ]
    objectives = [
        objective_of(each.space, setting, module, device)
        for each, setting, module in zip(block, settings, modules, strict=True)
    ]
    networks = [objective.model.module for objective in objectives]
    why = refusal(networks, [_first(*each) for each in zip(settings, objectives, strict=True)])
    if why is not None:
        return why
    stack, recipe = Stack(networks), settings[0].recipe
    optimiser = optimiser_of(recipe, stack.parameters.values())
    schedule = schedule_of(recipe, optimiser, settings[0].planned)
    made = []
    for module, setting, objective in zip(modules, settings, objectives, strict=True):
        generator = torch.Generator().manual_seed(setting.drawing)
        made.append(Training(setting, Session(module, optimiser, schedule, generator, objective)))
    return made, stack


def _first(setting: Setting, objective: Objective) -> Tensors:
    """What a model is handed for the first samples, as they are."""
    leaves, _ = setting.read(setting.parts.learnt[: setting.recipe.batch], "first")
    return objective.given(leaves)


def step_together(block: Sequence[Training], stack: Stack, batches: Mapping[int, Tensor]) -> list[float]:
    """Show each replica its samples once and let the optimiser step; the losses before that.

    A replica whose loss is not finite fails by itself: its session says why.

    Args:
        block: all replicas of the stack, in its order.
        stack: their networks.
        batches: the samples ``(n,)`` of those that go on, by their number in the block.

    Returns:
        A loss for each batch.

    Raises:
        ModelError: as :class:`~symbench.measure.objective.Objective`.
    """
    live = {number: block[number] for number in batches}
    shown = _shown(list(live.values()), list(batches.values()))
    inputs = {
        number: training.session.objective.given(leaves)
        for (number, training), (leaves, _) in zip(live.items(), shown, strict=True)
    }
    anything = next(iter(inputs.values()))  # for those that have ended; its outputs are not looked at
    first = next(iter(live.values())).session
    try:
        returned = stack([inputs.get(number, anything) for number in range(len(block))])
    except RuntimeError as error:
        raise first.objective.model.failed(error, anything, first.objective.images) from error
    outputs, losses = [], []
    for (number, training), (leaves, targets) in zip(live.items(), shown, strict=True):
        objective = training.session.objective
        outputs.append(objective.model.read(returned[number], len(batches[number])))
        losses.append(objective.loss(outputs[-1], leaves, targets))
    first.optimiser.zero_grad()
    total = torch.stack(losses)
    total.sum().backward()
    first.optimiser.step()
    values: list[float] = total.tolist()
    for training, value, answers, (_, targets) in zip(live.values(), values, outputs, shown, strict=True):
        session = training.session
        with failing(session):
            check_finite(training.setting, session, value, "the loss")
            session.progress.add(value, session.objective.right(answers, targets), len(next(iter(targets.values()))))
    return values


def _shown(live: Sequence[Training], batches: Sequence[Tensor]) -> list[tuple[Tensors, Tensors]]:
    """What each replica is shown of its samples, leaves and targets ``(n, ...)``, moved all at once."""
    read, drawn = [], []
    for training, indices in zip(live, batches, strict=True):
        setting, session = training.setting, training.session
        number = session.progress.epoch * setting.batches + session.progress.batch
        leaves, targets = setting.read(indices, str(number))
        read.append((leaves, targets))
        if setting.augment is not None:
            epoch = session.progress.epoch
            drawn.append(setting.augment.elements(setting.data, targets, indices, epoch, session.generator))
    augment = live[0].setting.augment
    if augment is None:
        return read
    leaves, targets = (_joined([each[part] for each in read]) for part in range(2))
    moved = shown_under(live[0].setting.data, leaves, targets, augment.symmetry, torch.cat(drawn))
    counts = [len(indices) for indices in batches]
    return list(zip(*(_parted(tensors, counts) for tensors in moved), strict=True))


def _joined(parts: Sequence[Tensors]) -> Tensors:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _parted(tensors: Tensors, counts: Sequence[int]) -> list[Tensors]:
    split = {name: x.split(list(counts)) for name, x in tensors.items()}
    return [{name: parts[number] for name, parts in split.items()} for number in range(len(counts))]
