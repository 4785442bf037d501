"""Owns how many bytes the pass over pairs of images holds at most. Light on purpose: plans are printed with it."""

from collections.abc import Callable, Sequence

from repsim.similarity.request import Request, Sample, Value

Size = Callable[[str, Value, str], tuple[int, int]]  # (side, value, view) → (m, p): m rows of p numbers for each image
TILE = {"cpu": 256}  # images of the part of a block that makes a tile, by kind of device; elsewhere a part is a whole block
MEDIAN_IMAGES = 2000  # of which the median distance is taken: the first of the stream
NUMBER, SUM = 4, 8  # bytes of an activation or an entry of a matrix, and of what is summed
DRAWN_ROOM = 2**20  # numbers of one layer or pair of layers held for the draws of a bootstrap of moments
AT_ONCE = 16  # draws of a bootstrap
CENTRED = ("cka", "cka_debiased", "cka_angular", "ortho_cka")  # measures whose kernel is a product: no matrix is made of it
RANKED_ROOM = 2**31  # bytes of dissimilarities that wait for their ranks in memory; more of them wait in a scratch file
RANKING = 32  # bytes for each entry of the one layer that is being ranked
CHANNEL_ROOM = 2**22  # numbers held at once for the channels of a wreath kernel


def footprint(requests: Sequence[Request], sample: Sample, block: int, size: Size, device: str = "cpu") -> int:
    """Bytes that `tiles.TilePass` holds at most while it runs over activations in fp32; twice as many in fp64.

    Two blocks made ready for products and the activations of one as they are read; for every kernel up to three matrices of a
    tile of each layer (the products, the kernel, the kernel centred); per image and layer the sums of rows, by group where
    a bootstrap is asked for; sums per pair of layers; the distances among the first images where a kernel wants their median;
    whole triangles for ranks, neighbours of each image. The reader's own copy of the activations comes on top.

    Args:
        requests, sample, block: as of the pass.
        size: of every side, value and view that requests name.
        device: "cpu" or "cuda".
    """
    block = min(block, sample.images)
    layers = list(dict.fromkeys((side, value, r.view) for r in requests for side, value in (("front", r.front), ("end", r.end))))
    widths = {layer: size(*layer)[0] * size(*layer)[1] for layer in layers}
    kinds = {(side, value, r.view, _ready(r)) for r in requests for side, value in (("front", r.front), ("end", r.end))}
    ready = 2 * NUMBER * block * sum(widths[side, value, view] for side, value, view, _ in kinds)
    read = NUMBER * block * sum(widths.values())
    tile = min(block, TILE.get(device, block))
    grids: dict[tuple, list[Request]] = {}
    for request in requests:
        grids.setdefault((_kernel(request), request.view), []).append(request)
    return ready + read + sum(_grid(found, sample, tile) for found in grids.values())


def _grid(requests: Sequence[Request], sample: Sample, tile: int) -> int:
    """Of all requests of one kernel."""
    one = requests[0]
    fronts, ends = len({r.front for r in requests}), len({r.end for r in requests})
    layers, groups, n = fronts + ends, sample.groups if sample.draws else 1, sample.images
    matrices = (2 if one.measure in CENTRED else 3) * NUMBER * layers * tile**2
    sums = SUM * groups**2 * (fronts * ends + layers) + layers * n * (SUM * (groups + 1) + NUMBER)
    drawn = 6 * SUM * layers * n * min(sample.draws, AT_ONCE)
    return matrices + sums + drawn + _more(one, sample, layers)


def _more(one: Request, sample: Sample, layers: int) -> int:
    """What single measures hold beside."""
    n, seen = sample.images, min(sample.images, MEDIAN_IMAGES)
    if one.measure.startswith("cka_rbf"):
        return NUMBER * seen * (seen - 1) // 2 * (layers + 3)
    if one.measure.startswith("wreath"):
        return 2 * NUMBER * CHANNEL_ROOM
    if one.measure == "rsa" and one.chosen.get("comparison") in ("spearman", "kendall"):
        pairs = n * (n - 1) // 2
        return min(NUMBER * pairs * layers, RANKED_ROOM) + RANKING * pairs
    return 4 * NUMBER * n * layers * one.chosen.get("neighbours", 0)


def _kernel(request: Request) -> tuple:
    """Equal ones share their matrices."""
    if request.measure in CENTRED:
        return (request.measure == "ortho_cka",)
    return request.measure.removesuffix("_debiased").removesuffix("_biased"), request.options


def _ready(request: Request) -> str:
    """How rows are made ready: equal ones are held once."""
    if request.measure.startswith("wreath"):
        return f"channels {request.chosen.get('centred', True)}"
    own = {"ortho_cka": "flat channels", "rsa": str(request.chosen.get("rdm")), "mutual_knn": str(request.chosen.get("metric"))}
    return own.get(request.measure, "shifted")
