"""Models: what is built in keeps its promises; weights are read carefully; code is identified by its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from symbench.algebra.fields import Scalar
from symbench.base.code import Code
from symbench.base.errors import ConfigError, ModelError
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.base import Model, Normalisation, declared_outputs
from symbench.domains.common.models.loading import load_into
from symbench.domains.common.models.weights import read
from symbench.domains.images.models.p4_cnn import P4Cnn, P4Conv


def build(name: str, shape: tuple[int, ...], **options: Any) -> nn.Module:
    row, _ = MODELS.find(name)
    torch.manual_seed(0)
    module: nn.Module = row.load()(shape=shape, outputs=10, **row.options(**options).model_dump())
    return module.double().eval()


@pytest.mark.parametrize("name", ["mlp", "cnn", "p4-cnn"])
def test_image_models_give_logits(name: str) -> None:
    assert build(name, (3, 33, 33))(torch.rand(2, 3, 33, 33).double()).shape == (2, 10)


@torch.no_grad()
def test_p4_cnn_is_exact_under_quarter_turns_on_odd_sizes_only() -> None:
    torch.manual_seed(0)
    x = torch.rand(4, 1, 33, 33).double()
    model = build("p4-cnn", (1, 33, 33))
    error = max(float((model(torch.rot90(x, k, (2, 3))) - model(x)).abs().max()) for k in (1, 2, 3))
    assert error <= 1e-12
    even = torch.rand(4, 1, 32, 32).double()
    assert float((model(torch.rot90(even, 1, (2, 3))) - model(even)).abs().max()) > 1e-4, "strides break even sizes"
    assert float((model(x.flip(-1)) - model(x)).abs().max()) > 1e-4, "p4 has no mirrors"


def test_p4_convolution_is_equivariant() -> None:
    """Turning the input turns the maps and moves every orientation to the next."""
    torch.manual_seed(0)
    lift = P4Conv(2, 3, orientations=1, stride=1).double()
    group = P4Conv(3, 5, orientations=4, stride=2).double()
    x = torch.rand(2, 2, 9, 9).double()

    def turned(maps: Tensor) -> Tensor:
        return torch.rot90(maps.unflatten(1, (-1, 4)), 1, (-2, -1)).roll(1, dims=2).flatten(1, 2)

    once = lift(x)
    assert torch.allclose(lift(torch.rot90(x, 1, (2, 3))), turned(once), atol=1e-12)
    assert torch.allclose(group(turned(once)), turned(group(once)), atol=1e-12)


def test_p4_training_keeps_equivariance() -> None:
    torch.manual_seed(0)
    model = P4Cnn(shape=(1, 17, 17), outputs=3, width=4).double()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(torch.rand(8, 1, 17, 17).double()), torch.arange(8) % 3)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    x = torch.rand(3, 1, 17, 17).double()
    assert torch.allclose(model(torch.rot90(x, 1, (2, 3))), model(x), atol=1e-12)


@torch.no_grad()
def test_deep_sets_is_blind_to_order_and_set_mlp_is_not() -> None:
    x = torch.rand(3, 16, 2).double()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    sets, mlp = build("deep-sets", (16, 2)), build("set-mlp", (16, 2))
    assert torch.allclose(sets(x[:, order]), sets(x), atol=1e-13)
    assert float((mlp(x[:, order]) - mlp(x)).abs().max()) > 1e-3


def test_normalisation() -> None:
    x = torch.full((1, 2, 2, 2), 0.5)
    found = Normalisation([0.5, 0.25], [0.5, 0.125])(x)
    assert found[0, :, 0, 0].tolist() == [0.0, 2.0]
    assert Normalisation()(x) is x


class Returns(nn.Module):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Any:
        return self.value(x)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda x: x[:1], r"expected floating point of shape \(3, \.\.\.\)"),
        (lambda x: x.mean(), r"shape \(\)"),
        (lambda x: x.long(), "torch.int64"),
        (lambda x: [], "returned a list of nothing, expected a floating-point tensor"),
        (lambda x: (None, x.long()), r"returned a tuple of a NoneType and \(n, 4\) of torch.int64, expected"),
        (lambda x: {"other": x.long()}, r"returned 'other' \(n, 4\) of torch.int64, expected a floating-point"),
        (lambda x: x @ torch.zeros(7, 7), r"raised RuntimeError: .*\(inputs \{'x': \(3, 4\)\}\)"),
    ],
)
def test_what_a_model_may_not_return(value: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"mine: .*{message}"):
        Model(Returns(value), name="mine")({"x": torch.ones(3, 4)})


def test_declared_outputs() -> None:
    module = Returns(lambda x: x)
    assert list(declared_outputs(module, {"logits": Scalar()})) == ["logits"]
    module.outputs = {"maps": next(iter(MODELS.find("cnn")[0].inputs))}  # type: ignore[assignment]
    assert list(declared_outputs(module, {"logits": Scalar()})) == ["maps"]


# Weights.


def test_weights_round_trip(tmp_path: Path) -> None:
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_into(target, read(tmp_path / "w.safetensors", where="w"), where="w")
    assert torch.equal(source.weight, target.weight)


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": {f"module.{k}": v for k, v in s.items()}}]
)
def test_checkpoints_in_their_usual_wrappings(tmp_path: Path, wrap: Any) -> None:
    source = nn.Linear(3, 2)
    torch.save(wrap(source.state_dict()), tmp_path / "w.pt")
    target = nn.Linear(3, 2)
    assert load_into(target, read(tmp_path / "w.pt", where="w", trust_pickle=True), where="w") == []
    assert torch.equal(target.weight, source.weight)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("code ran",))


def test_bad_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.pt").touch()
    (tmp_path / "junk.safetensors").write_bytes(b"junk" * 10)
    (tmp_path / "junk.pt").write_bytes(b"junk" * 10)
    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    torch.save({0: torch.zeros(1), "a": torch.zeros(1)}, tmp_path / "numbers.pt")
    (tmp_path / "w.onnx").write_text("x")
    for name, message in [
        ("empty.pt", "is empty"),
        ("junk.safetensors", "cannot be read"),
        ("junk.pt", "junk.pt (cannot be read|is no plain state dict|is a pickle)"),
        ("evil.pt", "--trust-pickle"),
        ("gone.pt", r"got 'gone.pt', expected a file at"),
        ("w.onnx", "got 'w.onnx', expected a .safetensors, .pt or .pth file"),
        ("numbers.pt", "expected a state dict of tensors"),
    ]:
        with pytest.raises(ConfigError, match=message):
            read(tmp_path / name, where="models.m.weights")
    assert "code ran" not in capsys.readouterr().out


def test_weights_of_another_architecture() -> None:
    state = {"weight": torch.zeros(3, 2), "extra": torch.zeros(1)}
    with pytest.raises(
        ConfigError, match=r"1 missing keys: bias; 1 unexpected keys: extra; 1 other shapes: weight is \(3, 2\)"
    ):
        load_into(nn.Linear(3, 2), {"": state}, where="w")


# Code.


def code(folder: Path, attribute: str = "build") -> Code:
    found = Code.parse(f"m.py:{attribute}", folder=folder, where="models.m.use")
    assert found is not None
    return found


def test_an_edited_neighbour_is_imported_anew(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("from layers import f\n\ndef build(): return f()\n")
    (tmp_path / "layers.py").write_text("import deep.er\ndef f(): return deep.er.A\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").write_text("")
    (tmp_path / "deep" / "er.py").write_text("A = 1\n")
    assert code(tmp_path).call() == 1
    (tmp_path / "deep" / "er.py").write_text("A = 22\n")
    assert code(tmp_path).call() == 22


def test_a_file_is_run_once(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "import torch\ncount = []\ndef build():\n    count.append(1)\n    return len(count)\n"
    )
    assert [code(tmp_path).call() for _ in range(2)] == [1, 2]


def test_imports_may_come_late(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "def build():\n    def later():\n        import late_neighbour\n        return late_neighbour.A\n    return later\n"
    )
    (tmp_path / "late_neighbour.py").write_text("A = 5\n")
    assert code(tmp_path).call()() == 5


def test_lazy_attributes_are_found(tmp_path: Path) -> None:
    found = Code.parse("symbench:load_suite", folder=tmp_path)
    assert found is not None
    assert found.signature_has("path")


@pytest.mark.parametrize(
    ("content", "attribute", "message"),
    [
        ("def build(): pass", "biuld", "m.py has no 'biuld'.*Did you mean 'build'"),
        ("import nowhere_at_all", "build", "importing 'm.py' raised ModuleNotFoundError"),
        ("import sys; sys.exit(0)", "build", "importing 'm.py' raised SystemExit"),
        ("def build(:", "build", "importing 'm.py' raised SyntaxError"),
        ("build = 3", "build", "build is a int, expected a function or class"),
    ],
)
def test_code_that_cannot_be_used(tmp_path: Path, content: str, attribute: str, message: str) -> None:
    (tmp_path / "m.py").write_text(content)
    with pytest.raises(ConfigError, match=message):
        code(tmp_path, attribute).call()
