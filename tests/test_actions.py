"""Actions against independent references, and their laws for every registered one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import interpolate

from symbench.algebra import actions, groups
from symbench.algebra.actions import ACTIONS
from symbench.algebra.actions.base import Action
from symbench.algebra.actions.permute import PermutePlaces
from symbench.algebra.groups.base import Group
from symbench.base.errors import ImpossiblePair
from symbench.base.registry import Options
from symbench.domains.images.actions import fourier
from symbench.domains.images.actions.border import disc_mask
from symbench.domains.images.actions.zoom import zoom_matrix
from symbench.face import testing
from symbench.fields import Category, Field, Image, Nodes, Scalar

SET = Nodes("items", Scalar())


def build(name: str, field: Field = Image(), action: str | None = None, **options: Any) -> tuple[Group, Action]:  # noqa: B008
    group = groups.load(name, options)
    return group, actions.load(group, name, field, options, on=field, name=action)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def smooth(size: int = 33) -> Tensor:
    """Band-limited blobs well inside the frame."""
    y = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    grid = torch.stack(torch.meshgrid(y, y, indexing="ij"))
    centres = torch.tensor([[[2.0, 3.0], [-3.0, 0.0]], [[0.0, -4.0], [1.0, 2.0]]], dtype=torch.float64)
    distance = (grid[None, None] - centres[..., None, None]).square().sum(2)
    return torch.exp(-distance / (2 * 3.0**2)).sum(1, keepdim=True)  # (2, 1, size, size)


PERMUTATIONS: list[tuple[str, Field, str | None, dict[str, Any], tuple[int, ...]]] = [
    ("C2", Image(), None, {}, (3, 2, 6, 9)),
    ("C4", Image(), None, {}, (3, 2, 9, 9)),
    ("C4", Image(), None, {}, (3, 2, 8, 8)),
    ("D1", Image(), None, {}, (3, 1, 5, 8)),
    ("D4", Image(), None, {}, (3, 2, 9, 9)),
    ("translations", Image(), None, {"reach": 3, "border": "circular"}, (3, 2, 9, 11)),
    ("S9", Image(), "patches", {}, (3, 2, 9, 12)),
    ("S20", Image(), "pixels", {}, (3, 2, 4, 5)),
    ("S6", SET, None, {}, (3, 6, 2)),
]


@pytest.mark.parametrize(("name", "field", "action", "options", "shape"), PERMUTATIONS, ids=lambda v: str(v)[:24])
def test_permutations_obey_the_law_bit_for_bit(
    name: str, field: Field, action: str | None, options: dict[str, Any], shape: tuple[int, ...],
    generator: torch.Generator,
) -> None:  # fmt: skip
    group, act = build(name, field, action, **options)
    x = noise(*shape)
    assert act.check(shape[1:]) is None
    testing.check_action(act, group, x, generator=generator)
    drawn = group.sample(5, generator=generator)
    assert act.kinds(drawn) == ["permutation"] * 5
    for moved in act.act(drawn, x):
        assert torch.equal(moved.flatten(1).sort(1).values, x.flatten(1).sort(1).values)


RESAMPLED = [("SO2", {"border": "zero"}), ("C8", {"border": "zero"}), ("D3", {}), ("SO2", {"border": "fill", "fill": 0.0}),
             ("SO2", {"interpolation": "bicubic"}), ("SO2", {"interpolation": "fourier"}), ("D3", {"interpolation": "fourier"}),
             ("R2", {}), ("R2", {"interpolation": "bicubic", "border": "reflect"}), ("R2", {"interpolation": "fourier", "border": "circular"}),
             ("SE2", {}), ("SE2", {"interpolation": "bicubic"}), ("SE2", {"interpolation": "fourier"}),
             ("scalings", {"reach": 1.2, "interpolation": "bicubic", "border": "reflect"}),
             ("scalings", {"reach": 1.2}), ("SO2 x scalings", {"reach": 1.2}), ("SO2 x scalings", {"reach": 1.2, "interpolation": "bicubic"}),
             ("D4 x scalings", {"reach": 1.2})]  # fmt: skip


@pytest.mark.parametrize("border", ["circular", "reflect", "disc", "fill"])
def test_the_law_holds_whatever_the_border(border: str, generator: torch.Generator) -> None:
    group, act = build("SO2", interpolation="bicubic", border=border, fill=0.25 if border == "fill" else 0.0)
    x = smooth() + (0.25 if border == "fill" else 0.0)
    testing.check_action(act, group, act.prepare(x), generator=generator, tolerance=0.03)


@pytest.mark.parametrize(("name", "options"), RESAMPLED, ids=lambda v: str(v))
def test_resampled_actions_obey_the_law_on_smooth_images(
    name: str, options: dict[str, Any], generator: torch.Generator
) -> None:
    group, act = build(name, **options)
    testing.check_action(act, group, smooth(), generator=generator, tolerance=0.03)


def test_every_registered_action_is_tested() -> None:
    here = {"turn", "shift", "slide", "move", "zoom", "turn-and-zoom", "patches", "pixels", "rows"}
    in_test_fields = {"rename", "turn-vectors", "turn-pseudovectors", "negate-eigenvectors", "turn-eigenspaces"}
    in_test_space = {name for name, row in ACTIONS.rows.items() if row.family in {"space", "motions", "spin"}}
    in_test_space |= {
        name for name, row in ACTIONS.rows.items() if row.family in {"wraps", "lattices"}
    }  # relabelling
    in_test_coordinates = {name for name, row in ACTIONS.rows.items() if row.kind in {"Boxes", "Keypoints", "Flow"}}
    assert here | in_test_fields | in_test_space | in_test_coordinates == set(ACTIONS.rows)


def test_quarter_turns_and_flips_are_numpys() -> None:
    group, act = build("D4")
    x = noise(2, 3, 9, 9)
    moved = dict(zip(group.labels(group.elements()), act.act(group.elements(), x).numpy(), strict=True))
    for turns in range(4):
        assert np.array_equal(moved[f"{90 * turns}°"], np.rot90(x.numpy(), turns, axes=(2, 3)))
    assert np.array_equal(moved["flip"], x.numpy()[..., ::-1])
    assert np.array_equal(moved["flip+180°"], x.numpy()[..., ::-1, :])


def test_images_that_were_changed_meanwhile_are_turned_as_they_are_now() -> None:
    group, act = build("C4")
    x = noise(2, 3, 9, 9)
    quarter = act.bind(group.elements()[1:2], x)
    assert torch.equal(quarter(x)[0], x.rot90(1, (2, 3)))
    x.add_(1)
    assert torch.equal(quarter(x)[0], x.rot90(1, (2, 3)))
    x = noise(2, 3, 9, 9).neg()  # other images, perhaps where the first ones were in memory
    assert torch.equal(quarter(x)[0], x.rot90(1, (2, 3)))


@pytest.mark.parametrize("angle", [10.0, 45.0, 100.0, 222.5])
def test_rotation_is_scipys(angle: float) -> None:
    """Counter-clockwise as displayed, about the pixel-centre midpoint: scipy's bilinear rotation, inside the frame."""
    _, act = build("SO2", border="zero")
    x = noise(1, 1, 33, 33) * disc_mask(33, 33, 4.0)
    ours = act.act(torch.tensor([angle], dtype=torch.float64), x)[0, 0, 0].numpy()
    theirs = ndimage.rotate(x[0, 0].numpy(), angle, reshape=False, order=1, mode="grid-constant")
    assert act.kinds(torch.tensor([angle]).double()) == ["resampled"]
    assert np.abs(ours - theirs).max() < 1e-9


