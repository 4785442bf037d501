"""Owns the walk over all pairs of blocks of images: what is read when, and shown to which accumulator."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from repsim.errors import InputError
from repsim.similarity.accumulator import Accumulator, Facts, Kernel, Source
from repsim.similarity.blocks import ONE_ROW, Activations, Block, Tile
from repsim.similarity.channels import ChannelSums
from repsim.similarity.footprint import MEDIAN_IMAGES
from repsim.similarity.kernels import Squared
from repsim.similarity.medians import Distances
from repsim.similarity.products import aligned, summable

Read = Callable[[int], Activations]
Tick = Callable[[float, str], None]
Wanted = Sequence[tuple[Kernel, Source]]


class Walk:
    """One walk of some accumulators over a stream of images in blocks.

    At most two blocks are held ready, and the activations of one.
    """

    def __init__(self, accumulators: Sequence[Accumulator], images: int, block: int, read: Read, tick: Tick):
        self._accumulators, self._images, self._block = accumulators, images, block
        self._read, self._tick = read, tick
        self._count = -(-images // block)
        self._wanted = _distinct(accumulators)
        self._sources = list(dict.fromkeys(source for _, source in self._wanted))
        self._held: dict[int, Block] = {}
        self._noted: set[int] = set()
        self.facts = Facts(images)

    @torch.no_grad()
    def go(self) -> Facts:
        """Read and sweep; returns what was found out beside."""
        with full_precision():
            self._begin()
            self._find_channels()
            self._find_medians()
            for sweep in range(max(one.sweeps for one in self._accumulators)):
                self._sweep(sweep)
        self._need_finite()
        return self.facts

    def _begin(self) -> None:
        """Take the shift of every source from the first block."""
        first = self._new(0)
        self._check(first)
        for source in self._sources:
            rows = first.rows(source)
            self.facts.shift[source] = shift = rows.mean(0)
            self.facts.aligned[source] = aligned(rows, shift)
            self.facts.level[source] = summable(shift).square().sum()
            self.facts.spread[source] = torch.zeros_like(self.facts.level[source])
            self.facts.noise = max(self.facts.noise, torch.finfo(rows.dtype).eps)
        self._held = {0: first}

    def _check(self, block: Block) -> None:
        for kernel, source in self._wanted:
            count = block.rows(source).shape[1]
            if count > 1 and kernel.ready in ONE_ROW:
                what = f"layer '{source.value.layer}' has {count} rows per image in view {source.view}, and images are compared"
                raise InputError(what, where="view", do="say view: flatten, pool or position")

    def _find_channels(self) -> None:
        channels = {s: ChannelSums(self.facts.shift[s].mean(0)) for kernel, s in self._wanted if kernel.wants == "channels"}
        for index in range(self._count if channels else 0):
            block = self._block_of(index, (index,))
            for source, sums in channels.items():
                sums.add(block.rows(source))
            self._tick((index + 1) / self._count, "images")
        self.facts.channels = {source: sums.channels() for source, sums in channels.items()}

    def _find_medians(self) -> None:
        wanted = list(dict.fromkeys(source for kernel, source in self._wanted if kernel.wants == "median"))
        if not wanted:
            return
        self.facts.median_images = images = min(self._images, MEDIAN_IMAGES)
        distances = Distances(wanted, images)
        for blocks in self._pairs(-(-images // self._block), [(Squared(), source) for source in wanted]):
            for tile in self._tiles(*blocks):
                distances.add(tile)
        self.facts.median = distances.medians()

    def _sweep(self, sweep: int) -> None:
        takers = [one for one in self._accumulators if one.sweeps > sweep]
        total = self._count * (self._count + 1) // 2
        for done, blocks in enumerate(self._pairs(self._count, _distinct(takers)), start=1):
            for tile in self._tiles(*blocks):
                for one in takers:
                    one.add(tile, sweep)
            self._tick(done / total, "pairs of images")

    def _tiles(self, first: Block, second: Block) -> Iterator[Tile]:
        """All pairs I ≤ J of parts of two blocks."""
        for row in first.parts():
            for column in second.parts():
                if row.start <= column.start:
                    yield Tile(row, column, self.facts)

    def _pairs(self, count: int, wanted: Wanted) -> Iterator[tuple[Block, Block]]:
        """All pairs I ≤ J of the first `count` blocks; a row begins at the end where the one before it stopped."""
        self._held = {index: block for index, block in self._held.items() if block.readable}
        for row in range(count):
            columns = range(row, count)
            for column in columns if row % 2 == 0 else reversed(columns):
                yield self._prepared(row, (row, column), wanted), self._prepared(column, (row, column), wanted)

    def _prepared(self, index: int, keep: Sequence[int], wanted: Wanted) -> Block:
        block = self._block_of(index, keep)
        if block.readable:
            block.prepare(wanted)
            block.forget()
        return block

    def _block_of(self, index: int, keep: Sequence[int]) -> Block:
        """The block, read where it is not held; then only those to `keep` go on being held."""
        if index not in self._held:
            self._held = {held: block for held, block in self._held.items() if held in keep}
            self._held[index] = self._new(index)
        self._note(index)
        return self._held[index]

    def _new(self, index: int) -> Block:
        start = index * self._block
        block = Block(start, self._read(index), self.facts)
        expected = min(self._block, self._images - start)
        assert block.stop - start == expected, f"block {index} has {block.stop - start} images, {expected} were expected"
        return block

    def _note(self, index: int) -> None:
        """Add what a block spreads, once."""
        if index not in self._noted:
            self._noted.add(index)
            for source in self._sources:
                self.facts.spread[source] += summable(self._held[index].spread(source))

    def _need_finite(self) -> None:
        for source, spread in self.facts.spread.items():
            if not bool(spread.isfinite()):
                what = f"the activations of layer '{source.value.layer}' are not all finite"
                raise InputError(what, where=f"{source.side}_layer", do="see whether its network has diverged")


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of fp32 in fp32: neither TF32 nor autocast. What was set before is set again."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _distinct(accumulators: Sequence[Accumulator]) -> Wanted:
    return list(dict.fromkeys(need for one in accumulators for need in one.needs()))
