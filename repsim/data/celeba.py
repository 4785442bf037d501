"""Owns CelebA as it is published: a folder of faces, a list of 40 attributes per face, and the official partition."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from repsim.data import pictures
from repsim.data.facts import Source, Split
from repsim.data.pictures import AGAIN, Block
from repsim.errors import InputError

PARTITION = {"train": "0", "test": "2"}  # 1 is the official validation part: ours is held out of the training split
SIGNS = {"-1": 0, "1": 1}

Face = tuple[Path, list[int]]


def decode(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """The faces of `split` in their order; labels (k, 40) uint8, 1 where the attribute is there.

    Resized to 256×256 whatever the proportions, then the central 224×224, as Csiszárik et al. 2021 trained on them.
    """
    attributes, partition, pictures_of = files
    faces = list(_faces(source, PARTITION[split], attributes, partition, pictures_of))
    if not faces:
        raise InputError(f"no face is in part {PARTITION[split]}", where=str(partition), do=AGAIN)
    yield from pictures.in_blocks(source, faces, lambda face: (pictures.from_file(source, face[0]), face[1]))


def names(attributes: Path) -> tuple[str, ...]:
    """The attributes, in the order of the labels."""
    lines = _lines(attributes)
    return tuple(lines[1].split()) if len(lines) > 1 else ()


def _faces(source: Source, part: str, attributes: Path, partition: Path, folder: Path) -> Iterator[Face]:
    rows = _attributes(source, attributes)
    for number, line in enumerate(_lines(partition), 1):
        name, _, of = line.partition(" ")
        if name not in rows:
            raise InputError(f"line {number}: {name[:40]!r} is not in {attributes.name}", where=str(partition), do=AGAIN)
        if of.strip() == part:
            yield folder / name, rows[name]


def _attributes(source: Source, path: Path) -> dict[str, list[int]]:
    """File name → labels. First line: how many faces; second: the names of the attributes; then NAME ±1 … ±1."""
    read = _lines(path)
    (count, names), lines = [*read[:2], "", ""][:2], read[2:]
    if count.strip() != str(len(lines)) or len(names.split()) != source.classes:
        what = f"it announces {count.strip()[:20]!r} faces with {len(names.split())} attributes, and has {len(lines)} lines"
        raise InputError(f"{what}; expected {source.classes} attributes", where=str(path), do=AGAIN)
    return dict(_attribute_line(source, line, f"{path}: line {number}") for number, line in enumerate(lines, 3))


def _attribute_line(source: Source, line: str, where: str) -> tuple[str, list[int]]:
    name, *signs = line.split()
    if len(signs) != source.classes or not set(signs) <= SIGNS.keys():
        raise InputError(f"expected a name and {source.classes} values -1 or 1", where=where, do=AGAIN)
    if Path(name).name != name:
        raise InputError(f"{name[:40]!r} is no name of a file", where=where, do=AGAIN)
    return name, [SIGNS[sign] for sign in signs]


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), do=AGAIN) from None
