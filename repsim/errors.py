"""Owns the errors that a person can mend.

    UserError            what is wrong, where, and what to do next; the command line exits with 2
    ├── SpecError        a sweep or profile file: file and key path
    ├── InputError       a checkpoint, a data set or a part of the store
    ├── DiskError        a disk that is full, read-only or away, maybe only for a while
    └── ClusterError     Slurm is missing, silent, or said no

`Interrupted` is no error: a job raises it (through `Context.tick`) to leave when it was told to stop.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})
"""What a disk says for a while: somebody frees it, mounts it again, or its server comes back."""


class UserError(Exception):
    """What went wrong, where, and what to do next; printed as it is, without a traceback."""

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None):
        self.what, self.where, self.do = what, where, do
        super().__init__(what, where, do)

    def __str__(self) -> str:
        lines = [self.what if self.where is None else f"{self.where}: {self.what}"]
        return printable("\n".join(lines + ([f"  → {self.do}"] if self.do else [])))

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.do)


class SpecError(UserError):
    """A sweep or a profile says something that cannot be meant."""


class InputError(UserError):
    """A file that was handed over (checkpoint, data set, part of the store) cannot be used."""


class DiskError(UserError):
    """Nothing can be written now, but waiting may help: the disk is full, read-only or away."""


class ClusterError(UserError):
    """Slurm is not there, does not answer, or refused."""


class Interrupted(Exception):
    """The job was told to stop; nothing of the present group is published, nothing is lost."""


def unwritten(
    error: OSError, where: object, what: str = "cannot be written", do: str = "free the disk or mend the permissions"
) -> UserError:
    """The error to raise for a write at `where` that failed with `error`: a DiskError where it may work later."""
    kind = DiskError if error.errno in PASSING else UserError
    said = os.strerror(error.errno) if error.errno else error.strerror or error  # Arrow's own words tell of bytes and details
    return kind(f"{what}: {said}", where=str(where), do=do)


class PassedOver(UserWarning):
    """Files among the parts that are none; whoever reads the store goes on without them."""


@contextmanager
def within(place: str) -> Iterator[None]:
    """What goes wrong inside belongs to `place`, say a sweep file; an error that already says so is left as it is."""
    try:
        yield
    except UserError as error:
        if (error.where or "").startswith(place):
            raise
        raise type(error)(error.what, where=" · ".join(filter(None, [place, error.where])), do=error.do) from None


def shortened(text: str, length: int) -> str:
    """`text`, cut where it is longer."""
    return text if len(text) <= length else text[: length - 3] + "…"


def nearest(word: str, choices: Iterable[str], limit: int = 3) -> str:
    """Advice for a misspelt `word`: "did you mean 'bn1'?" when something is near, else the valid choices."""
    choices = sorted({str(choice) for choice in choices})
    close = get_close_matches(word, choices, n=limit, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    return "valid: " + ", ".join(choices[:40]) + (", …" if len(choices) > 40 else "")


def printable(text: str) -> str:
    """What would steer a terminal stands there escaped; lines stay lines."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def _rebuild(kind: type[UserError], what: str, where: str | None, do: str | None) -> UserError:
    return kind(what, where=where, do=do)
