"""The kinds of fields, for code that declares some: what stands in ``symbench.algebra.fields``, and what domains call
theirs, under a name that stays."""

from symbench.algebra.fields import *
from symbench.algebra.fields import __all__ as _of_all
from symbench.domains.images.fields import Image, Video
from symbench.domains.volumes.fields import Volume

__all__ = [*_of_all, "Image", "Video", "Volume"]
