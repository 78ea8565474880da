"""Checkpoints as frameworks write them: every weight is found, or nothing is loaded, and what is left over is said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CaseOf
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from symbench.base.errors import ConfigError
from symbench.domains.common.models.loading import load_into
from symbench.domains.common.models.weights import read

State = dict[str, Tensor]


class Net(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)


class Tied(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight


class Holds(nn.Module):
    """A network of a user's that keeps another as an attribute."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, Net())


def behind(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def loaded(target: nn.Module, held: object, folder: Path, **options: Any) -> list[str]:
    torch.save(held, folder / "w.pt")
    states = read(folder / "w.pt", where="w", trust_pickle=True)
    return load_into(target, states, where="models.m.weights", file="w.pt", **options)


def equal(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0].keys() | states[1].keys())


def averaged(net: nn.Module) -> State:
    average = AveragedModel(net)
    average.update_parameters(net)
    return average.state_dict()


WRAPPINGS: dict[str, Callable[[Net], object]] = {
    "plain": lambda net: net.state_dict(),
    "beside the epoch": lambda net: {"epoch": 3, "model_state_dict": net.state_dict()},
    "with an optimiser": lambda net: {
        "state_dict": behind("model.", net.state_dict()),
        "optimizer": torch.optim.Adam(net.parameters()).state_dict(),
    },
    "twice": lambda net: {"model": {"state_dict": behind("module.", net.state_dict())}},
    "compiled": lambda net: {"net": behind("_orig_mod.", net.state_dict())},
    "data-parallel": lambda net: behind("module._orig_mod.", net.state_dict()),
    "compiled data-parallel": lambda net: behind("_orig_mod.module.", net.state_dict()),
    "lightning compiled": lambda net: {"state_dict": behind("model._orig_mod.", net.state_dict())},
    "old, without counters": lambda net: {k: v for k, v in net.state_dict().items() if "num_batches" not in k},
    "a layer sharded": lambda net: {
        k.replace("conv.", "conv._fsdp_wrapped_module."): v for k, v in net.state_dict().items()
    },
    "fabric": lambda net: behind("_forward_module.", net.state_dict()),
    "an attribute of a user's": lambda net: behind("encoder.trunk.", net.state_dict()),
    "ema": lambda net: {"ema": net.state_dict(), "epoch": 1},
    "timm's ema": lambda net: {"state_dict_ema": net.state_dict(), "arch": "net"},
    "ema_state_dict": lambda net: {"ema_state_dict": behind("module.", net.state_dict())},
    "beside other keys": lambda net: {**net.state_dict(), "epoch": 3},
    "a module": lambda net: {"model": net},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=list(WRAPPINGS))
def test_checkpoints_in_their_usual_wrappings(tmp_path: Path, wrap: Callable[[Net], object]) -> None:
    source, target = Net(1), Net(2)
    assert loaded(target, wrap(source), tmp_path) == [], "nothing is left over"
    assert equal(source, target)


def test_a_pickled_module_needs_trust(tmp_path: Path) -> None:
    torch.save({"model": Net()}, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match="--trust-pickle"):
        read(tmp_path / "w.pt", where="w")


