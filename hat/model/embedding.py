"""Token and position embeddings."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.model.positions import sinusoids


class SinusoidalPositions(nn.Module):
    """Sinusoidal position vectors: sines in the first half of the features, cosines in the second.

    The table is built at the super width and sliced; a table built at the sampled width would differ. As in fairseq,
    positions count from 1 and the vector of padding is zero.

    Args:
        super_dim: features of the table.
        positions: rows of the table at first.
    """

    def __init__(self, super_dim: int, positions: int = 1024) -> None:
        super().__init__()
        self.super_dim = super_dim
        self.register_buffer("table", self._make(positions), persistent=False)
        self.table: Tensor

    def _make(self, positions: int) -> Tensor:
        return torch.from_numpy(sinusoids(self.super_dim, positions))

    def forward(self, numbers: Tensor, dim: int, longest: int) -> Tensor:
        """Look up position vectors; the table grows for a position beyond it.

        Args:
            numbers: positions counted from 1, 0 for padding, [...].
            dim: leading features to return.
            longest: position that none of ``numbers`` exceeds; finding it would wait for a GPU.

        Returns:
            [..., dim].
        """
        if longest >= self.table.size(0):
            self.table = self._make(2 * (longest + 1)).to(self.table.device)
        return F.embedding(numbers, self.table)[..., :dim]


class TokenEmbedding(nn.Module):
    """Token embeddings; a narrower network takes their leading features, and the output projection may share them.

    Args:
        vocabulary: V, number of tokens.
        dim: features of the table.
        padding: token id whose vector stays zero; None for no such token.
    """

    def __init__(self, vocabulary: int, dim: int, padding: int | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, dim).normal_(std=dim**-0.5))
        if padding is not None:
            with torch.no_grad():
                self.weight[padding].zero_()
        self.padding = padding

    def forward(self, tokens: Tensor, dim: int) -> Tensor:
        """Look up token ids [B, S] -> [B, S, dim]."""
        return F.embedding(tokens, self.weight, padding_idx=self.padding)[..., :dim]

    def sliced(self, dim: int) -> Tensor:
        """Return the weights of the output projection from ``dim`` features, [V, dim]."""
        return self.weight[:, :dim]
