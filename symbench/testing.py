"""Law checks and ``assert_equivariant``, for other people's tests: ``symbench.face.testing`` under a name that
stays."""

from symbench.face.testing import *
from symbench.face.testing import __all__  # noqa: F401
