"""Owns what surrounds a stitcher's map: from a front value to rows, and from mapped rows to an end value.

    value = after(before(x) · Wᵀ + b)

Rows are (n, *positions, p), channels last. See `shapes.Joint` for what can be joined and how.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from repsim.stitching.shapes import Joint, grid, has_class_token

ADDED = 0.1  # the weight of an added class token before it is trained


class Alignment(nn.Module):
    """What all alignments share; a subclass says `rows`, `value` and `target`."""

    def __init__(self, joint: Joint):
        super().__init__()
        self.joint = joint

    def rows(self, x: Tensor) -> Tensor:
        """The front value x (n, *front) as rows (n, *its positions, p)."""
        raise NotImplementedError

    def value(self, rows: Tensor) -> Tensor:
        """Rows (n, *positions of the end, q) as an end value (n, *end)."""
        raise NotImplementedError

    def target(self, y: Tensor) -> Tensor:
        """Those rows (n, *positions of the end, q) of the end value y (n, *end) that `matched_rows` are matched to."""
        raise NotImplementedError

    def before(self, x: Tensor) -> Tensor:
        """The rows (n, *positions, p) that are mapped."""
        return self._resized(self.rows(x)) if self.joint.resize_at == "pre" else self.rows(x)

    def after(self, rows: Tensor) -> Tensor:
        """The end value (n, *end) of mapped rows (n, *positions, q)."""
        return self.value(rows if self.joint.resize_at == "pre" else self._resized(rows))

    def matched_rows(self, x: Tensor) -> Tensor:
        """What `before` would give on the positions of the end: direct matching is the same for `pre` and `post`."""
        return self._resized(self.rows(x))

    def class_token(self, y: Tensor) -> Tensor | None:
        """The class token (n, q) of an end value y (n, *end) where this alignment learns one, else None."""
        return None

    def start_(self, token: Tensor) -> None:
        """Let a learned class token begin at `token` (q,); others have none and stay."""

    def _resized(self, rows: Tensor) -> Tensor:
        """Rows (n, h, w, c) on the grid of the end."""
        if self.joint.resize is None:
            return rows
        return functional.interpolate(rows.movedim(-1, 1), size=grid(self.joint.end), mode=self.joint.resize).movedim(1, -1)


class Channels(Alignment):
    """Maps (n, c, h, w), and vectors (n, c): one row per position. Channels-last memory is only viewed, never copied."""

    def rows(self, x: Tensor) -> Tensor:
        return x.movedim(1, -1)

    def value(self, rows: Tensor) -> Tensor:
        return rows.movedim(-1, 1)

    def target(self, y: Tensor) -> Tensor:
        return y.movedim(1, -1)


class Flatten(Alignment):
    """All values of an image in one row; a map's in (c, h, w) order."""

    def rows(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def value(self, rows: Tensor) -> Tensor:
        return rows.unflatten(1, self.joint.end)

    def target(self, y: Tensor) -> Tensor:
        return y.flatten(1)


class Tokens(Alignment):
    """Tokens (n, t, d): one row per token, the class token among them."""

    def rows(self, x: Tensor) -> Tensor:
        return x

    def value(self, rows: Tensor) -> Tensor:
        return rows

    def target(self, y: Tensor) -> Tensor:
        return y


class MapToTokens(Channels):
    """Positions become patch tokens; the end's class token is their mean after mapping, or a trained vector.

    Only patches are matched: a pooled or learned class token is no image of the front's rows.
    """

    def __init__(self, joint: Joint):
        super().__init__(joint)
        self.token = nn.Parameter(torch.zeros(joint.outputs)) if joint.class_token == "learned" else None

    def value(self, rows: Tensor) -> Tensor:
        patches = rows.flatten(1, 2)
        if self.joint.class_token is None:
            return patches
        first = patches.mean(1) if self.token is None else self.token.to(patches.dtype).expand(len(patches), -1)
        return torch.cat((first[:, None], patches), 1)

    def target(self, y: Tensor) -> Tensor:
        return _patches(y, self.joint.end)

    def class_token(self, y: Tensor) -> Tensor | None:
        return None if self.token is None else y[:, 0]

    @torch.no_grad()
    def start_(self, token: Tensor) -> None:
        if self.token is not None:
            self.token.copy_(token)


class TokensToMap(Channels):
    """Patch tokens become positions; the front's class token is dropped, added to each by a trained weight, or the only row."""

    def __init__(self, joint: Joint):
        super().__init__(joint)
        self.weight = nn.Parameter(torch.tensor(ADDED)) if joint.class_token == "added" else None

    def rows(self, x: Tensor) -> Tensor:
        token = x[:, :1, None]
        if self.joint.class_token == "only":
            return token
        patches = _patches(x, self.joint.front)
        return patches if self.weight is None else patches + self.weight * token


def make(joint: Joint) -> Alignment:
    """The alignment of `joint`."""
    return ALIGNMENTS[joint.kind](joint)


def _patches(tokens: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Tokens (n, t, d) without the class token, on their grid (n, s, s, d)."""
    return tokens[:, int(has_class_token(shape)) :].unflatten(1, grid(shape))


ALIGNMENTS: dict[str, type[Alignment]] = {
    "channels": Channels,
    "resize": Channels,
    "flatten": Flatten,
    "tokens": Tokens,
    "map_to_tokens": MapToTokens,
    "tokens_to_map": TokensToMap,
}
