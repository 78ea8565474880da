"""Suite to cells: which model meets which dataset under which symmetry, and the key of each.

``pairs`` needs no torch and refuses what cannot be; ``resolve`` loads the data, draws the elements and hashes
everything that a result depends on.
"""

from symbench.measure.plan.pairs import Pair, pairs, parse_only

__all__ = ["Pair", "pairs", "parse_only"]
