"""Known images, and models of which is known what they make of them, for tests."""

from symbench.domains.images.testing.known import KnownError, Marked, known_error
from symbench.domains.images.testing.small import Blobs, Brightness

__all__ = ["Blobs", "Brightness", "KnownError", "Marked", "known_error"]
