"""What a result depends on beside names and options: code, files, environment, and what a module holds.

Everything here ends in plain data with a digest for each part, so that a cell that is found stale can say which part
of it changed. Nothing here is run by importing it, and torch is not needed but for
:mod:`symbench.base.identity.values`.
"""

from symbench.base.identity.dependencies import LOADED_AS, Dependencies, dependencies
from symbench.base.identity.difference import differences
from symbench.base.identity.reads import Reads, read_by_imports
from symbench.base.identity.sources import source_files

__all__ = ["LOADED_AS", "Dependencies", "Reads", "dependencies", "differences", "read_by_imports", "source_files"]
