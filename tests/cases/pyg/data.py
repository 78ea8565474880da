"""A small data set of PyTorch Geometric: rings with chords, whose edges have lengths; saved to disk and read again."""

from __future__ import annotations

from pathlib import Path

import torch
from torch_geometric.data import Data, InMemoryDataset


class Rings(InMemoryDataset):
    """Its processed file is in ``root``, where it is made on first use."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.load(self.processed_paths[0])

    @property
    def processed_file_names(self) -> list[str]:
        """One file."""
        return ["rings.pt"]

    def process(self) -> None:
        """40 rings of 5 to 9 nodes, with one chord each where they are of class 1."""
        generator = torch.Generator().manual_seed(0)
        self.save([ring(i % 2, generator) for i in range(40)], self.processed_paths[0])


def ring(label: int, generator: torch.Generator) -> Data:
    n = int(torch.randint(5, 10, (1,), generator=generator))
    one = torch.arange(n)
    pairs = torch.stack([one, (one + 1) % n])
    if label:
        pairs = torch.cat([pairs, torch.tensor([[0], [2]])], dim=1)
    edges = torch.cat([pairs, pairs.flip(0)], dim=1)
    return Data(
        x=torch.randn(n, 3, generator=generator),
        edge_index=edges,
        edge_attr=torch.rand(edges.shape[1], 2, generator=generator),
        y=torch.tensor([label]),
    )


def load() -> Rings:
    return Rings(str(Path(__file__).parent / "rings"))
