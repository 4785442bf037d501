"""Owns batch-norm statistics of a stitcher's own: kept apart where several stitchers share a pass of g.

The statistics of the network itself are never touched. `frozen` stitchers have none of their own and use those.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

Statistics = dict[str, tuple[Tensor, Tensor]]  # name of a norm behind the cut → running mean and variance, each (c,)
Mode = Literal["running", "batch"]


def own(suffix: nn.Module) -> Statistics:
    """A copy of g's statistics behind the cut, for one stitcher."""
    return {name: (_known(norm.running_mean).clone(), _known(norm.running_var).clone()) for name, norm in norms(suffix).items()}


def copied(statistics: Statistics | None) -> Statistics | None:
    """The same values in tensors of their own."""
    return None if statistics is None else {name: (mean.clone(), variance.clone()) for name, (mean, variance) in statistics.items()}


def restore_(statistics: Statistics | None, before: Statistics | None) -> None:
    """Take `before` back, in place."""
    if statistics is not None and before is not None:
        for name, values in before.items():
            for now, then in zip(statistics[name], values, strict=True):
                now.copy_(then)


def norms(suffix: nn.Module) -> dict[str, _BatchNorm]:
    """The batch norms with running statistics behind the cut, by name."""
    return {name: m for name, m in suffix.named_modules() if isinstance(m, _BatchNorm) and m.track_running_stats}


@contextmanager
def apart(suffix: nn.Module, statistics: Sequence[Statistics], mode: Mode, share: float | None = None) -> Iterator[None]:
    """Within it the batch of `suffix` is K equal parts, and the k-th uses `statistics[k]`.

    running: each part is normalised by its own running statistics. batch: by those of the part itself, which enter the
    running ones with weight `share` (None: the norm's own momentum).
    """
    members = norms(suffix)
    try:
        for name, norm in members.items():
            # an instance attribute goes before the class's method; the module itself is shared with the network
            object.__setattr__(norm, "forward", _normaliser(norm, [each[name] for each in statistics], mode, share))
        yield
    finally:
        for norm in members.values():
            norm.__dict__.pop("forward", None)


def _normaliser(
    norm: _BatchNorm, running: list[tuple[Tensor, Tensor]], mode: Mode, share: float | None
) -> Callable[[Tensor], Tensor]:
    momentum = norm.momentum if share is None else share
    assert momentum is not None, "a cumulative average needs its share"

    def normalise(x: Tensor) -> Tensor:
        parts = x.chunk(len(running))
        batch = mode == "batch" and parts[0][:, 0].numel() > 1  # a single value has no variance
        done = [
            functional.batch_norm(part, mean, variance, norm.weight, norm.bias, batch, momentum, norm.eps)
            for part, (mean, variance) in zip(parts, running, strict=True)
        ]
        return torch.cat(done)

    return normalise


def _known(buffer: Tensor | None) -> Tensor:
    assert buffer is not None
    return buffer
