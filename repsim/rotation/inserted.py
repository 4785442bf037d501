"""Owns a network from a layer on, with a fixed matrix in front: (value, carried values) → logits."""

import copy
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from repsim.models.parts import Suffix
from repsim.rotation.matrices import rotate
from repsim.stitching.batchnorm import norms

Norms = Literal["train", "frozen"]
Inputs = tuple[Tensor, ...]
"""The value of the layer and what passes it by, of a batch."""


class Inserted(nn.Module):
    """suffix(M · value, carried): what passes the layer by, as a residual branch does, is not rotated.

    The suffix is a copy of its own, all of it trained; the matrix is not. Without a matrix it is the suffix itself.
    `norms`: "train" normalises by the statistics of the batch while it is trained, which enter the running ones that it is scored
    by; "frozen" always by the running ones as they are.
    """

    matrix: Tensor | None

    def __init__(self, suffix: Suffix, matrix: Tensor | None, norms: Norms = "train"):
        super().__init__()
        self.suffix = copy.deepcopy(suffix).requires_grad_(True)
        self.register_buffer("matrix", None if matrix is None else matrix.float())
        self.norms = norms

    def forward(self, inputs: Inputs) -> Tensor:
        value, *carried = inputs
        return self.suffix(value if self.matrix is None else rotate(value, self.matrix), *carried)

    def train(self, mode: bool = True) -> "Inserted":
        """As of any module; frozen batch norms stay as they are."""
        super().train(mode)
        if self.norms == "frozen":
            for norm in norms(self.suffix).values():
                norm.eval()
        return self

    def values(self) -> dict[str, Tensor]:
        """All that is trained, and the running statistics, by name: not a copy."""
        return {name: value.detach() for name, value in self.suffix.state_dict().items()}

    @torch.no_grad()
    def fill(self, values: Mapping[str, Tensor]) -> None:
        """Take over what `values` of another one, or of this one at another time, were."""
        for name, value in self.values().items():
            value.copy_(values[name])
