"""Rotations by three shears and shifts by phase ramps: the reference resampler.

A shear moves every row (or column) by its own fraction of a pixel, which a phase ramp does exactly on a periodic
signal: Unser, Thevenaz & Yaroslavsky, "Convolution-based interpolation for fast, high-quality rotation of images",
IEEE Trans. Image Processing 4 (1995); Larkin, Oldfield & Klemm, "Fast Fourier method for the accurate rotation of
sampled images", Optics Communications 139 (1997). Every step is undone by the one of opposite sign, so that
``r(-a) r(a)`` is the identity to rounding at every angle, on odd and even sizes, even on white noise.

It is exact for what is band-limited and has room around it. On full-frame images, whose continuation has
edges, it rings and is no better than bicubic, and on white noise it is worse.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symbench.algebra.actions.base import grouped
from symbench.base.environment import exact_device, sent


def shift(x: Tensor, distance: Tensor, dim: int) -> Tensor:
    """Move each line of ``x`` along ``dim`` by its own distance, periodically.

    Args:
        x: ``(..., h, w)``, floating point.
        distance: pixels towards higher indices, float64; broadcasts against x with ``dim`` of size 1.
        dim: -1 or -2.
    """
    length = x.shape[dim]
    shape = [1, 1]
    shape[dim] = -1
    distance = exactly(distance, x)
    frequency = torch.fft.rfftfreq(length, dtype=torch.float64, device=distance.device).view(
        shape
    )  # cycles per pixel
    turns = distance * frequency
    phase = torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)
    if length % 2 == 0:
        # +-1 at the Nyquist frequency: cos(pi s), which dropping the imaginary part amounts to, has no inverse
        alternating = torch.where(torch.cos(torch.pi * distance) >= 0, 1.0, -1.0).to(phase.dtype)
        phase = torch.cat([phase.narrow(dim, 0, length // 2), alternating], dim=dim)
    spectrum = torch.fft.rfft(x, dim=dim)
    return torch.fft.irfft(spectrum * phase.to(spectrum.device, spectrum.dtype), n=length, dim=dim)


def exactly(numbers: Tensor, like: Tensor) -> Tensor:
    """Numbers in float64 where ``like`` is, or on the CPU where its device has no float64."""
    return sent(numbers, exact_device(str(like.device))).double()


def rotate(x: Tensor, angles_deg: Tensor) -> Tensor:
    """Turn square images counter-clockwise as displayed, about the pixel-centre midpoint, periodically.

    The quarter index is rounded half to even, which leaves at most 45 degrees to the shears. These come before the
    quarter turn where the remainder is positive and after it where it is negative: the two do not commute, and only
    so is the turn by -a the inverse of the turn by a.

    Args:
        x: ``(n, ..., s, s)``, floating point.
        angles_deg: one angle for each image, ``(n,)``, or one for all, float64, on the CPU.
    """
    if bool((angles_deg == angles_deg[0]).all()):
        angles_deg = angles_deg[:1]  # their phases are the same: once is enough
    quarters = torch.round(angles_deg / 90.0)  # torch rounds half to even
    rest = angles_deg - 90.0 * quarters

    def turned(images: Tensor, key: tuple[float, bool], mine: list[int]) -> Tensor:
        quarter, before = key
        shears = rest if len(rest) == 1 else rest[mine]
        if before:
            return torch.rot90(_sheared(images, shears), int(quarter), (-2, -1))
        return _sheared(torch.rot90(images, int(quarter), (-2, -1)), shears)

    return grouped(x, list(zip(quarters.tolist(), (rest >= 0).tolist(), strict=True)) * _copies(x, rest), turned)


def _copies(x: Tensor, angles_deg: Tensor) -> int:
    return len(x) if len(angles_deg) == 1 else 1


def _sheared(x: Tensor, angles_deg: Tensor) -> Tensor:
    """Three shears, ``|angle| <= 45`` degrees, one for each image."""
    angle = torch.deg2rad(exactly(angles_deg, x)).view(-1, *[1] * (x.ndim - 1))
    places = torch.arange(x.shape[-1], dtype=torch.float64, device=angle.device) - (x.shape[-1] - 1) / 2
    # With rows counted downwards a counter-clockwise turn takes (row, column) to
    # (row cos - column sin, column cos + row sin): columns move with the row, rows against the column.
    across = torch.tan(angle / 2) * places[:, None]
    down = -torch.sin(angle) * places[None, :]
    return shift(shift(shift(x, across, -1), down, -2), across, -1)


def derivative(x: Tensor, dim: int) -> Tensor:
    """The derivative of every line of ``x`` along ``dim``, per pixel: what :func:`shift` does at distance 0, negated.

    The Nyquist frequency of even sizes has none: :func:`shift` leaves it as it is for small distances.

    Args:
        x: ``(..., h, w)``, floating point.
        dim: -1 or -2.
    """
    length = x.shape[dim]
    shape = [1, 1]
    shape[dim] = -1
    frequency = torch.fft.rfftfreq(length, dtype=torch.float64).view(shape)
    if length % 2 == 0:
        frequency = torch.where(frequency == 0.5, 0.0, frequency)
    spectrum = torch.fft.rfft(x, dim=dim)
    factor = (2j * torch.pi * frequency).to(spectrum.device, spectrum.dtype)
    return torch.fft.irfft(spectrum * factor, n=length, dim=dim)


def spin(x: Tensor) -> Tensor:
    """The derivative of :func:`rotate` at 0, per radian: ``(column d/drow - row d/dcolumn) x`` about the midpoint."""
    places = (torch.arange(x.shape[-1], dtype=torch.float64) - (x.shape[-1] - 1) / 2).to(x)
    return places * derivative(x, -2) - places[:, None] * derivative(x, -1)


def padded_size(size: int, room: float = 1.45) -> int:
    """The smallest number of pixels that gives ``room`` times ``size``, evenly on both sides; odd where size is."""
    wanted = math.ceil(room * size)
    return wanted + (wanted - size) % 2
