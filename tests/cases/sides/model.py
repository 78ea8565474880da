"""Networks that return maps of three classes, a box, or two joints, whatever they are shown."""

import torch
from torch import Tensor, nn


class Maps(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.expand(-1, 3, -1, -1) * torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)


class Box(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.new_tensor([[1.0, 1, 4, 5, 0.9, 0]]).expand(len(image), 1, 6)


class Joints(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.new_tensor([[2.0, 3.0], [6.0, 3.0]]).expand(len(image), 2, 2)


def maps() -> Maps:
    return Maps()


def box() -> Box:
    return Box()


def joints() -> Joints:
    return Joints()
