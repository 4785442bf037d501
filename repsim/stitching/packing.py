"""Owns the packed forward: K stitchers before one frozen suffix, side by side along the batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from repsim.models.cut import Suffix
from repsim.stitching import batchnorm
from repsim.stitching.batchnorm import Statistics
from repsim.stitching.pair import Pair, Reading
from repsim.stitching.stitchers import Stitcher
from repsim.stitching.targets import Outputs

MIB = 1024**2


class Seat(Protocol):
    """Whatever is stitched: a stitcher between a front layer and an end layer.

    `also` are layers behind the cut whose values are wanted; `needs_suffix` is False where nothing behind it is.
    """

    @property
    def front_layer(self) -> str: ...
    @property
    def end_layer(self) -> str: ...
    @property
    def stitcher(self) -> Stitcher: ...
    @property
    def also(self) -> tuple[str, ...]: ...
    @property
    def needs_suffix(self) -> bool: ...
    @property
    def statistics(self) -> Statistics | None: ...


AnySeat = TypeVar("AnySeat", bound=Seat)


def learn(pair: Pair, seats: Sequence[Seat], reading: Reading, batch_statistics: bool = False) -> Outputs:
    """What K seats make of a batch while they are trained, in the pair's precision: `forward` to rounding.

    With `batch_statistics` batch norms use those of each stitcher's own batch.
    """
    if not batch_statistics:
        return _passed(seats, reading, pair.fused_suffix)
    with pair.autocast():
        return forward(pair, seats, reading, "batch")


def forward(
    pair: Pair, seats: Sequence[Seat], reading: Reading, mode: batchnorm.Mode = "running", share: float | None = None
) -> Outputs:
    """What K seats at one end layer make of a batch: one pass of the suffix over K·n stitched activations.

    Every operation of an eval-mode suffix acts on each image alone, and batch norms with statistics of their own see
    each stitcher's images apart; so this equals K passes, and the sum of K losses gives each stitcher its own gradient.
    `mode` and `share` are those of `batchnorm.apart`.
    """

    def exact(layer: str, also: Sequence[str]) -> tuple[Suffix, torch.dtype]:
        return pair.suffix(layer, also), torch.float32

    own = [seat.statistics for seat in seats if seat.statistics is not None]
    if not own or not seats[0].needs_suffix:
        return _passed(seats, reading, exact)
    with batchnorm.apart(pair.suffix(seats[0].end_layer, seats[0].also), own, mode, share):
        return _passed(seats, reading, exact)


def _passed(seats: Sequence[Seat], reading: Reading, suffix_of: Callable[..., tuple[Suffix, torch.dtype]]) -> Outputs:
    first, count = seats[0], len(seats)
    value = torch.cat([_stitched(seat, reading) for seat in seats])
    stitched = value.unflatten(0, (count, -1))
    if not first.needs_suffix:
        return Outputs(first.end_layer, stitched, None, {})
    suffix, dtype = suffix_of(first.end_layer, first.also)
    carried = [torch.cat([tensor.to(dtype)] * count) for tensor in reading.carried[first.end_layer]]
    logits, values = suffix.trace(value.to(dtype), *carried)
    apart = {layer: tensor.float().unflatten(0, (count, -1)) for layer, tensor in values.items()}
    return Outputs(first.end_layer, stitched, logits.float().unflatten(0, (count, -1)), apart)


def _stitched(seat: Seat, reading: Reading) -> Tensor:
    """S in fp32, whatever f and g compute in."""
    front = reading.front[seat.front_layer]
    with torch.autocast(front.device.type, enabled=False):
        return seat.stitcher(front.float())


def chunks(pair: Pair, seats: Sequence[AnySeat], reading: Reading, budget: int) -> list[list[AnySeat]]:
    """Seats that can share a pass, in parts of at least one that keep at most `budget` bytes for a batch like `reading`."""
    alike: dict[tuple, list[AnySeat]] = {}
    for seat in seats:
        alike.setdefault((seat.end_layer, seat.also, seat.needs_suffix, seat.statistics is None), []).append(seat)
    return [part for members in alike.values() for part in split(members, budget // _bytes(pair, members[0], reading))]


def each(
    parts: list[list[AnySeat]],
    work: Callable[[list[AnySeat]], Tensor],
    device: torch.device,
    undo: Callable[[list[AnySeat]], None] = lambda part: None,
) -> list[Tensor]:
    """`work` on every part in turn. One that does not fit into memory is undone and halved, in `parts` for good.

    Statistics that it changed are put back. Raises what `work` raises where even a part of one does not fit.
    """
    done: list[Tensor] = []
    while len(done) < len(parts):
        part = parts[len(done)]
        before = [batchnorm.copied(seat.statistics) for seat in part]
        result = _attempt(work, part)
        if result is not None:
            done.append(result)
            continue
        undo(part)
        for seat, statistics in zip(part, before, strict=True):
            batchnorm.restore_(seat.statistics, statistics)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        parts[len(done) : len(done) + 1] = split(part, (len(part) + 1) // 2)
    return done


def _attempt(work: Callable[[list[AnySeat]], Tensor], part: list[AnySeat]) -> Tensor | None:
    """None where memory ran out; on a CPU the allocator says so in words only."""
    try:
        return work(part)
    except RuntimeError as error:
        if len(part) == 1 or not (isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)):
            raise
        return None


def pass_budget(device: torch.device) -> int:
    """Bytes that autograd may keep of one packed pass: a third of what a GPU has free, 128 MiB elsewhere.

    On a CPU packing saves calls, not arithmetic, and tensors above some 30 MB are slower: each is mapped anew by the system.
    """
    return torch.cuda.mem_get_info(device)[0] // 3 if device.type == "cuda" else 128 * MIB


def keep_budget(device: torch.device) -> int:
    """Bytes of activations that may be kept between epochs: a third of what a GPU has free, 1 GiB elsewhere."""
    return torch.cuda.mem_get_info(device)[0] // 3 if device.type == "cuda" else 1024 * MIB


def split(members: list[AnySeat], size: int) -> Iterator[list[AnySeat]]:
    """The members in parts of `size`, at least one."""
    size = max(1, size)
    for first in range(0, len(members), size):
        yield members[first : first + size]


def kept_of_two(work: Callable[[], object]) -> int:
    """Bytes that autograd keeps of `work` on two images."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.shape[:1] == (2,):
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(note, lambda tensor: tensor):
        work()
    return sum(kept.values())


def _bytes(pair: Pair, seat: Seat, reading: Reading) -> int:
    """What autograd keeps of one stitched batch, measured on two of its images."""
    kept = 0
    value = seat.stitcher(reading.front[seat.front_layer][:2].float()).detach()
    if seat.needs_suffix:
        suffix, dtype = pair.fused_suffix(seat.end_layer, seat.also)
        carried = [tensor[:2].to(dtype, copy=True) for tensor in reading.carried[seat.end_layer]]
        kept = kept_of_two(lambda: suffix(value.to(dtype, copy=True).requires_grad_().clone(), *carried))
    images = len(reading.front[seat.front_layer])
    return max(1, value.numel() * value.element_size() * images // 2, kept * images // 2)
