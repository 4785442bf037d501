"""Owns moving bad parts out of the way: results/quarantine/job=JOB/dataset=DATASET/PART.STAMP, the reason in a text file beside it.

Nothing is deleted. Whoever judges and moves may not be alone: if the bad part was replaced by a good one in between, that is put
back.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from repsim.errors import unwritten
from repsim.parts import BadPart


def set_aside(bad: BadPart, store: Path) -> Path | None:
    """Move the bad part; where it lies now, None if it is not there any more or may not be moved."""
    if not bad.movable:
        return None
    try:
        final = _place(bad.path, store)
        bad.path.rename(final)
        if not _same(bad.seen, final.lstat()):
            return _put_back(final, bad.path)
        final.with_name(f"{final.name}.reason.txt").write_text(f"{bad.path}\n{bad.what}\n", encoding="utf-8")
    except FileNotFoundError:
        return None  # somebody else was first
    except OSError as error:
        raise unwritten(error, bad.path, "the bad part cannot be moved away") from error
    return final


def clear_links(store: Path, folder: Path) -> None:
    """Set aside what stands between `store` and `folder` and is a link: readers would not follow it to what is written there."""
    for one in (folder.parent, folder):
        if one.is_symlink():
            set_aside(BadPart("it is a link, and links in the store are never followed", where=str(one)), store)


def _place(path: Path, store: Path) -> Path:
    """A name in the quarantine that nothing has."""
    place = store.parent / "quarantine" / path.relative_to(store)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place.with_name(f"{place.name}.{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(2).hex()}")


def _same(one: os.stat_result | None, other: os.stat_result) -> bool:
    return one is None or (one.st_ino, one.st_size, one.st_mtime_ns) == (other.st_ino, other.st_size, other.st_mtime_ns)


def _put_back(moved: Path, path: Path) -> None:
    """Give a good part its name back; where that is taken again, the part stays aside: its group was published once more."""
    with suppress(FileExistsError):
        os.link(moved, path)
        moved.unlink()