@pytest.mark.parametrize("attribute", ["model", "module", "_orig_mod"])
@pytest.mark.parametrize("wrap", [dict, lambda state: behind("net.", state)], ids=["plain", "other prefix"])
def test_prefixes_of_the_models_own_are_found(tmp_path: Path, attribute: str, wrap: Callable[[State], State]) -> None:
    target, source = Holds(attribute), Net(1)
    assert loaded(target, wrap(source.state_dict()), tmp_path) == []
    assert equal(target.get_submodule(attribute), source)
    loaded(target, Holds(attribute).state_dict(), tmp_path)
    assert equal(target, Holds(attribute))


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (
            lambda net: averaged(net),
            "1 key of w.pt is none of the model's and left out (nothing learnt): n_averaged",
        ),
        (
            lambda net: {"state_dict": {**behind("model.", net.state_dict()), "criterion.weight": torch.ones(2)}},
            "1 key of w.pt is none of the model's and left out: criterion.weight",
        ),
        (
            lambda net: {**net.state_dict(), "total_ops": torch.zeros(1), "conv.total_params": torch.zeros(1)},
            "2 keys of w.pt are none of the model's and left out (nothing learnt): total_ops, conv.total_params",
        ),
        (
            lambda net: {**net.state_dict(), **{f"aux.{i}": torch.ones(1) for i in range(7)}},
            "7 keys of w.pt are none of the model's and left out: aux.0, aux.1, aux.2, aux.3, aux.4 and 2 more",
        ),
    ],
    ids=["averaged", "lightning", "profiled", "another head"],
)
def test_what_is_left_over_is_named(tmp_path: Path, wrap: Callable[[Net], object], said: str) -> None:
    source, target = Net(1), Net(2)
    assert loaded(target, wrap(source), tmp_path) == [said]
    assert equal(source, target)


def test_tied_weights_are_there_under_one_of_their_names(tmp_path: Path) -> None:
    source, target = Tied(1), Tied(2)
    save_model(source, str(tmp_path / "w.safetensors"))
    states = read(tmp_path / "w.safetensors", where="w")
    assert len(states[""]) == 3, "safetensors' own function leaves one of them out"
    assert load_into(target, states, where="w") == []
    assert equal(source, target)
    assert target.one.weight is target.two.weight


def test_weights_that_are_tied_here_alone_are_refused(tmp_path: Path) -> None:
    """Whichever was loaded last would stand for both."""
    state = {**Tied(1).state_dict(), "two.weight": torch.ones(4, 4)}
    with pytest.raises(
        ConfigError, match=r"1 tied here and not there: one.weight and two.weight, expected the 4 keys"
    ):
        loaded(Tied(), state, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: {k: v for k, v in s.items() if k != "head.bias"},
            "1 missing keys: head.bias, expected the 9 keys",
        ),
        (lambda s: behind("model.", {k: v for k, v in s.items() if k != "head.bias"}), "1 missing keys: head.bias,"),
        (lambda s: {**s, "head.bias": torch.zeros(3)}, r"1 other shapes: head.bias is \(3,\) and the model's \(2,\)"),
        (lambda s: {"a.0": s["head.bias"]}, "8 missing keys: .*; 1 unexpected keys: a.0"),
    ],
    ids=["missing", "missing behind a prefix", "other shapes", "nothing alike"],
)
def test_nothing_is_loaded_in_part(tmp_path: Path, change: Callable[[State], State], message: str) -> None:
    target = Net(2)
    with pytest.raises(ConfigError, match=f"models.m.weights: the weights are of another architecture: {message}"):
        loaded(target, change(Net(1).state_dict()), tmp_path)
    assert equal(target, Net(2))


class Deep(nn.Module):
    """A network of blocks, as resnets are, with a head."""

    def __init__(self, blocks: int, gates: bool = False) -> None:
        super().__init__()
        names = [f"block{i}" for i in range(2)]
        for name in names:
            layers: list[nn.Module] = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(blocks)]
            self.add_module(name, nn.Sequential(*layers))
        self.head = nn.Linear(4, 2)
        if gates:
            self.head.gate = nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("saved", "target", "message"),
    [
        (Deep(3), Deep(2), "4 unexpected keys: block0.2.bias, block0.2.weight, block1.2.bias, block1.2.weight"),
        (Deep(2, gates=True), Deep(2), "2 unexpected keys: head.gate.bias, head.gate.weight"),
        (nn.Sequential(*[nn.Linear(4, 4)] * 3), nn.Sequential(*[nn.Linear(4, 4)] * 2), "2 unexpected keys: 2.bias, 2.weight"),
    ],
    ids=["deeper", "gated", "a longer sequence"],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "model.", "trunk."])
