"""Owns that one command at a time changes what is under way in a project, on whatever host it runs.

A lock of the file system holds between the processes of a host, and ends with them. Some shared file systems keep it to the host;
so who holds it also leaves `.holder` (host, process, since when), touched every minute as long as it lives. A holder that was not
touched for a quarter of an hour has died.
"""

import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from repsim.errors import UserError

TOUCH_S = 60.0
STALE_S = 900.0
UNKNOWN = dict.fromkeys(("host", "pid", "since"), "unknown")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`; UserError if somebody else does, or nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror}",
            where=str(folder),
            do="mend the permissions; to share a project: a common group, chmod -R g+rwX,g+s results, and umask 002",
        ) from None
    with handle, _exclusively(handle, folder), _known(folder):
        yield


@contextmanager
def _exclusively(handle, folder: Path) -> Iterator[None]:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise _busy(folder, _holder(folder / ".holder")) from None
    yield


@contextmanager
def _known(folder: Path) -> Iterator[None]:
    """Be the holder that other hosts see."""
    file, ended = folder / ".holder", threading.Event()
    _take(file, folder)
    thread = threading.Thread(target=_touch, args=(file, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        file.unlink(missing_ok=True)


def _take(file: Path, folder: Path) -> None:
    """Create the file, which only one can; one of this host is left over, as the other lock is ours."""
    other = _holder(file)
    if other is not None:
        if other.get("host") != platform.node() and time.time() - file.stat().st_mtime < STALE_S:
            raise _busy(folder, other)
        file.unlink(missing_ok=True)
    draft = file.with_name(f"{file.name}.{platform.node()}.{os.getpid()}")
    try:  # whole or not at all: a holder without a name would be waited for
        draft.write_text(json.dumps({"host": platform.node(), "pid": os.getpid(), "since": time.strftime("%F %T")}))
        os.link(draft, file)
    except FileExistsError:
        raise _busy(folder, _holder(file)) from None
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(folder), do="free the disk, then try again") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def _touch(file: Path, ended: threading.Event) -> None:
    while not ended.wait(TOUCH_S):
        with suppress(OSError):
            os.utime(file)


def _holder(file: Path) -> dict | None:
    """Who holds it; all unknown if that cannot be read, None if nobody."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return UNKNOWN
    return {**UNKNOWN, **found} if isinstance(found, dict) else UNKNOWN


def _busy(folder: Path, who: dict | None) -> UserError:
    named = f": process {who['pid']} on {who['host']}, since {who['since']}" if who else ""
    what = f"another submit or run of this project is at work{named}"
    return UserError(what, where=str(folder), do="wait for it, then try again")
