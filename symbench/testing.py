"""Law checks, ``assert_equivariant`` and known things to measure, for other people's tests: what stands in
``symbench.face.testing``, and what domains know, under a name that stays."""

from symbench.domains.images.testing import Blobs, Brightness, KnownError, Marked, known_error
from symbench.face.testing import *
from symbench.face.testing import __all__ as _of_all

__all__ = [*_of_all, "Blobs", "Brightness", "KnownError", "Marked", "known_error"]
