"""Owns what `submit --emit DIR` writes: the batch scripts and plan files that a submit would send, to be read. Nothing is sent."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from repsim import shares
from repsim.errors import UserError
from repsim.pieces import Piece
from repsim.sending import Order, recorded, written

MARK = "emitted.json"


def write(order: Order, pieces: Sequence[Piece], folder: Path) -> list[Path]:
    """The scripts; each lies in a folder of its own with its plan file. What an earlier call left there is replaced."""
    _clear(folder)
    found: list[Path] = []
    makers: list[str] = []
    for piece in _shared(pieces):
        one = recorded(order, piece, folder)
        after = tuple(makers) if piece.stage == "later" else ()
        found.append(written(one, order.home, piece.part, after))
        makers += [one.name] if piece.stage == "networks" else []  # the job ids are not known before they are sent
    (folder / MARK).write_text(json.dumps(sorted(path.name for path in folder.iterdir())))
    return found


def _shared(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with their share of `max_parallel`, as if nothing were under way."""
    pools = {piece.part.pool: [each for each in pieces if each.part.pool == piece.part.pool] for piece in pieces}
    share = {pool: iter(shares.shared([len(each.tasks) for each in mine], mine[0].most)) for pool, mine in pools.items()}
    parts = [piece.part.model_copy(update={"max_parallel": next(share[piece.part.pool])}) for piece in pieces]
    return [replace(piece, part=part) for piece, part in zip(pieces, parts, strict=True)]


def _clear(folder: Path) -> None:
    """An empty folder; UserError for one that holds anything but what --emit wrote."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in folder.iterdir()}
        ours = {MARK, *json.loads((folder / MARK).read_text())} if MARK in there else set()
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"cannot be used: {error}", where=str(folder), do="name another folder") from None
    if there - ours:
        raise UserError("holds other files", where=str(folder), do="name an empty folder, or one that --emit wrote")
    for name in there:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
