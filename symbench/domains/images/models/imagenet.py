"""ImageNet's 1,000 classes, and WordNet's numbers of them."""

from __future__ import annotations

from symbench.base.code import require
from symbench.domains.common.labels import LabelSpace, Names, plain
from symbench.domains.images.models.torchvision import imagenet_names

SAME_ORDER = 0.95
"""Outputs are taken for ImageNet's if at least so many names agree: libraries mend a few."""


class ImageNet(LabelSpace):
    """The classes in their usual order."""

    def names(self) -> Names:
        """As torchvision has them."""
        return imagenet_names()

    def numbered(self, names: Names, where: str) -> Names:
        """The names, and WordNet's numbers beside them where they are ImageNet's 1,000 in its order."""
        if len(names) != len(imagenet_names()):
            return names
        info = require("timm", "timm", where).data.ImageNetInfo()
        synsets, described = info.label_names(), info.label_descriptions()
        lemmas = [{plain(part) for part in text.split(",")} for text in described]
        agree = sum(any(plain(name) in lemma for name in each) for each, lemma in zip(names, lemmas, strict=True))
        if agree < SAME_ORDER * len(names):
            return names
        return [(*each, synset) for each, synset in zip(names, synsets, strict=True)]
