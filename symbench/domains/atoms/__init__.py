"""Atoms: molecules and crystals, their species and cells, and what potentials say of them.

How groups of space move positions, cells, forces and stress stands with points; what only atoms have stands here.
"""

from __future__ import annotations

from symbench.domains.atoms.datasets import DATASETS
from symbench.domains.atoms.models import ADAPTERS, MODELS

__all__ = ["ADAPTERS", "DATASETS", "MODELS"]
