"""``averaged`` and ``canonicalised``: what a suite's entry asks for by these words, for modules in Python."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.algebra.fields import Field, Undeclared
from symbench.base.errors import ConfigError, Problem, quoted
from symbench.domains.common.models.orbit import Orbit
from symbench.domains.common.models.wrapped import Averaged, Canonicalised, Wrapped
from symbench.face.equivariant.fields import Declared, field_of
from symbench.face.equivariant.setting import Setting


def averaged(
    model: nn.Module,
    group: str,
    outputs: Mapping[str, Declared] | Declared = None,
    *,
    fields: Mapping[str, Field | str] | Field | str | None = None,
    options: Mapping[str, Any] | None = None,
    action: str | None = None,
    on: str | None = None,
) -> nn.Module:
    """A module averaged over a finite group: ``f'(x) = mean_g g^-1 f(g x)``, exactly equivariant to rounding.

    ::

        assert_equivariant(averaged(net, "C4"), "C4", images)
        assert_equivariant(averaged(net, "C4", {"maps": Image()}), "C4", images, {"maps": Image()})

    Args:
        model: held, and not copied: what trains the one trains the other. It runs once for each element.
        group: its name in a suite, such as ``C4``; of at most 256 elements, which only permute numbers or turn
            vectors by a formula.
        outputs: the fields of those that the group moves and that are to be moved back, by name, as for
            ``assert_equivariant``; what is not named is no output then. By default there is one, that none moves.
        fields: of the inputs; by default images, or for ``(n, nodes, d)`` rows along the axis ``nodes``.
        options: of the group and of its action, as in a suite.
        action: which action, where there are several.
        on: the input whose axis permutations move, where inputs have several axes.

    Returns:
        A module that takes the inputs ``(n, ...)`` of the model, an only one by place and several by name.

    Raises:
        ConfigError: what is given is no module or no field; and when it is first run, that inputs do not fit, or that
            the group has no end or does not act exactly.
    """
    return _wrapped(Averaged, model, outputs, _Question(group, fields, dict(options or {}), action, on))


def canonicalised(
    model: nn.Module,
    group: str,
    outputs: Mapping[str, Declared] | Declared = None,
    *,
    fields: Mapping[str, Field | str] | Field | str | None = None,
    options: Mapping[str, Any] | None = None,
    action: str | None = None,
    on: str | None = None,
) -> nn.Module:
    """A module run on one element of each input's orbit, that with the largest inner product with a fixed pattern.

    Exactly invariant under a group that only permutes numbers; outputs that move are moved back, which is exact up to
    ties between elements. It runs once. Arguments, result and errors are those of :func:`averaged`.
    """
    return _wrapped(Canonicalised, model, outputs, _Question(group, fields, dict(options or {}), action, on))


class _Question:
    """A group and what is said of inputs, before there are any."""

    def __init__(self, group: str, fields: Any, options: dict[str, Any], action: str | None, on: str | None) -> None:
        self.group, self.fields, self.options, self.action, self.on = group, fields, options, action, on

    def orbit(self, outputs: Mapping[str, Field], leaves: Mapping[str, Tensor]) -> Orbit:
        """The orbit of inputs like these.

        Raises:
            ConfigError: they do not fit the group, or it has no end or does not act exactly.
        """
        setting = Setting.of(self.group, leaves, self.fields, self.options, self.action, self.on)
        on = next(name for name, field in setting.fields.items() if field == setting.on)

        def of_output(name: str, shape: tuple[int, ...], side: int) -> Action:
            if isinstance(outputs[name], Undeclared):
                return TrivialAction()
            action = setting.act(outputs[name], f"output {name!r}")
            reason = action.immovable(shape, side)
            if reason is not None:
                got = f"its shape {shape} cannot be moved as {outputs[name]}: {reason}"
                raise ConfigError(Problem(f"output {name!r}", got))
            return action

        return Orbit.of(setting.group, setting.moves, on, of_output, where="group")


def _wrapped(kind: type[Wrapped], model: nn.Module, outputs: Any, question: _Question) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ConfigError(Problem("model", f"got {quoted(model)}", "a torch.nn.Module"))
    given = outputs if isinstance(outputs, Mapping) else {"output": outputs}
    declared: dict[str, Field] = {
        name: field_of(each, f"outputs[{name!r}]") for name, each in given.items() if each is not None
    }
    known = declared or {"output": Undeclared()}
    return kind(model, partial(question.orbit, known), known, type(model).__name__)
