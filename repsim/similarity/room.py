"""Owns how what is planned shares memory: what gathers its sums at once, what walks together, in blocks of how many images."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from repsim.errors import InputError
from repsim.similarity import factors
from repsim.similarity import pieces as costs
from repsim.similarity.footprint import footprint
from repsim.similarity.pieces import Piece
from repsim.similarity.planned import short
from repsim.similarity.request import Sample, Value

BLOCK, GOOD_BLOCK, LEAST_BLOCK = 2_048, 512, 64  # images of a block: larger makes products no faster, smaller makes them slow
BATCH, LEAST_BATCH = 500, 16  # images that networks see at once
STREAM_SHARE, WORKING = 0.25, 4  # of memory by a batch, of which every number is held so many times while it is worked on


@dataclass(frozen=True)
class Room:
    """Memory for one comparison.

    Attributes:
        sample: the images.
        bytes: that may be taken.
        device: "cpu" or "cuda".
    """

    sample: Sample
    bytes: float
    device: str

    def streams(self, some: Iterable[Piece]) -> list[list[Piece]]:
        """The pieces, by position, in as few streams as fit. Raises InputError for one whose sums and factors do not fit alone."""
        streams: list[list[Piece]] = []
        held: set[Hashable] = set()
        taken = working = 0
        for piece in sorted(some, key=lambda piece: piece.place):
            found, beside = self._parts(piece), factors.working(piece, self.sample)
            more = sum(size for key, size in found.items() if key not in held)
            if not streams or taken + more + max(working, beside) > self.bytes:
                streams.append([])
                held, taken, working, more = set(), 0, 0, sum(found.values())
                self._need(more + beside, piece)
            streams[-1].append(piece)
            held.update(found)
            taken, working = taken + more, max(working, beside)
        return streams

    def walks(self, some: Iterable[Piece]) -> list[list[Piece]]:
        """The pieces in as few walks as fit in blocks of a good size; slices of other positions never meet."""
        apart = groupby(sorted(some, key=lambda piece: piece.place), key=lambda piece: piece.place)
        return [walk for _, same in apart for walk in self._halved(list(same))]

    def block(self, walk: Sequence[Piece]) -> int:
        """Images of a block: as many as fit. Raises InputError where the fewest are too many."""
        block = min(self.sample.images, BLOCK)
        while self.walk_bytes(walk, block) > self.bytes:
            if block <= LEAST_BLOCK:
                self._need(self.walk_bytes(walk, block), walk[0])
            block = max(LEAST_BLOCK, block // 2)
        return block

    def batch(self, some: Sequence[Piece]) -> int:
        """Images of a batch of the stream: its activations, and what is made of them, take no more than their share.

        Whole minibatches where they fit: none then waits for its last images.
        """
        fitting = int(STREAM_SHARE * self.bytes / (WORKING * costs.NUMBER * max(1, costs.numbers(some))))
        batch = max(LEAST_BATCH, min(BATCH, fitting))
        minibatch = max((piece.asked.chosen.get("batch", 1) for piece in some), default=1)
        return max(batch - batch % minibatch, min(batch, minibatch))

    def stream_bytes(self, some: Iterable[Piece]) -> int:
        """Of what some pieces hold while images go by, and of what is factored once all are seen."""
        found: dict[Hashable, int] = {}
        working = 0
        for piece in some:
            found |= self._parts(piece)
            working = max(working, factors.working(piece, self.sample))
        return sum(found.values()) + working

    def walk_bytes(self, walk: Sequence[Piece], block: int) -> int:
        """Of a walk in blocks of so many images."""
        sizes: dict[tuple[str, Value], tuple[int, int]] = {}
        for piece in walk:
            sizes["front", piece.asked.front] = piece.front.rows, piece.front.width
            sizes["end", piece.asked.end] = piece.end.rows, piece.end.width
        asked = list(dict.fromkeys(piece.asked for piece in walk))
        return footprint(asked, self.sample, block, lambda side, value, view: sizes[side, value], self.device)

    @property
    def _groups(self) -> int:
        return self.sample.groups if self.sample.draws else 1

    def _parts(self, piece: Piece) -> dict[Hashable, int]:
        """Bytes by what they hold, until the stream is done with."""
        return {**costs.parts(piece, self._groups, self.sample.images), **factors.kept(piece, self.sample)}

    def _halved(self, walk: list[Piece]) -> list[list[Piece]]:
        """The walk, in halves and halves of these until each fits or is one piece."""
        if len(walk) == 1 or self.walk_bytes(walk, GOOD_BLOCK) <= self.bytes:
            return [walk]
        middle = len(walk) // 2
        return [*self._halved(walk[:middle]), *self._halved(walk[middle:])]

    def _need(self, needed: int, piece: Piece) -> None:
        """Raise InputError where so much is more than there is."""
        asked = piece.origin
        if needed > self.bytes:
            what = f"{asked.measure} of '{asked.front.layer}' and '{asked.end.layer}' needs {short(needed, 'B')} of memory"
            do = "choose view: channel, pool or position, fewer images, or no bootstrap"
            raise InputError(f"{what}, and {short(self.bytes, 'B')} may be taken", where=f"view {asked.view}", do=do)
