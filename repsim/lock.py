"""Owns that one command at a time changes what is under way in a project, on whatever host it runs.

A lock of the file system holds between the processes of a host, and ends with them. Some shared file systems keep it to the host,
and some know none; so who holds it also leaves `.holder` (host, process, since when), touched every minute as long as it lives. A
holder that was not touched for a quarter of an hour, by the clock of the file system, has died.
"""

import errno
import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from repsim import processes
from repsim.errors import UserError

TOUCH_S = 60.0
STALE_S = 900.0
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system says that keeps no locks, as Lustre mounted without `flock`."""
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
    with handle, _known(folder, is_ours=_locked(handle, folder)):
        yield


def _locked(handle: TextIO, folder: Path) -> bool:
    """Whether the lock of the file system is ours now: then nobody else of this host is at work. UserError if it is another's."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise _busy(folder, _holder(folder / ".holder")) from None
    return True


@contextmanager
def _known(folder: Path, is_ours: bool) -> Iterator[None]:
    """Be the holder that other hosts see."""
    file, ended = folder / ".holder", threading.Event()
    _take(file, folder, is_ours)
    thread = threading.Thread(target=_touch, args=(file, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        file.unlink(missing_ok=True)


def _take(file: Path, folder: Path, is_ours: bool) -> None:
    """Create the file, whole and by one process alone; what is left of one that has died is taken away."""
    other = _holder(file)
    if other is not None:
        if not _has_died(other, file, is_ours):
            raise _busy(folder, other)
        file.unlink(missing_ok=True)
    draft = file.with_name(f"{file.name}.{platform.node()}.{os.getpid()}")
    try:  # whole or not at all: a holder without a name would be waited for
        draft.write_text(json.dumps(_myself()))
        os.link(draft, file)
    except FileExistsError:
        raise _busy(folder, _holder(file)) from None
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(folder), do="free the disk, then try again") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def _myself() -> dict[str, Any]:
    mine = os.getpid()
    return {"host": platform.node(), "pid": mine, "born": processes.born(mine), "since": time.strftime("%F %T")}


def _has_died(other: dict[str, Any], file: Path, is_ours: bool) -> bool:
    """Of this host it has if the lock is ours, or its process is gone; of another host if it was not touched for long."""
    if other["host"] == platform.node():
        return is_ours or not (isinstance(other["pid"], int) and processes.lives(other["pid"], other.get("born")))
    lock = file.with_name(".lock")
    with suppress(FileNotFoundError):  # it has just left
        os.utime(lock)  # both times are of the file server: the clock of this host may be far off
        return lock.stat().st_mtime - file.stat().st_mtime >= STALE_S
    return True


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