def test_a_deeper_network_is_another(
    tmp_path: Path, saved: nn.Module, target: nn.Module, message: str, prefix: str
) -> None:
    """All that the shallower one wants is there, as in resnet34 for resnet18, and yet nobody trained it."""
    with pytest.raises(ConfigError, match="the weights are of another architecture") as caught:
        loaded(target, behind(prefix, saved.state_dict()), tmp_path)
    if not prefix:
        assert message in str(caught.value)


def test_resnet34_is_not_resnet18(tmp_path: Path) -> None:
    from torchvision.models import resnet18, resnet34

    with pytest.raises(ConfigError, match="80 unexpected keys: layer1.2.bn1.bias"):
        loaded(resnet18(), resnet34().state_dict(), tmp_path)


def test_an_average_beside_the_weights_is_said_and_can_be_asked_for(tmp_path: Path) -> None:
    held = {"state_dict": Net(1).state_dict(), "state_dict_ema": behind("module.", Net(3).state_dict())}
    target = Net(2)
    (said,) = loaded(target, held, tmp_path)
    assert said == (
        "w.pt holds weights that fit under state_dict, state_dict_ema.module: the first are taken; "
        "weights: {file: w.pt, key: state_dict_ema.module} takes others"
    )
    assert equal(target, Net(1))
    for key in ("state_dict_ema.module", "state_dict_ema"):
        assert loaded(target, held, tmp_path, key=key) == []
        assert equal(target, Net(3))
    with pytest.raises(
        ConfigError, match="got key 'state_dict_emma', expected one of state_dict, .*Did you mean 'state"
    ):
        loaded(target, held, tmp_path, key="state_dict_emma")


def test_an_average_behind_a_prefix_is_said_too(tmp_path: Path) -> None:
    held = {"state_dict": {**behind("model.", Net(1).state_dict()), **behind("ema.", Net(3).state_dict())}}
    target = Net(2)
    (said,) = loaded(target, held, tmp_path)
    assert "holds weights that fit under state_dict.model, state_dict.ema: the first are taken" in said
    assert equal(target, Net(1))
    assert loaded(target, held, tmp_path, key="ema") == [
        "9 keys of w.pt are none of the model's and left out: "
        "model.conv.weight, model.conv.bias, model.norm.weight, model.norm.bias, model.norm.running_mean and 4 more"
    ]
    assert equal(target, Net(3))


def test_two_networks_in_one_file_are_asked_about(tmp_path: Path) -> None:
    held = {**behind("student.", Net(1).state_dict()), **behind("teacher.", Net(3).state_dict())}
    with pytest.raises(
        ConfigError, match="w.pt holds several that fit Net: student, teacher, expected one. Say which"
    ):
        loaded(Net(2), held, tmp_path)
    target = Net(2)
    loaded(target, held, tmp_path, key="teacher")
    assert equal(target, Net(3))


def test_the_same_weights_twice_are_no_question(tmp_path: Path) -> None:
    state = Net(1).state_dict()
    assert loaded(Net(2), {"best": state, "last": dict(state)}, tmp_path) == []


def test_checkpoints_of_many_frameworks_are_one_network(case: CaseOf) -> None:
    found = case("checkpoints")
    subprocess.run([sys.executable, "make.py"], cwd=found.path, check=True)
    ran = found.run()
    assert ran.code == 0, ran.err
    names = ("averaged", "lightning", "profiled", "fabric", "ema")
    for name in names:
        for metric in ("equivariance_error", "consistency", "accuracy"):
            assert found.estimate(metric, model=name) == found.estimate(metric, model="plain")
    assert found.estimate("equivariance_error", model="tied") == found.estimate("equivariance_error", model="built")
    assert found.estimate("equivariance_error", model="tied") > 0.01
    assert "lightning: 1 key of lightning.ckpt is none of the model's and left out: criterion.weight" in ran.err
    assert "chosen" not in ran.err
    assert found.estimate("equivariance_error", model="chosen") == found.estimate("equivariance_error", model="plain")
    assert found.estimate("equivariance_error", model="usual") != found.estimate("equivariance_error", model="plain")
    assert "usual: both.pt holds weights that fit under model, ema: the first are taken" in ran.err
