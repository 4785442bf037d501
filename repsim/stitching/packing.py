"""Owns the packed forward: K stitchers before one frozen suffix, side by side along the batch."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from repsim.models.cut import Suffix
from repsim.stitching.pair import Pair, Reading
from repsim.stitching.stitchers import Stitcher

MIB = 1024**2


class Seat(Protocol):
    """Whatever is stitched: a stitcher between a front layer and an end layer."""

    @property
    def front_layer(self) -> str: ...
    @property
    def end_layer(self) -> str: ...
    @property
    def stitcher(self) -> Stitcher: ...


AnySeat = TypeVar("AnySeat", bound=Seat)


def forward(suffix: Suffix, seats: Sequence[Seat], reading: Reading) -> Tensor:
    """Logits (K, n, classes) of K seats at one end layer: one pass of the suffix over K·n stitched activations.

    Every operation of an eval-mode suffix acts on each image alone, so this equals K passes, and the sum of K losses
    gives each stitcher its own gradient.
    """
    value = torch.cat([seat.stitcher(reading.front[seat.front_layer]) for seat in seats])
    carried = [torch.cat([tensor] * len(seats)) for tensor in reading.carried[seats[0].end_layer]]
    return suffix(value, *carried).unflatten(0, (len(seats), -1))


def chunks(pair: Pair, seats: Sequence[AnySeat], reading: Reading, budget: int) -> list[list[AnySeat]]:
    """Seats by end layer, in parts whose activations for one batch like `reading` stay within `budget` bytes (one at least)."""
    by_layer: dict[str, list[AnySeat]] = {}
    for seat in seats:
        by_layer.setdefault(seat.end_layer, []).append(seat)
    return [part for members in by_layer.values() for part in _split(members, budget // _bytes(pair, members[0], reading))]


def pass_budget(device: torch.device) -> int:
    """Bytes that autograd may keep of one packed pass: a third of what a GPU has free, 128 MiB elsewhere.

    On a CPU packing saves calls, not arithmetic, and tensors above some 30 MB are slower: each is mapped anew by the system.
    """
    return torch.cuda.mem_get_info(device)[0] // 3 if device.type == "cuda" else 128 * MIB


def keep_budget(device: torch.device) -> int:
    """Bytes of activations that may be kept between epochs: a third of what a GPU has free, 1 GiB elsewhere."""
    return torch.cuda.mem_get_info(device)[0] // 3 if device.type == "cuda" else 1024 * MIB


def _split(members: list[AnySeat], size: int) -> Iterator[list[AnySeat]]:
    size = max(1, size)
    for first in range(0, len(members), size):
        yield members[first : first + size]


def _bytes(pair: Pair, seat: Seat, reading: Reading) -> int:
    """What autograd keeps of one stitched batch, measured on two of its images."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.shape[:1] == (2,):
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    value = seat.stitcher(reading.front[seat.front_layer][:2]).detach()
    carried = [tensor[:2].clone() for tensor in reading.carried[seat.end_layer]]
    with torch.enable_grad(), saved_tensors_hooks(note, lambda tensor: tensor):
        pair.suffixes[seat.end_layer](value.requires_grad_().clone(), *carried)
    images = len(reading.front[seat.front_layer])
    return max(1, sum(kept.values()) * images // 2)
