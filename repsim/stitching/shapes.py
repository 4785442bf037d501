"""Owns how the shapes of two layers are joined: which rows a stitcher maps, and what is done before and after it.

Shapes are without the batch: (c, h, w) is a map, (t, d) are tokens, (p,) is a vector. Tokens are a grid of s·s patches;
with s² + 1 of them the first is the class token. Light on purpose: sweeps are planned with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt, prod
from typing import Literal

from repsim.errors import InputError, nearest

Shape = tuple[int, ...]
Kind = Literal["channels", "flatten", "resize", "tokens", "map_to_tokens", "tokens_to_map"]

VIEWS = ("channel", "flatten")
RESIZES = ("bilinear", "nearest")
RESIZE_PLACES = ("pre", "post")
CLASS_TOKENS = {"map_to_tokens": ("pooled", "learned"), "tokens_to_map": ("dropped", "added", "only")}  # the first is the default


@dataclass(frozen=True)
class Joint:
    """How a front value becomes rows of `inputs` values and rows of `outputs` values become an end value.

    `resize` changes the grid of the rows before (`pre`) or after (`post`) they are mapped; None: the grids are equal.
    `class_token` says where the class token of the end comes from, or what becomes of the front's; None: there is none
    to decide about.
    """

    kind: Kind
    inputs: int
    outputs: int
    front: Shape
    end: Shape
    resize: str | None = None
    resize_at: str = "pre"
    class_token: str | None = None


@dataclass(frozen=True)
class _Wish:
    """What the user asked for."""

    front: Shape
    end: Shape
    resize: str | None
    resize_at: str
    class_token: str | None


def join(
    front: Sequence[int],
    end: Sequence[int],
    view: str = "channel",
    resize: str | None = None,
    resize_at: str = "pre",
    class_token: str | None = None,
) -> Joint:
    """The joint of a front and an end layer of these shapes.

    Args:
        view: "channel" maps the channels at every position alike, "flatten" all values to all values.
        resize: "bilinear" or "nearest" where two maps have other grids; between a map and tokens bilinear if not given.
        resize_at: "pre" or "post": the same function (a map of channels commutes with a weighted mean of positions), other cost.
        class_token: map → tokens: "pooled" (mean of the mapped positions, the default) or "learned" (a trained vector);
            tokens → map: "dropped" (the default), "added" (to every patch, by a trained weight) or "only".

    Raises InputError for shapes that cannot be joined so, naming both and what would fit, and for choices without a meaning here.
    """
    _check_words(view, resize, resize_at, class_token)
    wish = _Wish(tuple(front), tuple(end), resize, resize_at, class_token)
    if view == "flatten":
        joint = Joint("flatten", prod(wish.front), prod(wish.end), wish.front, wish.end)
    else:
        joint = JOINS.get((len(wish.front), len(wish.end)), _refuse)(wish)
    _check_meaning(wish, joint)
    return joint


def grid(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a map (c, h, w) or of the patches of tokens (t, d)."""
    if len(shape) == 3:
        return shape[1], shape[2]
    side = isqrt(shape[0])
    side = side if side * side == shape[0] else isqrt(shape[0] - 1)
    return side, side


def has_class_token(shape: Shape) -> bool:
    """Whether tokens (t, d) are one more than a square grid."""
    return shape[0] != prod(grid(shape))


def check_family(stitcher: str, joint: Joint, rank: int | None = None) -> None:
    """Raise InputError where the family cannot map the rows of `joint`; the error names both shapes and what would fit."""
    try:
        check_widths(stitcher, joint.inputs, joint.outputs, rank)
    except InputError as error:
        raise InputError(f"{error.what} (layers of shape {joint.front} and {joint.end})", where=error.where, do=error.do) from None


def check_widths(stitcher: str, inputs: int, outputs: int, rank: int | None = None) -> None:
    """The same for rows of `inputs` values to rows of `outputs` values."""
    if stitcher not in FAMILIES:
        raise InputError(f"there is no stitcher '{stitcher}'", where="stitcher", do=nearest(stitcher, FAMILIES))
    need, fits = FAMILIES[stitcher]
    if not fits(inputs, outputs):
        others = " or ".join(name for name, (_, suits) in FAMILIES.items() if suits(inputs, outputs))
        what = f"the {stitcher} stitcher needs {need}, not {inputs} and {outputs}"
        raise InputError(what, where="stitcher", do=f"choose other layers, or stitcher {others}")
    if rank is not None and not 1 <= rank <= min(inputs, outputs):
        what = f"rank {rank} does not fit a stitcher from {inputs} to {outputs} values"
        raise InputError(what, where="rank", do=f"choose 1 to {min(inputs, outputs)}")