def test_per_sample_mixture_of_exact_and_resampled_elements() -> None:
    _, act = build("SO2")
    x = noise(3, 1, 9, 9)
    angles = torch.tensor([[90.0, 30.0, 180.0]], dtype=torch.float64)
    each = act.act(angles, x)[0]
    assert torch.equal(each[0], torch.rot90(x[0], 1, (-2, -1)))
    assert torch.equal(each[2], torch.rot90(x[2], 2, (-2, -1)))
    assert torch.allclose(each[1], act.act(torch.tensor([30.0]).double(), x)[0, 1], atol=1e-12)


def test_circular_shift_is_roll() -> None:
    group, act = build("translations", reach=2, border="circular")
    x = noise(2, 1, 7, 6)
    for shift, moved in zip(group.elements(), act.act(group.elements(), x), strict=True):
        assert torch.equal(moved, x.roll(shift.tolist(), dims=(-2, -1)))


@pytest.mark.parametrize(("border", "value"), [("zero", 0.0), ("fill", 0.25)])
def test_filled_shifts_lose_what_leaves(border: str, value: float) -> None:
    group, act = build("translations", reach=2, border=border, fill=value)
    x = noise(2, 1, 7, 7)
    kinds = act.kinds(group.elements())
    assert kinds[0] == "permutation"
    assert set(kinds[1:]) == {"lossy"}
    for (dy, dx), moved in zip(group.elements().tolist(), act.act(group.elements(), x), strict=True):
        expected = ndimage.shift(x[1, 0].numpy(), (dy, dx), order=0, mode="constant", cval=value, prefilter=False)
        assert np.array_equal(moved[1, 0].numpy(), expected)


