"""Owns the pass of the measures that need a number for every pair of images: which accumulator gathers what for whom."""

from collections.abc import Sequence

from repsim.similarity.accumulator import Accumulator
from repsim.similarity.kernel_measures import KERNEL_MEASURES, KernelMeasures
from repsim.similarity.neighbours import Neighbours
from repsim.similarity.request import Request, Sample
from repsim.similarity.rsa import Rsa
from repsim.similarity.similarity import Similarity
from repsim.similarity.walk import Read, Tick, Walk


class TilePass:
    """All requests of measures of pairs of images, in one walk over the stream.

    Products are of the precision of the activations (fp32 at least, without TF32), sums of fp64. However the stream is cut
    into blocks, the numbers are the same but for rounding.
    """

    def __init__(self, requests: Sequence[Request], sample: Sample, block: int):
        """`block`: images of a block; two blocks of activations, made ready, are held at once: see `footprint.footprint`."""
        kinds: dict[type[Accumulator], list[Request]] = {}
        for request in dict.fromkeys(requests):
            kinds.setdefault(ACCUMULATORS[request.measure], []).append(request)
        self._sample, self._block = sample, block
        self._accumulators = [kind(found, sample) for kind, found in kinds.items()]
        self._found: dict[Request, Similarity] = {}

    def run(self, read: Read, tick: Tick = lambda share, text: None) -> None:
        """Walk over the stream.

        Args:
            read: all activations (n, …) of images [i·block, (i + 1)·block) of the stream, by value, of front and end; called about
                (images / block)² / 2 times for each sweep, seldom twice in a row for the same i.
            tick: progress, called after each pair of blocks with the share of the present sweep; what it raises passes through.

        Raises:
            InputError: activations that are not finite, or that have many rows per image where a measure takes one.
        """
        facts = Walk(self._accumulators, self._sample.images, self._block, read, tick).go()
        for one in self._accumulators:
            self._found |= one.results(facts)

    def results(self) -> dict[Request, Similarity]:
        """One for each request."""
        return self._found


ACCUMULATORS: dict[str, type[Accumulator]] = {
    **dict.fromkeys(KERNEL_MEASURES, KernelMeasures),
    "rsa": Rsa,
    "mutual_knn": Neighbours,
    "jaccard": Neighbours,
    "cknna": Neighbours,
}
