"""Owns self-attention for the transformers that timm does not have."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attend(nn.Module):
    """softmax(q kᵀ/√h) v for heads of h channels, side by side; in train mode weights are dropped out.

    A module without parts, so that a traced network need not ask for its mode.
    """

    def __init__(self, head: int, dropout: float):
        super().__init__()
        self.head, self.dropout = head, dropout

    def forward(self, qkv: Tensor) -> Tensor:
        """(n, t, 3·d) → (n, t, d)."""
        q, k, v = qkv.unflatten(2, (3, -1, self.head)).permute(2, 0, 3, 1, 4).unbind(0)
        heads = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return heads.transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """proj(attend(qkv(x))): x (n, t, size), size a multiple of `head`, the channels of one head."""

    def __init__(self, size: int, head: int, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        self.qkv = nn.Linear(size, 3 * size, bias=bias)
        self.attend = Attend(head, dropout)
        self.proj = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.attend(self.qkv(x)))
