"""Owns stitching across tasks: which class of g a class of another data set counts as, and what is refused. Light (no torch)."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from repsim.data import sources
from repsim.data.sources import Source
from repsim.errors import InputError

SAME = "same"
TERM = re.compile(r"(\d+)>(\d+)")
OF_FRONT = ("soft_1", "soft_12", "soft_1_plus_2")  # targets that read f's logits
HOW = "write 'same' where class i is class i, or each class and what it counts as, as in '0>3 1>3 2>5'"


def parsed(text: str | None, field: str) -> tuple[tuple[int, int], ...] | None:
    """ "0>3 1>5" → ((0, 3), (1, 5)); None for `same` and for nothing said. Raises ValueError for anything else."""
    if text is None or text == SAME:
        return None
    found = [TERM.fullmatch(word) for word in text.replace(",", " ").split()]
    if not found or None in found:
        raise ValueError(f"{field}: {text!r} maps no classes; {HOW}")
    pairs = tuple((int(term[1]), int(term[2])) for term in found if term)
    if len({one for one, _ in pairs}) < len(pairs):
        raise ValueError(f"{field}: a class stands twice before '>'")
    return pairs


def must_be_readable(c: Any) -> None:
    """Raise ValueError where a map cannot be read."""
    parsed(c.label_map, "label_map")
    parsed(c.eval_label_map, "eval_label_map")


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of what no stitch across tasks can mean; the field comes first."""
    yield c.eval_label_map is not None and c.eval_dataset is None, "eval_label_map: nothing is scored besides; name an eval_dataset"
    yield c.eval_dataset == c.dataset, "eval_dataset: it is the data set that everything is scored on already"


def renamed(text: str | None, field: str, classes: int) -> list[int] | None:
    """For each class of a data set, that of g it counts as; None where it is its own number."""
    pairs = parsed(text, field)
    if pairs is None:
        return None
    found = dict(pairs)
    return [found[k] for k in range(classes)]


def check(c: Any, catalog: Any) -> None:
    """Raise InputError for images that do not fit the networks, and for classes that are not said to be any of g's."""
    front, end = catalog.network(c.front_network), catalog.network(c.end_network)
    for field, name in (("dataset", c.dataset), ("eval_dataset", c.eval_dataset)):
        for network in (front, end) if name else ():
            _check_images(field, sources.get(name), network)
    _check_map("label_map", c.dataset, c.label_map, catalog.dataset(c.end_network), end)
    if c.eval_dataset is not None:
        sources.must_have_classes(c.eval_dataset)
        sources.must_be_there(c.eval_dataset, catalog.data_folders)
        _check_map("eval_label_map", c.eval_dataset, c.eval_label_map, catalog.dataset(c.end_network), end)
    _check_front(c, catalog.dataset(c.front_network) or c.dataset)


def _check_front(c: Any, task: str) -> None:
    """What asks for f's own answers needs f to answer in the classes that everything is scored by."""
    if task == c.dataset and c.label_map is None:
        return
    for field, asked, do in (
        ("target", c.target in OF_FRONT, "choose hard, soft_2, match or latents"),
        ("attack", c.attack != "none", "leave attacks to networks of one task"),
    ):
        if asked:
            raise InputError(f"f answers in the classes of '{task}', S is scored by others", where=field, do=do)


def _check_images(field: str, source: Source, network: Any) -> None:
    if (network.channels, network.size) != (source.channels, source.size):
        fitting = [s.name for s in sources.SOURCES.values() if (s.channels, s.size) == (network.channels, network.size)]
        do = "choose one of its images: " + ", ".join(name for name in fitting if sources.get(name).labelled)
        raise InputError(f"'{source.name}' does not fit a network made for {network}", where=field, do=do)


def _check_map(field: str, name: str, text: str | None, task: str | None, end: Any) -> None:
    """`task`: the data set that g was made for; None where that is not known."""
    source = sources.get(name)
    own = name == (name if task is None else task)
    if own and text is not None:
        raise InputError(f"g was made for '{name}', whose classes are its own", where=field, do=f"leave {field} out")
    if own and end.classes != source.classes:
        what = f"'{name}' does not fit a network made for {end}"
        raise InputError(what, where=field.replace("label_map", "dataset"), do="name the data set it was trained on")
    if not own:
        _check_classes(field, source, text, task, end.classes)


def _check_classes(field: str, source: Source, text: str | None, task: str | None, classes: int) -> None:
    choices = f"{HOW}; '{source.name}' has the classes 0…{source.classes - 1}, g 0…{classes - 1}"
    if text is None:
        what = f"g was made for '{task}': nothing says which of its classes those of '{source.name}' count as"
        raise InputError(what, where=field, do=choices)
    pairs: Sequence[tuple[int, int]] = parsed(text, field) or [(k, k) for k in range(source.classes)]
    lacking = sorted(set(range(source.classes)) - {one for one, _ in pairs})
    if lacking:
        raise InputError(f"class {lacking[0]} of '{source.name}' counts as none", where=field, do=choices)
    for one, other in pairs:
        if one >= source.classes or other >= classes:
            raise InputError(f"{one}>{other}: there is no such class", where=field, do=choices)
