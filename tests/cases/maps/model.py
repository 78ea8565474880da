"""Maps of classes on small random images: a network that looks at single pixels, and others that look around."""

import torch
from torch import Tensor, nn

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Category, Grid, Image, Keypoints, classes

SAMPLES, SIDE = 10, 8


def pixels() -> Tensor:
    return torch.rand(SAMPLES, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def labels() -> Tensor:
    found = (3 * pixels()[:, 0]).long().clamp(max=2)
    found[0, :2] = -1  # nobody knows
    return found


def data() -> Arrays:
    fields = {"image": Image()}
    return Arrays(
        {"image": pixels()},
        {"mask": labels()},
        fields=fields,
        target_fields={"mask": Category(3).over(Grid("image"))},
    )


def halves() -> Arrays:
    """Mirror-symmetric images whose left half is of class 0 and whose right half is of class 1."""
    x = pixels()
    sides = torch.zeros(SAMPLES, SIDE, SIDE, dtype=torch.int64)
    sides[:, :, SIDE // 2 :] = 1
    field = classes({"flip": [1, 0]}).over(Grid("image"))
    return Arrays(
        {"image": x + x.flip(-1)}, {"side": sides}, fields={"image": Image()}, target_fields={"side": field}
    )


def unnamed_halves() -> Arrays:
    """The same, where nobody says that a mirror exchanges them."""
    found = halves()
    found.targets = {"side": Category(2).over(Grid("image"))}
    return found


class Pixelwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 3, 1, bias=False)
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(1))

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image)


class Around(nn.Module):
    """Three by three pixels count, with zeros beyond the frame or with what is on the other side."""

    def __init__(self, padding: str = "zeros") -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode=padding, bias=False)  # type: ignore[arg-type]
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(2))

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image)


class Sides(nn.Module):
    """Says left on the left and right on the right, as displayed."""

    def forward(self, image: Tensor) -> Tensor:
        right = torch.linspace(-1, 1, image.shape[-1], dtype=image.dtype).expand_as(image[:, 0]) * 9
        return torch.stack([-right, right], 1)


def oblong() -> Arrays:
    """Images of 6 x 10 pixels."""
    x = torch.rand(SAMPLES, 2, 6, 10, generator=torch.Generator().manual_seed(9))
    y = (3 * x[:, 1]).long().clamp(max=2)
    fields = {"image": Image()}
    return Arrays({"image": x}, {"mask": y}, fields=fields, target_fields={"mask": Category(3).over(Grid("image"))})


class Isotropic(nn.Module):
    """A filter that all of D4 leaves as it is, on images of any shape."""

    def __init__(self) -> None:
        super().__init__()
        around = torch.tensor([[0.5, 1.0, 0.5], [1.0, -2.0, 1.0], [0.5, 1.0, 0.5]])
        self.register_buffer("filters", torch.stack([around, -around, 2 * around])[:, None].repeat(1, 2, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.conv2d(image, self.get_buffer("filters").to(image.dtype), padding=1)


def spots() -> Arrays:
    """Two bright pixels, each in a channel of its own, and where they are."""
    generator = torch.Generator().manual_seed(12)
    x, places = torch.zeros(SAMPLES, 2, 12, 12), torch.zeros(SAMPLES, 2, 3)
    for sample in range(SAMPLES):
        for channel in range(2):
            row, column = torch.randint(0, 12, (2,), generator=generator).tolist()
            x[sample, channel, row, column] = 1
            places[sample, channel] = torch.tensor([column + 0.5, row + 0.5, 1])
    fields = {"image": Image()}
    return Arrays({"image": x}, {"spots": places}, fields=fields, target_fields={"spots": Keypoints()})


class Brightest(nn.Module):
    """Where the brightest pixel of each channel is, by half a pixel exact."""

    def forward(self, image: Tensor) -> Tensor:
        place = image.flatten(2).argmax(2)
        width = image.shape[-1]
        return torch.stack([place % width + 0.5, place // width + 0.5], dim=-1).to(image.dtype)


def textured() -> Arrays:
    """Images of which nothing is symmetric, without labels."""
    x = torch.rand(SAMPLES, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(21))
    return Arrays({"image": x}, {}, fields={"image": Image()}, target_fields={})


class Slopes(nn.Module):
    """Whether brightness rises or falls to the right: a mirror exchanges the two, wherever they are."""

    def forward(self, image: Tensor) -> Tensor:
        right, left = image.roll(-1, -1), image.roll(1, -1)
        slope = (right - left)[:, 0]
        return torch.stack([torch.zeros_like(slope), 4 * slope, -4 * slope], 1)
