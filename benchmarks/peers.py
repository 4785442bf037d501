"""Owns the other packages: whether they are there in the version that is meant, and how each of them is asked."""

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor, nn

VERSIONS = {"torch-cka": "0.21", "pytorch-cka": "1.1.3"}
INSTALL = "pip install --no-deps --target FOLDER torch-cka==0.21 pytorch-cka==1.1.3 tqdm"
"""Into a folder of their own: no part of repsim needs them."""


def refuse_missing() -> None:
    """Leave with how to install them, unless both are there in the version that is meant."""
    for name, wanted in VERSIONS.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            sys.exit(f"{name} {wanted} is not there\n  → {INSTALL}, then say --peers FOLDER")
        if found != wanted:
            sys.exit(f"{name} is there in version {found}, not {wanted}\n  → {INSTALL}, then say --peers FOLDER")


def torch_cka(front: nn.Module, end: nn.Module, names: Sequence[str], batches: Any, device: str) -> Tensor:
    """Minibatch CKA of all pairs by torch-cka, (front, end). Raises AssertionError where it comes to no number."""
    from torch_cka import CKA

    asked = CKA(front, end, "front", "end", list(names), list(names), device)
    asked.compare(batches, batches)
    return asked.hsic_matrix


def pytorch_cka(front: nn.Module, end: nn.Module, names: Sequence[str], batches: Any, device: str) -> Tensor:
    """The same by pytorch-cka, clamped to [0, 1] as it does."""
    from cka import compute_cka

    (found,) = compute_cka(front, end, batches, layers=list(names), model2_layers=list(names), device=device, progress=False)
    return found.cpu()


PEERS: dict[str, Callable[..., Tensor]] = {"torch-cka": torch_cka, "pytorch-cka": pytorch_cka}


if __name__ == "__main__":
    refuse_missing()