@pytest.mark.parametrize("border", ["zero", "fill", "circular"])
def test_rotation_borders(border: str) -> None:
    _, act = build("SO2", border=border, fill=0.5 if border == "fill" else 0.0)
    flat = torch.full((1, 1, 17, 17), 0.5, dtype=torch.float64)
    corner = act.act(torch.tensor([45.0]).double(), flat)[0, 0, 0, 0, 0].item()
    assert corner == pytest.approx({"zero": 0.0, "fill": 0.5, "circular": 0.5}[border], abs=1e-12)


def test_circular_rotation_wraps_as_scipy_does() -> None:
    _, act = build("SO2", border="circular")
    x = noise(1, 1, 12, 12)
    ours = act.act(torch.tensor([33.0]).double(), x)[0, 0, 0].numpy()
    theirs = ndimage.rotate(x[0, 0].numpy(), 33.0, reshape=False, order=1, mode="grid-wrap")
    assert np.abs(ours - theirs).max() < 1e-9


def test_disc_masks_every_element_the_identity_too() -> None:
    group, act = build("SO2", border="disc", fill=0.2, taper=4.0)
    x = noise(1, 1, 21, 21)
    prepared = act.prepare(x)
    assert prepared[0, 0, 0, 0].item() == pytest.approx(0.2)
    assert torch.equal(prepared[..., 10, 10], x[..., 10, 10])
    assert torch.equal(act.act(group.identity(), prepared)[0], prepared)
    mask = disc_mask(21, 21, 4.0)
    assert torch.allclose(prepared, (x - 0.2) * mask + 0.2)
    assert ((mask >= 0) & (mask <= 1)).all()
    steps = mask[10].diff().abs().max().item()
    assert steps < 0.45, "the edge is soft"


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0])
def test_zooming_out_is_antialiased_resizing(factor: float) -> None:
    """Reducing by f and padding is what ``interpolate(antialias=True)`` does where sizes come out whole."""
    matrix = zoom_matrix(torch.tensor([factor], dtype=torch.float64), 20, border="zero")[0]
    x = noise(1, 1, 20, 20)
    ours = (matrix @ x @ matrix.mT)[0, 0]
    small = interpolate(x, size=round(20 * factor), mode="bilinear", antialias=True, align_corners=False)[0, 0]
    margin = (20 - len(small)) // 2
    inner = ours[margin : 20 - margin, margin : 20 - margin]
    core = slice(2, -2) if factor < 1 else slice(None)
    assert torch.allclose(inner[core, core], small[core, core], atol=1e-9)


def test_zooming_in_is_bilinear() -> None:
    matrix = zoom_matrix(torch.tensor([1.5], dtype=torch.float64), 21, border="zero")[0]
    signal = noise(21)
    sources = (np.arange(21) - 10) / 1.5 + 10
    assert np.allclose((matrix @ signal).numpy(), np.interp(sources, np.arange(21), signal.numpy()), atol=1e-12)


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.3])
def test_circular_zoom_keeps_constants(factor: float) -> None:
    matrix = zoom_matrix(torch.tensor([factor], dtype=torch.float64), 9, border="circular")
    assert torch.allclose(matrix.sum(-1), torch.ones(1, 9, dtype=torch.float64))


def test_rows_move_to_the_place_that_the_permutation_names() -> None:
    _, act = build("S3", SET)
    x = torch.tensor([[[10.0], [20.0], [30.0]]])
    p = torch.tensor([[1, 2, 0]])
    moved = act.act(p, x)[0, 0, :, 0].tolist()
    expected = [0.0] * 3
    for i, target in enumerate(p[0].tolist()):
        expected[target] = x[0, i, 0].item()
    assert moved == expected