def _maps(wish: _Wish) -> Joint:
    front, end = wish.front, wish.end
    if front[1:] == end[1:]:
        return Joint("channels", front[0], end[0], front, end)
    if wish.resize is None:
        raise _misfit(wish, "have other grids", "say resize: bilinear or nearest, or view: flatten")
    return Joint("resize", front[0], end[0], front, end, wish.resize, wish.resize_at)


def _vectors(wish: _Wish) -> Joint:
    return Joint("channels", wish.front[0], wish.end[0], wish.front, wish.end)


def _tokens(wish: _Wish) -> Joint:
    if wish.front[0] != wish.end[0]:
        raise _misfit(wish, "have other numbers of tokens", "choose layers with as many tokens, or say view: flatten")
    return Joint("tokens", wish.front[1], wish.end[1], wish.front, wish.end)


def _map_to_tokens(wish: _Wish) -> Joint:
    front, end = wish.front, wish.end
    _need_patches(wish, end)
    class_token = wish.class_token or "pooled" if has_class_token(end) else None
    return Joint("map_to_tokens", front[0], end[1], front, end, *_resizing(wish), class_token)


def _tokens_to_map(wish: _Wish) -> Joint:
    front, end = wish.front, wish.end
    _need_patches(wish, front)
    class_token = wish.class_token or "dropped" if has_class_token(front) else None
    if class_token != "only":
        return Joint("tokens_to_map", front[1], end[0], front, end, *_resizing(wish), class_token)
    if wish.resize:
        raise InputError("a single class token has no grid to resize", where="resize", do="leave it out")
    # a grid of one position that is repeated: cheapest after it was mapped
    return Joint("tokens_to_map", front[1], end[0], front, end, "nearest", "post", class_token)


def _resizing(wish: _Wish) -> tuple[str | None, str]:
    """How a map and tokens of other grids are brought together."""
    equal = grid(wish.front) == grid(wish.end)
    return (None, "pre") if equal else (wish.resize or "bilinear", wish.resize_at)


def _need_patches(wish: _Wish, tokens: Shape) -> None:
    if tokens[0] - prod(grid(tokens)) not in (0, 1):
        why = f"do not fit: {tokens[0]} tokens are neither s·s patches nor these and a class token"
        raise _misfit(wish, why, "say view: flatten")


def _refuse(wish: _Wish) -> Joint:
    raise _misfit(wish, "are of other kinds (maps, tokens and vectors)", "say view: flatten")


def _misfit(wish: _Wish, why: str, do: str) -> InputError:
    return InputError(f"the layers {why}: {wish.front} in front, {wish.end} behind", where="front_layer, end_layer", do=do)


def _check_words(view: str, resize: str | None, resize_at: str, class_token: str | None) -> None:
    every_token = [word for words in CLASS_TOKENS.values() for word in words]
    asked = {"view": (view, VIEWS), "resize": (resize, RESIZES), "resize_at": (resize_at, RESIZE_PLACES)}
    for field, (word, choices) in (asked | {"class_token": (class_token, every_token)}).items():
        if word is not None and word not in choices:
            raise InputError(f"there is no '{word}'", where=field, do=nearest(word, choices))


def _check_meaning(wish: _Wish, joint: Joint) -> None:
    """A choice that would change nothing is a mistake."""
    shapes = f"from {wish.front} to {wish.end}"
    if wish.resize and joint.resize is None:
        raise InputError(f"there is no grid to resize {shapes}", where="resize", do="leave it out")
    if wish.resize_at != "pre" and joint.resize is None:
        raise InputError(f"there is no grid to resize {shapes}", where="resize_at", do="leave it out")
    allowed = CLASS_TOKENS.get(joint.kind, ()) if joint.class_token else ()
    if wish.class_token and wish.class_token not in allowed:
        do = f"choose {' or '.join(allowed)}" if allowed else "leave it out"
        raise InputError(f"class_token '{wish.class_token}' has no meaning {shapes}", where="class_token", do=do)


JOINS: dict[tuple[int, int], Callable[[_Wish], Joint]] = {
    (3, 3): _maps,
    (1, 1): _vectors,
    (2, 2): _tokens,
    (3, 2): _map_to_tokens,
    (2, 3): _tokens_to_map,
}
ONE_TO_ONE = ("as many values in front as behind", lambda inputs, outputs: inputs == outputs)
ANY = ("nothing", lambda inputs, outputs: True)
FAMILIES: dict[str, tuple[str, Callable[[int, int], bool]]] = {
    "linear": ANY,
    "lowrank": ANY,
    "lasso": ANY,
    "orthogonal": ("no more values in front than behind", lambda inputs, outputs: inputs <= outputs),
    "permutation": ONE_TO_ONE,
    "wreath": ONE_TO_ONE,
    "birkhoff": ONE_TO_ONE,
}
