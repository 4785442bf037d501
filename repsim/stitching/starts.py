"""Owns the starts of a group: every stitcher built, restricted, masked and set, and the controls beside them.

One pass over the matching images gives the moments for all layer pairs and all families, and those of shuffled pairs.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from repsim.stitching import alignment, inits, masks
from repsim.stitching.asked import Asked, Cut, Family
from repsim.stitching.evaluation import Entry
from repsim.stitching.moments import Moments, NotFinite, Stream, principal
from repsim.stitching.pair import Batch, Needs, Pair
from repsim.stitching.runs import Run
from repsim.stitching.stitchers import Affine, Linear, Stitcher, build

Control = tuple[Cut, Family, int]  # with the seed where the family depends on it, else 0


@dataclass(frozen=True)
class Candidate:
    """One stitcher to train: its family, its run, and the map that it would be scored by before the first step."""

    family: Family
    run: Run
    start: Affine


@dataclass
class Starts:
    """What a group begins with.

    Attributes:
        candidates: by key of what was asked; several where the validation images will choose.
        matched: the direct-matching optimum, by family; of `shuffled` pairs likewise. One that was not found is left out.
    """

    candidates: dict[str, list[Candidate]] = field(default_factory=dict)
    matched: dict[Control, Entry] = field(default_factory=dict)
    shuffled: dict[Control, Entry] = field(default_factory=dict)


def begin(pair: Pair, asked: Sequence[Asked], batches: Callable[[], Iterable[Batch]]) -> Starts:
    """Starts for all that is asked, from one pass over `batches` where anything needs it.

    Raises InputError for layers and families that do not fit, before that pass.
    """
    cuts = {want.key: want.cut(pair.front_shapes, pair.end_shapes) for want in asked}
    blank = {want.key: [_built(cuts[want.key], family) for family in want.candidates()] for want in asked}
    matching = _matching(pair, asked, cuts, batches)
    starts = Starts()
    for want in asked:
        for family, stitcher in zip(want.candidates(), blank[want.key], strict=True):
            found = matching.prepare_(stitcher, cuts[want.key], family, want.init, want.seed, pair.shuffled)
            optimum = copy.deepcopy(stitcher) if found and want.init == "matched" else None
            run = _run(want, stitcher.to(pair.device), diverged=not found)
            starts.candidates.setdefault(want.key, []).append(Candidate(family, run, _scored(stitcher)))
            if want.controls:
                matching.control_(starts, control_key(want, family, cuts[want.key]), pair.device, optimum)
    return starts


def control_key(want: Asked, family: Family, cut: Cut) -> Control:
    """Runs with equal keys share their controls; a random mask is another family with every seed."""
    return cut, family.matched(), want.seed if family.mask == "random-permutation" else 0


@dataclass(frozen=True)
class _Matching:
    """Moments of all cuts, and the mean class token of the end layers where it is learned.

    `shuffled`: what is matched are shuffled pairs, so that the optimum is the null itself.
    """

    stream: Stream | None
    tokens: dict[str, Tensor]
    shuffled: bool = False

    def prepare_(self, stitcher: Stitcher, cut: Cut, family: Family, init: str, seed: int, shuffled: bool = False) -> bool:
        """Restrict, mask and start `stitcher`; False where what it should start from could not be found."""
        try:
            self._prepare_(stitcher, cut, family, init, seed, shuffled)
        except (ArithmeticError, NotFinite):
            return False
        return True

    def _prepare_(self, stitcher: Stitcher, cut: Cut, family: Family, init: str, seed: int, shuffled: bool) -> None:
        generator = Generator().manual_seed(seed)
        moments = self._moments(cut, shuffled)
        if family.stitch_rank is not None:
            basis, mean = principal(_there(moments), family.stitch_rank)
            stitcher.restrict_(basis, mean)
            moments = _there(moments).restricted(basis)
        if family.mask is not None:
            mask = masks.make(family.mask, stitcher.inputs, stitcher.outputs, generator, moments)
            assert isinstance(stitcher, Linear), "only a linear stitcher has a mask"
            stitcher.mask_(mask)
        if family.match_rank is not None and init in inits.FROM_MOMENTS:
            moments = _there(moments).restricted(principal(_there(moments), family.match_rank)[0])
        inits.start_(stitcher, init, generator, moments, family.ridge)
        if init in inits.FROM_MOMENTS and cut[1] in self.tokens:
            stitcher.alignment.start_(self.tokens[cut[1]])

    def control_(self, starts: Starts, key: Control, device: torch.device, optimum: Stitcher | None) -> None:
        """Note the controls of a family where they are still missing; `optimum` is one of them if it is known."""
        cut, family, seed = key
        if optimum is not None and key not in starts.matched:
            starts.matched[key] = Entry(cut[0], cut[1], optimum.to(device)).rounded()
        for entries, shuffled in ((starts.matched, self.shuffled), (starts.shuffled, True)):
            if key not in entries:
                stitcher = _built(cut, family)
                if self.prepare_(stitcher, cut, family, "matched", seed, shuffled):
                    entries[key] = Entry(cut[0], cut[1], stitcher.to(device)).rounded()

    def _moments(self, cut: Cut, shuffled: bool) -> Moments | None:
        if self.stream is None or cut not in self.stream.matches:
            return None
        return self.stream.null(cut) if shuffled else self.stream.moments(cut)


def _matching(pair: Pair, asked: Sequence[Asked], cuts: dict[str, Cut], batches: Callable[[], Iterable[Batch]]) -> _Matching:
    wanted = list(dict.fromkeys(cuts[want.key] for want in asked if _needs_moments(want)))
    if not wanted:
        return _Matching(None, {})
    stream = stream_of(pair, wanted, null=pair.shuffled or any(want.controls for want in asked))
    learned = {end for _, end, joint in wanted if joint.class_token == "learned"}
    sums: dict[str, Tensor] = {}
    read = pair.reader(needs_of(wanted))
    images = 0
    for x, _ in batches():
        reading = read(x)
        stream.add(reading.front, reading.end)
        images += len(x)
        for layer in learned:
            sums[layer] = sums.get(layer, 0) + reading.end[layer][:, 0].double().sum(0).cpu()
    return _Matching(stream, {layer: total / images for layer, total in sums.items()}, pair.shuffled)


def stream_of(pair: Pair, cuts: Sequence[Cut], null: bool = False) -> Stream:
    """A stream of the moments of these cuts."""
    joints = dict.fromkeys(joint for _, _, joint in cuts)
    return Stream(cuts, {joint: alignment.make(joint).to(pair.device) for joint in joints}, null)


def needs_of(cuts: Sequence[Cut]) -> Needs:
    """Both networks' values at these cuts."""
    return Needs(front=tuple(dict.fromkeys(cut[0] for cut in cuts)), end=tuple(dict.fromkeys(cut[1] for cut in cuts)))


def _needs_moments(want: Asked) -> bool:
    family = want.family
    from_moments = want.init in inits.FROM_MOMENTS or family.mask in masks.FROM_MOMENTS
    return want.controls or from_moments or family.stitch_rank is not None


def _built(cut: Cut, family: Family) -> Stitcher:
    return build(family.stitcher, cut[2], **dict(family.options))


def _run(want: Asked, stitcher: Stitcher, diverged: bool) -> Run:
    layers = want.front_layer, want.end_layer
    return Run(want.key, *layers, stitcher, want.training, want.select, want.objective, diverged=diverged)


def _scored(stitcher: Stitcher) -> Affine:
    affine = stitcher.rounded().applied()
    bias, scales = (None if part is None else part.detach().cpu().clone() for part in (affine.bias, affine.scales))
    return Affine(affine.weight.detach().cpu().clone(), bias, scales)


def _there(moments: Moments | None) -> Moments:
    assert moments is not None, "this start needs moments"
    return moments
