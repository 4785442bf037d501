"""Owns data sets that are classes of another one, numbered anew: what their names mean. Light (no torch).

    cifar10-of-2.3.7        three classes: 2, 3 and 7 of cifar10 are 0, 1 and 2
    cifar10-of-0.1_8.9      two classes: 0 and 1 of cifar10 are 0, 8 and 9 are 1

The name says it all, so nothing is registered, and no two machines can mean different images by it.
"""

import re
from dataclasses import replace

from repsim.data.facts import Part, Source
from repsim.errors import InputError

NAME = re.compile(r"(?P<of>.+)-of-(?P<groups>\d+(?:[._]\d+)*)")
HOW = "write NAME-of-2.3.7 for three of its classes, NAME-of-0.1_8.9 to join them to two"


def parent(name: str) -> str | None:
    """The data set whose classes `name` is made of; None for a name of another form."""
    found = NAME.fullmatch(name)
    return found["of"] if found else None


def part(whole: Source, groups: tuple[tuple[int, ...], ...], name: str) -> Source:
    """The data set `name` of these classes of `whole`; it is normalised like the whole.

    Raises InputError for classes that are not there or stand twice, fewer than two, and a set whose classes are not counted.
    """
    chosen = [k for group in groups for k in group]
    if whole.counts is None or whole.part is not None:
        raise InputError(f"'{name}': how many images a class of '{whole.name}' has is not known", do="choose of another data set")
    strange = [k for k in chosen if k >= whole.classes]
    if strange or len(set(chosen)) < len(chosen) or len(groups) < 2:
        what = f"'{whole.name}' has no class {strange[0]}" if strange else "a class stands twice, or there is but one"
        raise InputError(f"'{name}': {what}", do=f"its classes are 0…{whole.classes - 1}; {HOW}")
    train, test = (tuple(sum(split[k] for k in group) for group in groups) for split in whole.counts)
    facts = {"train_images": sum(train), "test_images": sum(test), "counts": (train, test), "part": Part(whole.name, groups)}
    return replace(whole, name=name, classes=len(groups), class_names=(), **facts)


def named(whole: Source, name: str) -> Source:
    """The part of `whole` that `name` means."""
    found = NAME.fullmatch(name)
    assert found
    groups = found["groups"].split("_") if "_" in found["groups"] else found["groups"].split(".")
    return part(whole, tuple(tuple(int(k) for k in group.split(".")) for group in groups), name)
