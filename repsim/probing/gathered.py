"""Owns the one pass over training images from which every closed-form probe of a network follows: moments and components."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from repsim.probing import basis as bases
from repsim.probing.basis import Basis
from repsim.probing.rows import Eye, Site
from repsim.similarity.moments import Drawn, PairMoments
from repsim.similarity.projection import Components
from repsim.similarity.request import Value
from repsim.similarity.stream import Key, Pair, Stream

LABELS = "labels"


class Gathered(NamedTuple):
    """Of each site: the moments of rows and one-hot labels, those with the labels of other images, and its basis."""

    moments: Mapping[Site, PairMoments]
    shuffled: Mapping[Site, PairMoments]
    bases: Mapping[Site, Basis]


@torch.no_grad()
def gather(
    eye: Eye, batches: Iterable[tuple[Tensor, Tensor]], sites: Collection[Site], ranked: Collection[str], classes: int
) -> Gathered:
    """One forward of each batch for all sites; sums in fp64.

    The labels of other images are those of the image before in the stream, around the whole of it: neighbours must be no kin.

    Args:
        ranked: the layers of which principal components are wanted.
    """
    pairs: dict[Pair, bool] = {(site, LABELS): False for site in sites}
    stream, components = Stream(pairs, pairs), Components(Value(layer) for layer in ranked)
    see = eye.reader()
    for x, y in batches:
        seen = see(x)
        components.add({Value(layer): seen.values[layer] for layer in ranked})
        rows: dict[Key, Tensor] = {site: seen.rows(site)[:, None] for site in sites}
        stream.add(rows, {LABELS: functional.one_hot(y, classes).to(next(iter(rows.values())))[:, None]})
    stream.close()
    drawn = Drawn(stream)
    moments = {site: drawn.moments(site, LABELS) for site in sites}
    shuffled = {site: drawn.shifted(site, LABELS) for site in sites}
    return Gathered(moments, shuffled, {site: _basis(eye, components, ranked, site, moments[site]) for site in sites})


def _basis(eye: Eye, components: Components, ranked: Collection[str], site: Site, moments: PairMoments) -> Basis:
    if site.layer not in ranked:
        return bases.whole(len(moments.xx), moments.xx)
    return bases.found(components.moments(site.layer), eye.shapes[site.layer], site.view)
