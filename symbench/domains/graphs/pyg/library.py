"""The library itself, imported where somebody asks for it."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from symbench.base.code import require

PACKAGE = "torch_geometric"


def library(where: str, module: str = "") -> ModuleType:
    """``torch_geometric``, or one of its modules.

    Raises:
        ConfigError: it is not installed; with the command that installs it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)  # it scripts some of its own classes
        whole = require(PACKAGE, "graphs", where)
        return importlib.import_module(f"{PACKAGE}.{module}") if module else whole
