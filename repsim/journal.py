"""Owns how a task appends its attempt records, which repsim.records reads: one file for each restart, one line for each event."""

import errno
import json
import os
import time
from typing import Any

from repsim import records
from repsim.submission import Submission


class Journal:
    """Appends the attempt records of one restart of one task; every line is on disk before the work goes on."""

    def __init__(self, submission: Submission, task: int, restart: int):
        self._path = submission.folder / records.FOLDER / f"{task}.{restart}.{os.urandom(4).hex()}.jsonl"
        self._size = 0

    def write(self, **event: Any) -> None:
        """Append one record with the time now. What a write that failed left half is cut off by the next: it may be the same."""
        line = (json.dumps({"at": time.time(), **event}) + "\n").encode()
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            if os.fstat(file).st_size != self._size:
                os.ftruncate(file, self._size)
            if os.write(file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            os.fsync(file)
        finally:
            os.close(file)
        self._size += len(line)
