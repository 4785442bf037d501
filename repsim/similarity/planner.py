"""Owns the choice of how a comparison is computed: forms, passes over the images, what it takes, what cannot fit.

    feature    second moments of the values, Σxyᵀ: 2n(p² + q² + pq) operations, for all pairs of layers in one stream
    gram       a number for every pair of images, all n² at once; tiled: block by block
    minibatch  pairs of images of the same batch alone: an estimate
    sums       one number per image

Linear CKA has the feature and the Gram form with the same numbers; the plan takes what is cheaper for all layers together
(Kornblith et al. 2019, §3: feature where p, q ≲ n). Everything but `minibatch` is exact over the images it is given.
Light on purpose: a plan is printed before torch is imported. Operations and bytes are of what is computed on activations, the
factors of their moments included; the networks' own come on top, once for each pass over the images.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from repsim.similarity import factors
from repsim.similarity import pieces as costs
from repsim.similarity.fit import Shape
from repsim.similarity.known import KNOWN
from repsim.similarity.pieces import Piece
from repsim.similarity.planned import Form, Plan, Step
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.room import Room

Layers = Mapping[str, Shape]
Every = Mapping[Request, Sequence[Piece]]
Streams = Sequence[Sequence[Piece]]
Cost = tuple[float, float, int]  # operations, those of factors among them, bytes
SHARE = 0.5  # of the memory may be taken by kept activations


def make(requests: Iterable[Request], front: Layers, end: Layers, sample: Sample, budget: int, device: str = "cpu") -> Plan:
    """The cheapest plan that holds about `budget` bytes at most.

    Args:
        requests: of layers whose shapes `front` and `end` tell, `logits` among them where they are asked for.
        device: "cpu" or "cuda".

    Raises InputError where a request cannot be computed in so little memory.
    """
    every = {asked: costs.pieces(asked, front[asked.front.layer], end[asked.end.layer]) for asked in requests}
    whole = [piece for some in every.values() for piece in some]
    forms = _forms(every, Room(sample, budget, device))
    walked = [piece for piece in whole if forms[piece.origin] == "gram"]
    kept = costs.kept_bytes(walked, sample.images)
    room = Room(sample, budget - kept if kept <= SHARE * budget else budget, device)
    streams, walks = room.streams(piece for piece in whole if forms[piece.origin] != "gram"), room.walks(walked)
    block = min(map(room.block, walks), default=sample.images)
    if block < sample.images:
        forms |= dict.fromkeys((asked for asked, form in forms.items() if form == "gram"), "tiled")
    held = [*map(room.stream_bytes, streams), *(room.walk_bytes(walk, block) for walk in walks)]
    return Plan(
        images=sample.images,
        steps=tuple(_steps(every, forms, room, streams, block, kept=room.bytes < budget)),
        ranked=_ranked(every),
        streams=tuple(map(tuple, streams)) or ((),),
        walks=tuple(map(tuple, walks)),
        batch=room.batch(whole),
        block=block,
        kept=room.bytes < budget,
        bytes=int(max(held, default=0) + budget - room.bytes),
        forms=forms,
        rows={asked: sum(piece.front.rows for piece in some) for asked, some in every.items()},
    )


def _forms(every: Every, room: Room) -> dict[Request, Form]:
    forms: dict[Request, Form] = {asked: FORMS[KNOWN[asked.measure].family] for asked in every}
    linear = [asked for asked in every if KNOWN[asked.measure].family == "linear"]
    for view in dict.fromkeys(asked.view for asked in linear):
        forms |= _linear_forms({asked: every[asked] for asked in linear if asked.view == view}, room)
    return forms


def _linear_forms(some: Every, room: Room) -> dict[Request, Form]:
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
        if all(room.stream_bytes([piece]) <= room.bytes for piece in moments) or not widest:
            flops = costs.moment_flops(moments, room.sample.images) + costs.gram_flops(grams, room.sample.images)
            choices.append((flops, widest, feature))
    feature = min(choices, key=lambda choice: choice[:2])[2]
    return {asked: "feature" if asked in feature else "gram" for asked in some}


def _ranked(every: Every) -> tuple[frozenset[Value], frozenset[Value]]:
    values = {asked.front for asked in every}, {asked.end for asked in every}
    front, end = (frozenset(value for value in side if value.rank is not None) for side in values)
    return front, end


def _steps(every: Every, forms: Mapping[Request, Form], room: Room, streams: Streams, block: int, kept: bool) -> Iterator[Step]:
    kinds: dict[tuple[str, str, Form], list[Request]] = {}
    for asked, form in forms.items():
        kinds.setdefault((KNOWN[asked.measure].family, asked.view, form), []).append(asked)
    passed = [{piece.origin for piece in stream} for stream in streams]
    for (family, view, form), mine in kinds.items():
        some = [piece for asked in mine for piece in every[asked]]
        passes = sum(not origins.isdisjoint(mine) for origins in passed)
        if form in ("gram", "tiled"):
            cost = costs.gram_flops(some, room.sample.images), 0.0, room.walk_bytes(some, block)
            passes = 1 + (0 if kept else _readings(some, room, block))
        else:
            cost = _sum_cost(form, some, room)
        yield Step(family, view, form, len(mine), *cost, passes, _exactness(mine, form, room.sample))


def _sum_cost(form: Form, some: Sequence[Piece], room: Room) -> Cost:
    if form == "sums":
        return 2.0 * room.sample.images * costs.numbers(some), 0.0, 0
    if form == "minibatch":
        return costs.batch_flops(some, room.sample.images), 0.0, room.stream_bytes(some)
    after = factors.flops(some, room.sample)
    return costs.moment_flops(some, room.sample.images) + after, after, room.stream_bytes(some)


def _readings(some: Sequence[Piece], room: Room, block: int) -> int:
    """How often all images are read for a walk whose activations are not kept; a row of tiles begins where the last one ended."""
    blocks, walks = -(-room.sample.images // block), len({piece.place for piece in some})
    return walks * ((blocks + 3) // 2)


def _exactness(mine: Sequence[Request], form: Form, sample: Sample) -> str:
    if form != "minibatch":
        return f"exact over n = {sample.images:,}"
    sizes = ", ".join(f"{size:,}" for size in sorted({min(asked.chosen["batch"], sample.images) for asked in mine}))
    return f"minibatch estimate, b = {sizes}"


FORMS: dict[str, Form] = {
    "linear": "feature",
    "moments": "feature",
    "minibatch": "minibatch",
    "pairs": "gram",
    "rows": "sums",
    "outputs": "sums",
}
