"""Networks whose operations can be counted by hand. The rows of an image of 15 x 15 pixels are 15 tokens of 15 numbers."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

TOKENS, WIDTH, HEADS, HIDDEN = 15, 24, 3, 40


class Attention(nn.Module):
    """Attention between the rows, by torch's own layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Linear(TOKENS, WIDTH), nn.Linear(WIDTH, 2)
        self.body: nn.Module = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def mixed(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.body(tokens, tokens, tokens, need_weights=False)[0]
        return out

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.mixed(self.embed(images[:, 0])).mean(1))
        return out


class Larger(nn.Module):
    """Attention of 48 numbers in 4 heads between 16 tokens, and a head of 4 classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.MultiheadAttention(48, 4, batch_first=True), nn.Linear(48, 4)

    def forward(self, images: Tensor) -> Tensor:
        tokens = nn.functional.pad(images.flatten(1), (0, 16 * 48 - 225)).unflatten(1, (16, 48))
        out: Tensor = self.head(self.body(tokens, tokens, tokens, need_weights=False)[0].mean(1))
        return out


class Encoder(Attention):
    """A whole layer of a transformer, which has a kernel of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.0, batch_first=True)

    def mixed(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.body(tokens)
        return out


class Product(nn.Module):
    """Scaled dot products of three heads of 5 numbers each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(TOKENS, 2)

    def forward(self, images: Tensor) -> Tensor:
        heads = images[:, 0].unflatten(2, (HEADS, 5)).transpose(1, 2)
        mixed = nn.functional.scaled_dot_product_attention(heads, heads, heads)
        out: Tensor = self.head(mixed.transpose(1, 2).flatten(2).mean(1))
        return out


class Recurrent(nn.Module):
    """Row after row."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body: nn.Module = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](TOKENS, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(images[:, 0])[0][:, -1])
        return out


class Vectors(nn.Module):
    """Products of a matrix and a vector, sample by sample."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 225))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([self.weight @ image.flatten() for image in images])


class Branches(nn.Module):
    """A second convolution for images with a standing bar."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 5, padding=2)

    def one(self, image: Tensor) -> Tensor:
        maps: Tensor = self.first(image[None])
        if image[0, 4, 7] > 0.5:
            maps = self.second(maps)
        return torch.stack([maps.mean(), maps.amax()])

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([self.one(image) for image in images])


class Uncounted(nn.Module):
    """Operators that torch has no formula for, beside one that it has."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kernel, self.head = nn.Parameter(torch.randn(1, 1, 3, 3)), nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        still = images.new_zeros(len(images), 18, 13, 13)
        bent = deform_conv2d(images, still, self.kernel)
        waves = torch.fft.rfft2(images).abs()
        out: Tensor = self.head(torch.stack([bent.mean((1, 2, 3)), waves.mean((1, 2, 3))], 1))
        return out


class Held(nn.Module):
    """A frozen layer, one that is used twice, and running means."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frozen, self.norm, self.head = nn.Linear(225, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)
        self.again = nn.Linear(4, 4, bias=False)
        self.again.weight = self.head.weight
        self.frozen.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.again(self.head(self.norm(self.frozen(images.flatten(1)))))
        return out


class Sleeps(nn.Module):
    """Takes its time, and much more of it at first."""

    def __init__(self, seconds: float, cold: float) -> None:
        super().__init__()
        self.seconds, self.cold = seconds, cold

    def forward(self, images: Tensor) -> Tensor:
        time.sleep(self.seconds + self.cold)
        self.cold = 0.0
        return torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], 1)
