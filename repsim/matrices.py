"""Owns which matrices of similarity there are: comparisons that are expected, and what is stored of them → one per measure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repsim.matrix import Cell, Matrix, Number, Pair, Place

Fields = Mapping[str, Any]
"""Of one comparison: run_id and its Config."""
PLACE = {f"{side}_{name}" for side in ("front", "end") for name in ("network", "arch", "seed", "made", "layer")}
EPOCHS = ("front_epoch", "end_epoch")
ONCE = {"run_id", "measure", *PLACE}
"""Fields in which the runs of one matrix may differ, or that are said elsewhere; any other that varies is named."""
UNSAID = {"front_rank": "full", "end_rank": "full", "view": "own", "images": "all"}
"""What null means where it is no dash."""


def build(expected: Sequence[Fields], stored: Mapping[str, Fields], order: Mapping[str, Sequence[str]]) -> list[Matrix]:
    """Every matrix, in order of first appearance in `expected`.

    Args:
        expected: the fields of each comparison, with its run_id.
        stored: rows by run id: value, status, null, null_kind, low, high, scale, images, convention.
        order: the layers of each network (a run id), in the order in which they are computed.
    """
    variants = _variants(expected)
    groups: dict[tuple[str, ...], list[Fields]] = {}
    for one in expected:
        key = (one["measure"], variants[one["run_id"]], str(one["front_arch"]), str(one["end_arch"]))
        groups.setdefault(key, []).append(one)
    return [_matrix(measure, variant, ones, stored, order) for (measure, variant, *_), ones in groups.items()]


def frames(
    expected: Sequence[Fields], stored: Mapping[str, Fields], order: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Matrix]]:
    """The matrices of every checkpoint: by name with its networks, then by epoch ("10", "last"), the epochs in order."""
    said = [name for name in EPOCHS if len({one.get(name) for one in expected}) > 1]
    epochs = sorted({_epochs(one, said) for one in expected}, key=_last_is_last)
    found: dict[str, dict[str, Matrix]] = {}
    for epoch in epochs:
        label = " × ".join("last" if one is None else str(one) for one in dict.fromkeys(epoch))
        ones = [{name: one[name] for name in one if name not in said} for one in expected if _epochs(one, said) == epoch]
        for matrix in build(ones, stored, order):
            found.setdefault(matrix.title, {})[label] = matrix
    return found


def networks(runs: Iterable[Fields], side: str) -> str:
    """The architectures of one side; where it is one network, arch:seed or arch:seed@epoch."""
    names = dict.fromkeys((one[f"{side}_arch"], one[f"{side}_seed"], one.get(f"{side}_epoch")) for one in runs)
    if len(names) > 1:
        return ", ".join(dict.fromkeys(str(arch) for arch, _, _ in names))
    ((arch, seed, epoch),) = names
    return f"{arch}:{seed}" + ("" if epoch is None else f"@{epoch}")


def _epochs(one: Fields, said: Sequence[str]) -> tuple[int | None, ...]:
    return tuple(one.get(name) for name in said)


def _last_is_last(epochs: tuple[int | None, ...]) -> list[tuple[bool, int]]:
    return [(epoch is None, epoch or 0) for epoch in epochs]


def _variants(expected: Sequence[Fields]) -> dict[str, str]:
    """By run id: the fields, beside networks and layers, in which runs of one measure differ."""
    seen: dict[str, dict[str, set[Any]]] = {}
    for one in expected:
        for name in one.keys() - ONCE:
            seen.setdefault(one["measure"], {}).setdefault(name, set()).add(one[name])
    return {one["run_id"]: _variant(one, seen.get(one["measure"], {})) for one in expected}


def _variant(one: Fields, seen: Mapping[str, set[Any]]) -> str:
    varying = [name for name in one if len(seen.get(name, ())) > 1]
    return ", ".join(f"{name.replace('_', ' ')} {UNSAID.get(name, '–') if one[name] is None else one[name]}" for name in varying)


def _matrix(
    measure: str, variant: str, ones: Sequence[Fields], stored: Mapping[str, Fields], order: Mapping[str, Sequence[str]]
) -> Matrix:
    rows = [stored[one["run_id"]] for one in ones if one["run_id"] in stored]
    return Matrix(
        measure,
        variant,
        networks(ones, "front"),
        networks(ones, "end"),
        _layers(ones, "front", order),
        _layers(ones, "end", order),
        tuple(dict.fromkeys(map(_pair, ones))),
        _cells(ones, stored),
        scale=next((row["scale"] for row in rows), ""),
        images=tuple(dict.fromkeys(row["images"] for row in rows)),
        conventions=tuple(dict.fromkeys(row["convention"] for row in rows)),
    )


def _cells(ones: Sequence[Fields], stored: Mapping[str, Fields]) -> dict[Place, Cell]:
    numbers: dict[Place, dict[Pair, Number | None]] = {}
    for one in ones:
        row = stored.get(one["run_id"])
        number = None if row is None else Number(*(row[name] for name in Number._fields))
        numbers.setdefault((one["front_layer"], one["end_layer"]), {})[_pair(one)] = number
    return {
        place: Cell({pair: number for pair, number in found.items() if number is not None}, len(found))
        for place, found in numbers.items()
    }


def _pair(one: Fields) -> Pair:
    epochs = (one.get(name) for name in EPOCHS)
    networks = (one["front_network"], one["end_network"])
    front, end = (run if epoch is None else f"{run}@{epoch}" for run, epoch in zip(networks, epochs, strict=True))
    return front, end


def _layers(ones: Sequence[Fields], side: str, order: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The layers that are compared, in the order of the network; one that it does not list (logits) after all others."""
    names = list(dict.fromkeys(one[f"{side}_layer"] for one in ones))
    place = {name: index for index, name in enumerate(order.get(ones[0][f"{side}_network"], ()))}
    return tuple(sorted(names, key=lambda name: place.get(name, len(place))))