def test_patches_keep_their_insides() -> None:
    _group, act = build("S4", action="patches")
    x = noise(1, 1, 6, 6)
    p = torch.tensor([[2, 0, 3, 1]])
    moved = act.act(p, x)[0]

    def cut(image: Tensor) -> list[Tensor]:
        return [image[..., 3 * (i // 2) : 3 * (i // 2) + 3, 3 * (i % 2) : 3 * (i % 2) + 3] for i in range(4)]

    for i, target in enumerate(p[0].tolist()):
        assert torch.equal(cut(moved)[target], cut(x)[i])


def test_fields_that_no_group_moves() -> None:
    group = groups.load("C4", {})
    for field in (Scalar(), Category(10)):
        act = actions.load(group, "C4", field, {}, on=Image())
        assert torch.equal(act.act(group.elements(), torch.arange(3.0))[2], torch.arange(3.0))


def test_permutations_leave_other_axes_alone() -> None:
    group = groups.load("S3", {})
    act = actions.load(group, "S3", Nodes("edges", Scalar()), {}, on=SET)
    x = noise(2, 5, 1)
    assert torch.equal(act.act(group.elements(), x)[4], x)


@pytest.mark.parametrize(
    ("name", "field", "action", "message"),
    [
        ("scalings", SET, None, "scalings has no action on Scalar over items, expected .*Grid"),
        ("S9", Image(), None, "in several ways, expected action: one of patches, pixels"),
        ("S9", Image(), "patch", "got action 'patch'.*Did you mean 'patches'"),
        ("C4 x translations", Image(), None, "no direct product that acts"),
        ("D4 x C4", Image(), None, "no direct product that acts"),
    ],
)
def test_impossible_pairs(name: str, field: Field, action: str | None, message: str) -> None:
    with pytest.raises(ImpossiblePair, match=message):
        actions.Lookup.of(name, field, action).moving("leaf", field)


@pytest.mark.parametrize(
    ("name", "action", "options", "shape", "message"),
    [
        ("S16", "patches", {}, (1, 33, 33), "4 x 4 patches do not divide an image of 33 x 33"),
        ("S8", "patches", {}, (1, 32, 32), "8 is no square"),
        ("S9", "pixels", {}, (1, 4, 4), "needs 9 pixels, got 16"),
        ("C8", None, {}, (1, 8, 9), "square"),
        ("translations", None, {"reach": 5, "border": "zero"}, (1, 9, 9), "needs more than 10 px"),
        (
            "translations",
            None,
            {"reach": 5, "back": 4, "border": "circular"},
            (1, 9, 9),
            "and 4 px back needs more than 9 px",
        ),
        ("SE2", None, {}, (1, 8, 9), "square"),
        ("SE2", None, {}, (1, 6, 6), "a reach of 3 px needs more than 6 px"),
        ("C4", None, {}, (8,), "an image has shape"),
    ],
)
def test_shapes_that_cannot_be_moved(
    name: str, action: str | None, options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    _, act = build(name, action=action, **options)
    assert message in (act.check(shape) or "")


class RightAction(PermutePlaces):
    """``x[p]``: equal to the left action on single permutations that are their own inverse, and wrong."""

    def bind(self, g: Tensor, like: Tensor) -> Any:
        return super().bind(self.group.inverse(g), like)


class MovesNothing(PermutePlaces):
    def bind(self, g: Tensor, like: Tensor) -> Any:
        return lambda x: torch.full((len(g), *x.shape), torch.nan, dtype=x.dtype)


class MovesTheIdentity(PermutePlaces):
    def bind(self, g: Tensor, like: Tensor) -> Any:
        move = super().bind(g, like)
        return lambda x: move(x.flip(1)).flip(2) + (1e-9 if len(g) == 1 else 0)


class DependsOnTheBatch(PermutePlaces):
    def bind(self, g: Tensor, like: Tensor) -> Any:
        move = super().bind(g, like)
        return lambda x: move(x) * (1 if len(g) == 1 else 1 + 1e-9)


class IgnoresTheSample(PermutePlaces):
    def bind(self, g: Tensor, like: Tensor) -> Any:
        return super().bind(g if g.ndim == 2 else g.flip(-1), like)


@pytest.mark.parametrize("broken", [RightAction, MovesNothing, MovesTheIdentity, DependsOnTheBatch, IgnoresTheSample])
def test_check_action_catches(broken: type[PermutePlaces], generator: torch.Generator) -> None:
    group = groups.load("S5", {})
    act = broken(group, Options())  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        testing.check_action(act, group, noise(2, 5, 1), generator=generator)


# The reference resampler.

ANGLES = [*np.arange(-360, 361, 15.5).tolist(), 45.0, -45.0, 135.0, 225.0, 45.1, 44.9, 80.0, 100.0, 134.9, 90.0, 1e-3]


@pytest.mark.parametrize("size", [8, 9, 32, 33])
def test_fourier_rotation_is_undone_exactly_at_every_angle(size: int) -> None:
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    angles = torch.tensor(ANGLES, dtype=torch.float64)
    there = fourier.rotate(x.expand(len(angles), -1, -1, -1), angles)
    back = fourier.rotate(there, -angles)
    assert float((back - x).abs().max()) <= 1e-12


@pytest.mark.parametrize("angle", [20.0, 70.0, 100.0, 200.0, 45.0, -30.0, 314.0])
def test_fourier_rotation_turns_a_gaussian_to_where_it_belongs(angle: float) -> None:
    """The closed form: a Gaussian about (x, y) turned counter-clockwise."""
    place = torch.arange(43, dtype=torch.float64) - 21

    def gaussian(x: float, y: float) -> Tensor:
        return torch.exp(-((place[:, None] + y) ** 2 + (place[None, :] - x) ** 2) / 18)[None, None]

    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    found = fourier.rotate(gaussian(-4.0, -3.0), torch.tensor([angle], dtype=torch.float64))
    expected = gaussian(-4.0 * cos + 3.0 * sin, -4.0 * sin - 3.0 * cos)
    assert float((found - expected).abs().max()) < 1e-6


def band_limited(size: int, canvas: int) -> Tensor:
    """Noise limited to a disc of 0.75 Nyquist, softly tapered to zero, on an odd canvas with room around it."""
    x = torch.zeros(4, 1, canvas, canvas, dtype=torch.float64)
    m = (canvas - size) // 2
    noise_ = torch.randn(4, 1, size, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x[..., m : canvas - m, m : canvas - m] = noise_ * disc_mask(size, size, size / 3)
    f = torch.fft.fftfreq(canvas, dtype=torch.float64)
    radius = torch.hypot(f[:, None], f[None, :]) / 0.5
    filter_ = (0.5 + 0.5 * torch.cos(torch.pi * (radius / 0.75).clamp(max=1))) * (radius < 0.75)
    return torch.fft.ifft2(torch.fft.fft2(x) * filter_).real


def composition_error(x: Tensor, interpolation: str, border: str) -> float:
    """How far turning by a and then b is from turning by a + b, relative, within the inscribed disc."""
    _, act = build("SO2", interpolation=interpolation, border=border)
    mask = disc_mask(x.shape[-1], x.shape[-1], 4.0)
    errors = []
    for a, b in ((20.0, 37.0), (33.0, 61.0), (50.0, -77.0)):
        g, h, gh = (torch.tensor([angle % 360], dtype=torch.float64) for angle in (a, b, a + b))
        twice = act.act(h, act.act(g, x)[0])[0]
        errors.append(float(((twice - act.act(gh, x)[0]) * mask).norm() / (x * mask).norm()))
    return float(np.mean(errors))


def test_fourier_composes_far_better_on_band_limited_images_with_room(capsys: pytest.CaptureFixture[str]) -> None:
    raw = torch.from_numpy(load_digits().images[:4])[:, None] / 16
    digits = interpolate(raw, size=(29, 29), mode="bicubic", align_corners=False).clamp(0, 1)  # to the very edge
    white = torch.randn(4, 1, 29, 29, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    images = {"band-limited on 43": band_limited(29, 43), "digits, full frame": digits, "white noise": white}
    table = {
        name: {
            i: composition_error(x, i, "circular" if name.startswith("band") else "zero")
            for i in ("bilinear", "bicubic", "fourier")
        }
        for name, x in images.items()
    }
    with capsys.disabled():
        print()
        for name, row in table.items():
            print(f"  composition error, {name:<20}" + "".join(f" {i} {e:.1e}" for i, e in row.items()))
    found = table["band-limited on 43"]
    assert found["fourier"] <= found["bicubic"] / 2
    assert found["fourier"] <= found["bilinear"] / 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_phase_ramps_shift_by_whole_pixels_as_roll_does(dtype: torch.dtype) -> None:
    group, act = build("R2", reach=2.0, step=0.5, interpolation="fourier", border="circular")
    x = noise(2, 1, 8, 9).to(dtype)
    whole = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    assert torch.allclose(
        act.act(whole, x)[0], x.roll((1, -2), (-2, -1)), atol=1e-6 if dtype == torch.float32 else 1e-12
    )
    half = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    smooth_ = smooth(33).to(dtype)
    expected = ndimage.fourier_shift(np.fft.fft2(smooth_[0, 0].numpy()), (0.5, 0.25))
    assert np.allclose(act.act(half, smooth_)[0, 0, 0].numpy(), np.fft.ifft2(expected).real, atol=1e-6)
    assert group.labels(half) == ["(+0.5,+0.25)px"]


def test_sub_pixel_shifts_are_scipys() -> None:
    _, act = build("R2", reach=2.0, step=0.5, border="reflect")
    x = noise(1, 1, 9, 9)
    ours = act.act(torch.tensor([[0.7, -1.3]], dtype=torch.float64), x)[0, 0, 0].numpy()
    theirs = ndimage.shift(np.asarray(x[0, 0], dtype=float), [0.7, -1.3], order=1, mode="mirror", prefilter=False)
    assert np.abs(ours - theirs).max() < 1e-9


def test_reflected_rotation_and_shift_are_scipys() -> None:
    _, turn = build("SO2", border="reflect")
    x = noise(1, 1, 12, 12)
    ours = turn.act(torch.tensor([33.0], dtype=torch.float64), x)[0, 0, 0].numpy()
    assert np.abs(ours - ndimage.rotate(x[0, 0].numpy(), 33.0, reshape=False, order=1, mode="mirror")).max() < 1e-9
    group, move = build("translations", reach=3, border="reflect")
    for (dy, dx), moved in zip(group.elements().tolist(), move.act(group.elements(), x), strict=True):
        assert np.array_equal(moved[0, 0].numpy(), ndimage.shift(x[0, 0].numpy(), (dy, dx), order=0, mode="mirror"))


def test_bicubic_rotation_is_torchvisions() -> None:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import resize

    x = noise(1, 1, 20, 20)
    ours = zoom_matrix(torch.tensor([0.5], dtype=torch.float64), 20, cubic=True)[0]
    small = (ours @ x @ ours.mT)[0, 0, 5:15, 5:15]
    theirs = resize(x, [10, 10], interpolation=InterpolationMode.BICUBIC, antialias=True)[0, 0]
    assert torch.allclose(small[2:-2, 2:-2], theirs[2:-2, 2:-2], atol=1e-9)
    _, act = build("SO2", interpolation="bicubic", border="circular")
    wrapped = act.act(torch.tensor([360.0 - 1e-9], dtype=torch.float64), x)[0]
    assert torch.allclose(wrapped, x, atol=1e-6), "an angle next to 0 hardly moves anything"


@pytest.mark.parametrize(
    ("name", "options", "margin"),
    [
        ("translations", {"reach": 3}, 3),
        ("translations", {"reach": 1, "back": 3}, 3),
        ("SE2", {"reach": 1.0}, 6),
        ("SE2", {"reach": 1.0, "interpolation": "bicubic"}, 7),
        ("SO2", {}, 5),
        ("SO2", {"interpolation": "bicubic"}, 6),
        ("R2", {"reach": 1.0}, 3),
        ("scalings", {"reach": 1.25}, 5),
        ("scalings", {"reach": 1.25, "interpolation": "bicubic"}, 6),
        ("SO2 x scalings", {"reach": 1.1, "oversample": 2}, 6),
    ],
)
def test_a_crop_is_filled_from_within(
    name: str, options: dict[str, Any], margin: int, generator: torch.Generator
) -> None:
    """What lies beyond the canvas does not matter: black and white surroundings give the same pixels."""
    group, act = build(name, border="crop", margin=margin, **options)
    x = noise(2, 1, 31, 31)
    assert act.check((1, 31, 31)) is None
    drawn = group.sample(6, generator=generator)
    moved = act.finish(act.act(drawn, act.prepare(x)))
    assert moved.shape[-2:] == (31 - 2 * margin, 31 - 2 * margin)
    flat = act.finish(act.act(drawn, act.prepare(torch.ones_like(x))))
    assert torch.allclose(flat, torch.ones_like(flat), atol=1e-9)
    _, narrow = build(name, border="crop", margin=1, **options)
    assert "needs a margin of" in (narrow.check((1, 31, 31)) or "")


def test_quarter_turns_need_no_margin() -> None:
    _, act = build("D4", border="crop", margin=1)
    assert act.check((1, 9, 9)) is None


@pytest.mark.gpu
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("name", ["D4", "SO2", "SE2", "scalings", "SO2 x scalings"])
def test_same_elements_and_images_on_the_gpu(name: str, interpolation: str, generator: torch.Generator) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    group, act = build(name, interpolation=interpolation)
    drawn = group.sample(6, generator=generator)
    x = noise(2, 1, 17, 17).float()
    assert torch.allclose(act.act(drawn, x.cuda()).cpu(), act.act(drawn, x), atol=1e-6)
