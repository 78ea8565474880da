"""Writes the same weights as several frameworks do."""

from __future__ import annotations

import torch
from model import Net, Tied
from safetensors.torch import save_model
from torch.optim.swa_utils import AveragedModel

net, other = Net(5), Net(6)
state = net.state_dict()
average = AveragedModel(net)
average.update_parameters(net)
save_model(Tied(5), "tied.safetensors")
torch.save(state, "plain.pt")
torch.save(average.state_dict(), "averaged.pt")
trained = {f"model.{key}": value for key, value in state.items()}
torch.save({"epoch": 3, "state_dict": {**trained, "criterion.weight": torch.ones(2)}}, "lightning.ckpt")
torch.save({**state, "total_ops": torch.zeros(1), "total_params": torch.zeros(1)}, "profiled.pt")
torch.save({f"_forward_module.{key}": value for key, value in state.items()}, "fabric.pt")
torch.save({"ema": state, "epoch": 1}, "ema.pth")
torch.save({"model": other.state_dict(), "ema": state}, "both.pt")
