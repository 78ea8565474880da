"""The kinds of fields, for code that declares some: what stands in ``symbench.algebra.fields``, under a name that
stays."""

from symbench.algebra.fields import *
from symbench.algebra.fields import __all__  # noqa: F401
