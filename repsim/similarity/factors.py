"""Owns what measures of moments do once all images are seen: which matrices they factor, in how many operations and bytes.

Operations, as Golub & Van Loan (2013, chapters 5 and 8) count them, of p directions: 9p³ for eigenvalues and vectors of a
symmetric matrix, 4/3 p³ for its eigenvalues alone, 22p³ for a singular value decomposition, with 2pqk for a product. An
assignment of k channels to l is reckoned at k²l. Every factor is of all p channels, whatever n: where n − 1 < p the moments
still are p × p. A layer is factored once for all that it meets; a pair again for its shifted twin; both in every draw of a
bootstrap. Light on purpose: plans are made of it.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import Literal, NamedTuple

from repsim.similarity.footprint import DRAWN_ROOM, SUM
from repsim.similarity.pieces import Piece, Side, shifted
from repsim.similarity.request import Sample

Half = Literal["eigen", "whitening"]
SQUARES: dict[Half, int] = {"eigen": 1, "whitening": 2}  # (p, p) that stay for the next pair: vectors; weights and loadings
FORMING = 2  # (p, q) beside S_xy while it is formed
HEAP = 1.5  # what was freed is held too where the next matrix does not fit into it; as seen of widths of 512 to 2,048
SOLVING = 4  # (p, p) beside these while a layer is factored: its copy, the vectors, two of LAPACK's


class Core(NamedTuple):
    """What is done for one pair, of p and q channels, k the fewer and l the more.

    Attributes:
        products: halves of 2pq(p + q) for bringing S_xy into other bases.
        cubes: further operations in k³; those of an assignment are in k²l.
        squares: (p, q) held meanwhile, beside S_xy.
        sides: which layers are factored before.
        shared: whether all measures of that core compute it once.
        assigned: whether it is an assignment.
    """

    products: float = 0.0
    cubes: float = 0.0
    squares: int = 2
    sides: Literal["none", "one", "both"] = "none"
    shared: bool = False
    assigned: bool = False


VALUES = 2 + 4 / 3  # singular values: C Cᵀ, then its eigenvalues
NUCLEAR = Core(cubes=VALUES, shared=True)
CROWDED = Core(2, VALUES, 4, "both", shared=True)  # the nuclear norm where n − 1 < k: within the directions that there are
CORRELATIONS, CROSSED, VARIATES = Core(2, VALUES, 4, "both"), Core(2, 0, 3, "both"), Core(3, 22, 9, "both")
FITTED = Core(1, 0, 2, "one")
MATCHED = Core(cubes=1, shared=True, assigned=True)
SCORED = Core(cubes=1, squares=4, assigned=True)
CORES: dict[str, Core] = {
    **dict.fromkeys(("cka", "cka_debiased", "cka_angular"), Core(squares=1)),
    **dict.fromkeys(("cca", "svcca", "shape"), CORRELATIONS),
    **dict.fromkeys(("cca_squared", "svcca_squared", "gulp"), CROSSED),
    **dict.fromkeys(("pwcca", "pwcca_reversed"), VARIATES),
    **dict.fromkeys(("nbs", "procrustes", "procrustes_squared", "procrustes_half", "procrustes_angular"), NUCLEAR),
    **dict.fromkeys(("procrustes_scaled", "procrustes_size_and_shape"), NUCLEAR),
    "ortho_procrustes": Core(cubes=VALUES, squares=4),
    **dict.fromkeys(("permutation_match", "permutation_procrustes", "permutation_procrustes_squared"), MATCHED),
    "permutation_angular": MATCHED,
    **dict.fromkeys(("correlation_match", "wreath_procrustes", "wreath_cosine"), SCORED),
    "correlation_match_soft": Core(squares=4),
    **dict.fromkeys(("regression", "regression_reversed", "ridge", "ridge_reversed"), FITTED),
}
WHITENED = ("cca", "cca_squared", "pwcca", "pwcca_reversed", "regression", "regression_reversed")


def flops(some: Iterable[Piece], sample: Sample) -> float:
    """Operations of all factors of the layers and pairs of some pieces, each counted once."""
    halves: set[Hashable] = set()
    pairs: dict[Hashable, int] = {}
    total = 0.0
    for piece in some:
        if not (core := core_of(piece, sample)):
            continue
        for at, side, half in _halves(piece, core):
            if (at, side, half) not in halves:
                halves.add((at, side, half))
                total += 9.0 * side.width**3 * (1 + sample.draws)
        key = (core if core.shared else (piece.asked.measure, piece.asked.options), piece.front, piece.end)
        times = 1 + shifted(piece) + sample.draws
        total += _of_pair(core, piece.front.width, piece.end.width) * max(0, times - pairs.get(key, 0))
        pairs[key] = max(times, pairs.get(key, 0))
    return total


def kept(piece: Piece, sample: Sample) -> dict[Hashable, int]:
    """Bytes that stay until all pairs are done, each under a key of its own: pieces with equal keys share them."""
    if not (core := core_of(piece, sample)):
        return {}
    found: dict[Hashable, int] = {("own", "front", piece.front): _square(piece.front, sample)}  # its sums, centred
    found["own", "end", piece.end] = _square(piece.end, sample)
    for at, side, half in _halves(piece, core):
        found[half, at, side] = SQUARES[half] * _square(side, sample)
    return found


def working(piece: Piece, sample: Sample) -> int:
    """Bytes beside these while the layers and the pair of one piece are worked on."""
    if not (core := core_of(piece, sample)):
        return 0
    x, y = piece.front.width, piece.end.width
    halves = [SOLVING * side.width**2 for _, side, _ in _halves(piece, core)]
    pair = (1 + shifted(piece) + 2 * (drawn(max(x, y), sample) - 1) + FORMING + core.squares) * x * y
    return int(HEAP * SUM * max(pair, *halves, 0))


def core_of(piece: Piece, sample: Sample) -> Core | None:
    """What its measure does with a pair; None where it is not made of moments."""
    core = CORES.get(piece.asked.measure)
    if piece.asked.measure == "shape" and piece.asked.chosen.get("alpha", 1.0) == 1.0:
        core = NUCLEAR
    crowded = sample.images * piece.front.rows - 1 < min(piece.front.width, piece.end.width)
    return CROWDED if core is NUCLEAR and crowded else core


def drawn(width: int, sample: Sample) -> int:
    """Draws of a bootstrap that are held at once, of layers of such a width; 1 without one."""
    return max(1, min(sample.draws, DRAWN_ROOM // width**2))


def _of_pair(core: Core, p: int, q: int) -> float:
    few, many = min(p, q), max(p, q)
    return core.products * p * q * (p + q) + core.cubes * few * few * (many if core.assigned else few)


def _halves(piece: Piece, core: Core) -> Iterator[tuple[str, Side, Half]]:
    """Which layers of the piece are factored, and how."""
    measure = piece.asked.measure
    half: Half = "whitening" if measure in WHITENED or piece.asked.chosen.get("ridge") == 0 else "eigen"
    backwards = measure.endswith("_reversed")
    if core.sides == "both" or (core.sides == "one" and not backwards):
        yield "front", piece.front, half
    if core.sides == "both" or (core.sides == "one" and backwards):
        yield "end", piece.end, half


def _square(side: Side, sample: Sample) -> int:
    return int(HEAP * SUM) * side.width**2 * drawn(side.width, sample)
