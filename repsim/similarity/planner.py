"""Owns the choice of how a comparison is computed: forms, passes over the images, what it takes, what cannot fit.

    feature    second moments of the values, Σxyᵀ: 2n(p² + q² + pq) operations, for all pairs of layers in one stream
    gram       a number for every pair of images, all n² at once; tiled: block by block
    minibatch  pairs of images of the same batch alone: an estimate
    sums       one number per image

Linear CKA has the feature and the Gram form with the same numbers; the plan takes what is cheaper for all layers together
(Kornblith et al. 2019, §3: feature where p, q ≲ n). Everything but `minibatch` is exact over the images it is given.
Light on purpose: a plan is printed before torch is imported. Operations and bytes are of what is computed on activations;
the networks' own come on top, once for each pass over the images.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

from repsim.errors import InputError
from repsim.similarity import pieces as costs
from repsim.similarity.fit import Shape
from repsim.similarity.known import KNOWN
from repsim.similarity.pieces import Piece
from repsim.similarity.planned import Form, Plan, Step, short
from repsim.similarity.request import Request, Sample, Value

Layers = Mapping[str, Shape]
Every = Mapping[Request, Sequence[Piece]]
Parts = Callable[[Piece], Mapping[Hashable, int]]  # bytes that a piece needs, under keys: equal ones are held once
BLOCK, GOOD_BLOCK, LEAST_BLOCK = 2_048, 512, 64  # images of a block: larger makes products no faster, smaller makes them slow
BATCH, LEAST_BATCH = 500, 16  # images that networks see at once
SHARE = 0.5  # of the memory may be taken by kept activations
STREAM_SHARE, WORKING = 0.25, 4  # by a batch, of which every number is held so many times while it is worked on


def make(requests: Iterable[Request], front: Layers, end: Layers, sample: Sample, budget: int) -> Plan:
    """The cheapest plan that holds about `budget` bytes at most.

    Args:
        requests: of layers whose shapes `front` and `end` tell, `logits` among them where they are asked for.

    Raises InputError where a request cannot be computed in so little memory.
    """
    every = {asked: costs.pieces(asked, front[asked.front.layer], end[asked.end.layer]) for asked in requests}
    whole = [piece for some in every.values() for piece in some]
    forms = _forms(every, sample, budget)
    walked = [piece for piece in whole if forms[piece.origin] in ("gram", "minibatch")]
    kept = costs.kept_bytes(walked, sample.images)
    kept = kept if kept <= SHARE * budget else 0
    left = budget - kept
    streams = _streams((p for p in whole if forms[p.origin] in ("feature", "sums")), sample, left)
    walks = _walks(walked, sample.images, left)
    block = min((_block(walk, sample.images, left) for walk in walks), default=sample.images)
    if block < sample.images:
        forms |= dict.fromkeys((asked for asked, form in forms.items() if form == "gram"), "tiled")
    held = [_bytes(some, _moments(sample)) for some in streams] + [_bytes(walk, _tiles(sample.images, block)) for walk in walks]
    return Plan(
        sample.images,
        tuple(_steps(every, forms, sample, block, bool(kept))),
        _ranked(every),
        tuple(map(tuple, streams or [[]])),
        tuple(map(tuple, walks)),
        _batch(costs.numbers(whole), left),
        block,
        bool(kept),
        max(held, default=0) + kept,
        forms,
        {asked: sum(piece.front.rows for piece in some) for asked, some in every.items()},
    )


def _forms(every: Every, sample: Sample, budget: int) -> dict[Request, Form]:
    forms: dict[Request, Form] = {asked: FORMS[KNOWN[asked.measure].family] for asked in every}
    forms |= dict.fromkeys((asked for asked in every if asked.measure == "cka_minibatch"), "minibatch")
    linear = [asked for asked in every if KNOWN[asked.measure].family == "linear"]
    for view in dict.fromkeys(asked.view for asked in linear):
        forms |= _linear_forms({asked: every[asked] for asked in linear if asked.view == view}, sample, budget)
    return forms


def _linear_forms(some: Every, sample: Sample, budget: int) -> dict[Request, Form]:
    """Gram form for the pairs with a side wider than some width, feature form for the rest: the cheapest of all widths.

    Layers with several rows per image have no Gram form of images: they stay in feature form.
    """
    widths = {asked: max(max(p.front.width, p.end.width) for p in pieces) for asked, pieces in some.items()}
    bound = {asked for asked, pieces in some.items() if pieces[0].front.rows > 1}
    choices = []
    for widest in [0, *sorted(set(widths.values()))]:
        feature = {asked for asked in some if widths[asked] <= widest} | bound
        moments = [piece for asked in feature for piece in some[asked]]
        grams = [piece for asked in some.keys() - feature for piece in some[asked]]
        if all(_bytes([piece], _moments(sample)) <= budget for piece in moments) or not widest:
            flops = costs.moment_flops(moments, sample.images) + costs.gram_flops(grams, sample.images)
            choices.append((flops, widest, feature))
    feature = min(choices, key=lambda choice: choice[:2])[2]
    return {asked: "feature" if asked in feature else "gram" for asked in some}


def _chunks(some: Iterable[Piece], parts: Parts, budget: float) -> list[list[Piece]]:
    """The pieces in as few runs as fit one after the other; one that is too large has a run of its own."""
    chunks: list[list[Piece]] = []
    held: set[Hashable] = set()
    taken = 0
    for piece in sorted(some, key=lambda piece: piece.place):
        found = parts(piece)
        more = sum(size for key, size in found.items() if key not in held)
        if not chunks or taken + more > budget:
            chunks.append([])
            held, taken, more = set(), 0, sum(found.values())
        chunks[-1].append(piece)
        held.update(found)
        taken += more
    return chunks


def _streams(some: Iterable[Piece], sample: Sample, budget: float) -> list[list[Piece]]:
    parts = _moments(sample)
    streams = _chunks(some, parts, budget)
    for first in (stream[0] for stream in streams):
        if _bytes([first], parts) > budget:
            raise _cannot_fit(first, _bytes([first], parts), budget)
    return streams


def _walks(some: Sequence[Piece], images: int, budget: float) -> list[list[Piece]]:
    """Slices of other positions never meet: each position is a walk of its own, and so is what does not fit beside the rest."""
    parts = _tiles(images, min(images, GOOD_BLOCK))
    places = dict.fromkeys(sorted(piece.place for piece in some))
    return [walk for place in places for walk in _chunks((p for p in some if p.place == place), parts, budget)]


def _block(walk: Sequence[Piece], images: int, budget: float) -> int:
    """Images of a block: as many as fit."""
    block = min(images, BLOCK)
    while _bytes(walk, _tiles(images, block)) > budget:
        if block <= LEAST_BLOCK:
            raise _cannot_fit(walk[0], _bytes(walk, _tiles(images, block)), budget)
        block = max(LEAST_BLOCK, block // 2)
    return block


def _batch(numbers: int, budget: float) -> int:
    """Images of a batch of the stream: its activations, and what is made of them, take no more than their share."""
    fitting = int(STREAM_SHARE * budget / (WORKING * costs.NUMBER * max(1, numbers)))
    return max(LEAST_BATCH, min(BATCH, fitting))


def _bytes(some: Iterable[Piece], parts: Parts) -> int:
    found: dict[Hashable, int] = {}
    for piece in some:
        found |= parts(piece)
    return sum(found.values())


def _moments(sample: Sample) -> Parts:
    groups = sample.groups if sample.draws else 1
    return lambda piece: costs.moment_parts(piece, groups)


def _tiles(images: int, block: int) -> Parts:
    return lambda piece: costs.walk_parts(piece, images, block)


def _ranked(every: Every) -> tuple[frozenset[Value], frozenset[Value]]:
    values = {asked.front for asked in every}, {asked.end for asked in every}
    front, end = (frozenset(value for value in side if value.rank is not None) for side in values)
    return front, end


def _steps(every: Every, forms: Mapping[Request, Form], sample: Sample, block: int, kept: bool) -> Iterator[Step]:
    kinds: dict[tuple[str, str, Form], list[Request]] = {}
    for asked, form in forms.items():
        kinds.setdefault((KNOWN[asked.measure].family, asked.view, form), []).append(asked)
    for (family, view, form), mine in kinds.items():
        some = [piece for asked in mine for piece in every[asked]]
        flops, parts, passes = _cost(form, some, sample, block, kept)
        yield Step(family, view, form, len(mine), flops, _bytes(some, parts), passes, _exactness(mine, form, sample))


def _cost(form: Form, some: Sequence[Piece], sample: Sample, block: int, kept: bool) -> tuple[float, Parts, int]:
    """Operations, what takes memory, and passes over the images."""
    if form == "sums":
        return 2.0 * sample.images * costs.numbers(some), lambda piece: {}, 1
    if form == "feature":
        return costs.moment_flops(some, sample.images), _moments(sample), 1
    blocks, walks = -(-sample.images // block), len({piece.place for piece in some})
    again = 0 if kept else walks * (1 if form == "minibatch" else (blocks + 3) // 2)
    flops = costs.gram_flops(some, sample.images) / (blocks if form == "minibatch" else 1)
    return flops, _tiles(sample.images, block), 1 + again


def _exactness(mine: Sequence[Request], form: Form, sample: Sample) -> str:
    over = f"exact over n = {sample.images:,}"
    if form != "minibatch":
        return over
    sizes = ", ".join(f"{size:,}" for size in sorted({asked.chosen["batch"] for asked in mine}))
    return f"minibatch estimate, b = {sizes}"


def _cannot_fit(piece: Piece, needed: int, budget: float) -> InputError:
    asked = piece.origin
    what = f"{asked.measure} of '{asked.front.layer}' and '{asked.end.layer}' needs {short(needed, 'B')} of memory"
    do = "choose view: channel, pool or position, fewer images, or no bootstrap"
    return InputError(f"{what}, and {short(budget, 'B')} may be taken", where=f"view {asked.view}", do=do)


FORMS: dict[str, Form] = {"linear": "feature", "moments": "feature", "pairs": "gram", "rows": "sums", "outputs": "sums"}
