"""A filter with a closed form: stretched by any factor and turned by any angle before it meets the pixel grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from symbench.domains.images.actions.border import disc_mask
from symbench.fields import Image

REACH = 9


def kernel(stretch: float, *, angle_deg: float = 0.0, sigma: float = 1.6, blur: bool = False) -> Tensor:
    """A Laplacian of a Gaussian, or the Gaussian, ``1 + stretch`` times as wide along an axis; float64."""
    angle = torch.deg2rad(torch.tensor(angle_deg, dtype=torch.float64))
    places = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    y, x = -places[:, None], places[None, :]
    along = (torch.cos(angle) * x + torch.sin(angle) * y) / (sigma * (1 + stretch))
    across = (torch.cos(angle) * y - torch.sin(angle) * x) / sigma
    q = along.square() + across.square()
    h = torch.exp(-q / 2) if blur else (q - 2) * torch.exp(-q / 2)
    return h / h.abs().sum()


class Filter(nn.Module):
    def __init__(self, stretch: float = 0.0, sigma: float = 1.6, blur: bool = False) -> None:
        super().__init__()
        self.outputs = {"maps": Image()}
        self.weight = nn.Parameter(kernel(stretch, sigma=sigma, blur=blur)[None, None].float())

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, padding=REACH)


def load(samples: int = 12, size: int = 51) -> list[Tensor]:
    """Noise without frequencies above 0.3 cycles per pixel, faded out well inside the frame."""
    generator = torch.Generator().manual_seed(0)
    frequency = torch.fft.fftfreq(size, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency[None, :])
    taper = 0.5 + 0.5 * torch.cos(torch.pi * ((radius - 0.2) / 0.1).clamp(0, 1))
    noise = torch.randn(samples, 1, size, size, generator=generator, dtype=torch.float64)
    noise = torch.fft.ifft2(torch.fft.fft2(noise) * taper).real
    mask = pad(disc_mask(size - 2 * REACH, size - 2 * REACH, 10.0), (REACH,) * 4)
    return list((noise * mask / noise.abs().amax() / 2 + 0.5 * mask).clamp(0, 1).float())


def truth(stretch: float, angles_deg: list[float], *, sigma: float = 1.6, blur: bool = False) -> float:
    """E of a filter in closed form: turning the filter instead of the images, so that nothing is resampled."""
    x = torch.stack(load()).double()
    still = conv2d(x, kernel(stretch, sigma=sigma, blur=blur)[None, None], padding=REACH)
    above, below = [], []
    for angle in angles_deg:
        turned = kernel(stretch, angle_deg=-angle, sigma=sigma, blur=blur)
        moved = conv2d(x, turned[None, None], padding=REACH)
        for i in range(len(x)):
            above.append((moved[i] - still[i]).square().sum())
            below += [(moved[i] - still[j]).square().sum() for j in range(len(x)) if j != i]
    return float((torch.stack(above).mean() / torch.stack(below).mean()).sqrt())
