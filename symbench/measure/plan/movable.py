"""Whether a symmetry can move what a model returns and the targets that it meets, as far as both are declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from symbench.algebra.fields import Field
from symbench.base.errors import ConfigError, ImpossiblePair, Problem
from symbench.measure.assemble import Prepared
from symbench.measure.plan.pairs import Pair
from symbench.measure.plan.workspace import Workspace
from symbench.measure.tasks import Unfit, pair


def check_movable(space: Workspace, cell: Pair, outputs: Mapping[str, Field]) -> None:
    """Refuse outputs that are declared to move as no group can, such as classes in an order that is none of it.

    Args:
        space: the plan, and what is loaded for it.
        cell: its names.
        outputs: the field of every output of its model.

    Raises:
        ImpossiblePair: with the line of each that is wrong.
    """
    suite, prepared = space.suite, space.symmetry_of(cell)
    problems = []
    for each in pair(outputs, space.data_of(cell.dataset).dataset.targets, scale=suite.scores):
        where = suite.where("models", cell.model, "outputs", each.output)
        whose = {f"output {each.output!r}": each.field}
        if each.target is not None and each.target_field is not None:
            whose[f"target {each.target!r}"] = each.target_field
        wrong = [problem for name, field in whose.items() for problem in _wrong(prepared, name, field)]
        try:
            each.refuse_contradiction()
        except Unfit as error:  # whatever the symmetry
            problems.append(Problem(where, f"{error.got} (on {cell.dataset})", error.expected, error.remedy))
            continue
        for problem in wrong[:1]:  # what is wrong of a target follows from its output, mostly
            problems.append(_told(space, cell, where, problem))
    if problems:
        raise ImpossiblePair(problems)


def _wrong(prepared: Prepared, name: str, field: Field) -> Iterator[Problem]:
    if field.is_invariant:
        return
    try:
        action = prepared.action_on(field, name)
    except ConfigError as error:
        yield from (Problem("", f"{name}: {each.got}", each.expected, each.remedy) for each in error.problems)
        return
    shape = field.value.some_shape
    reason = None if shape is None or field.places else action.of_outputs().check(shape)
    if reason is not None:
        yield Problem("", f"{name}: {reason}")


def _told(space: Workspace, cell: Pair, where: str, problem: Problem) -> Problem:
    """With what it is about, and how to do without where there is anything else."""
    kinds = {"dataset": len(space.suite.datasets), "symmetry": len(space.suite.symmetries)}
    several = [kind for kind, entries in kinds.items() if entries > 1]
    without = ", ".join(f"{kind}: {cell.names()[kind]}" for kind in several)
    remedy = f"Say except: {{{without}}} in the model's entry to leave it out." if several else None
    got = f"{problem.got} (on {cell.dataset} under {cell.symmetry})"
    return Problem(where, got, problem.expected, " ".join(filter(None, (problem.remedy, remedy))) or None)
