"""Owns the `layers` block: names, globs and kinds → (front layer, end layer) for a pair of networks, or layers of one.

The words relu, bn, conv and block always mean every layer of that kind; a layer that merely bears such a name
is reached by a glob, as in `[r]elu`. A job may name more than the layers of a network (its `ALSO_LAYERS`), by the very word.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from repsim.catalog import Catalog, Sheet
from repsim.errors import SpecError, nearest
from repsim.sweep.networks import Network
from repsim.sweep.spec import LayerGrid, Spec

SAY = "for example 'layers: relu', or 'layers: [bn1, bn2]'"
KINDS = {"relu": "ReLU", "bn": "BatchNorm2d", "conv": "Conv2d", "block": "block"}


def select(sheet: Sheet, wanted: Sequence[str], arch: str, where: str, also: Sequence[str] = ()) -> list[str]:
    """Names of the layers that any of `wanted` means, in execution order; then those of `also` that stand among them."""
    chosen: set[str] = set()
    for word in (word for word in wanted if word not in also):
        found = [layer["name"] for layer in sheet if _means(word, layer)]
        if not found:
            names = [*(layer["name"] for layer in sheet), *also]
            see = f"{nearest(word, [*names, *KINDS])} (see: repsim models layers {arch})"
            raise SpecError(f"{arch} has no layer '{word}'", where=where, do=see)
        chosen.update(found)
    return [*(layer["name"] for layer in sheet if layer["name"] in chosen), *(word for word in also if word in wanted)]


def layer_pairs(
    spec: Spec, catalog: Catalog, front: Network, end: Network, where: str, also: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """The (front layer, end layer) pairs of two networks that a job joins."""
    if spec.layers is None:
        raise SpecError("say which layers are meant", where=where, do=SAY)
    place = f"{where}: layers"
    sheets = catalog.layers(front.facts), catalog.layers(end.facts)
    if isinstance(spec.layers, LayerGrid):
        fronts = select(sheets[0], spec.layers.front, front.facts.arch, f"{place}.front", also)
        ends = select(sheets[1], spec.layers.end, end.facts.arch, f"{place}.end", also)
        if spec.layers.combine == "all":
            return [(f, e) for f in fronts for e in ends]
        return _same(fronts, ends, place)
    names = select(sheets[0], spec.layers, front.facts.arch, place, also)
    return _same(names, select(sheets[1], spec.layers, end.facts.arch, place, also), place)


def layer_names(spec: Spec, sheet: Sheet, arch: str, where: str, also: Sequence[str] = ()) -> list[str]:
    """The layers of one network at which a job works."""
    if spec.layers is None:
        raise SpecError("say which layers are meant", where=where, do=SAY)
    if isinstance(spec.layers, LayerGrid):
        what = "a job on single networks has no front and end layers"
        raise SpecError(what, where=f"{where}: layers", do=f"name the layers alone, {SAY}")
    return select(sheet, spec.layers, arch, f"{where}: layers", also)


def _means(word: str, layer: dict) -> bool:
    if word in KINDS:
        return layer["kind"] == KINDS[word]
    return layer["name"] == word or fnmatchcase(layer["name"], word)


def _same(fronts: list[str], ends: list[str], where: str) -> list[tuple[str, str]]:
    both = [name for name in fronts if name in set(ends)]
    if not both:
        raise SpecError("the two networks share no layer name", where=where, do="name front and end layers, with combine: all")
    return [(name, name) for name in both]
