"""Calculators by their names: those of ASE, and potentials with their weights that other packages bring."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import nn

from symbench.base.code import require, shortened
from symbench.base.errors import ConfigError, ModelError, Problem, near_miss, one_of
from symbench.domains.atoms.models.calculators import AseModel, implemented
from symbench.domains.common.models.source import Description, Source


@dataclass(frozen=True)
class Brought:
    """A calculator of another package than ASE.

    Attributes:
        package: what is imported first, so that its absence is told.
        path: of the class, ``module:attribute``.
        options: what it is called with, where the entry says nothing else.
    """

    package: str
    path: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


OTHERS = {
    "sevennet": Brought("sevenn", "sevenn.calculator:SevenNetCalculator", {"model": "7net-0", "device": "cpu"}),
}
"""Potentials whose weights come with their package. Those that fetch them are users' code."""


@dataclass(frozen=True)
class Ase(Source):
    """``ase/NAME``, called with the entry's ``options``."""

    name: str
    options: Mapping[str, Any]
    symbol: str | None
    stress: bool | None

    def describe(self) -> Description:
        """Nothing but that it is there."""
        self._class()
        return Description()

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The calculator for data of which nothing but positions is known."""
        del shape, outputs
        return self.build_for({}, 0)

    def build_for(self, shapes: Mapping[str, tuple[int, ...]], outputs: int) -> nn.Module:
        """The calculator; it returns the stress where the data has cells, and where it is asked to.

        Raises:
            ModelError: the calculator cannot be built with these options, or the data does not say what atoms are.
        """
        del outputs
        if shapes and "species" not in shapes and self.symbol is None:
            got = f"ase/{self.name} takes species, and the data has {one_of(shapes)} alone"
            remedy = "Say symbol: Ar, or what else all atoms are, in the model's entry."
            raise ModelError(Problem(self.where, got, None, remedy))
        known = OTHERS.get(self.name)
        given = {**({} if known is None else known.options), **self.options}
        kind = self._class()
        strange = unknown_options(kind, given)
        if strange:
            got, known_ones = f"ase/{self.name} has no option {strange[0]!r}", sorted(default_options(kind))
            miss = near_miss(strange[0], known_ones)
            raise ModelError(Problem(self.where, got, f"one of {one_of(known_ones)}", miss))
        try:
            calculator = kind(**given)
        except Exception as error:  # calculators check their options in ways of their own
            got = f"ase/{self.name} cannot be made with options {given}: {shortened(error)}"
            raise ModelError(Problem(self.where, got)) from error
        stress = "cell" in shapes and "stress" in implemented(calculator) if self.stress is None else self.stress
        return AseModel(calculator, stress=stress, symbol=self.symbol)

    def _class(self) -> type[Any]:
        """What makes the calculator.

        Raises:
            ConfigError: there is none of that name, or its package is not installed.
        """
        require("ase", "molecules", self.where)
        if self.name in OTHERS:
            known = OTHERS[self.name]
            require(known.package, "molecules", self.where)
            module, _, attribute = known.path.partition(":")
            return getattr(importlib.import_module(module), attribute)
        from ase.calculators.calculator import get_calculator_class, names

        try:
            return get_calculator_class(self.name)
        except Exception as error:  # it imports the calculator's module, whatever that needs
            every = [*OTHERS, *names]
            remedy = near_miss(self.name, every) or "Write file.py:attr for a calculator of your own."
            got = f"ASE has no calculator {self.name!r}: {shortened(error)}"
            raise ConfigError(Problem(self.where, got, f"one of {one_of(every)}", remedy)) from error


def default_options(kind: type[Any]) -> set[str]:
    """The options of a calculator that are known: of its signature, and those that it has defaults of."""
    named = (name for name, each in inspect.signature(kind).parameters.items() if each.kind != each.VAR_KEYWORD)
    return {*named, *getattr(kind, "default_parameters", {})}


def unknown_options(kind: type[Any], given: Mapping[str, Any]) -> list[str]:
    """The options that a calculator which computes by itself would take and never look at.

    ASE's base class takes whatever it is called with. What calculators of other programs hand on is theirs to refuse.
    """
    from ase.calculators.calculator import FileIOCalculator

    own = bool(getattr(kind, "default_parameters", None)) and not issubclass(kind, FileIOCalculator)
    return [name for name in given if own and name not in default_options(kind)]
